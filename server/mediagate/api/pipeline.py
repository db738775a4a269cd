"""What happens to every call, in this order: begin to observe it, refuse it where too much is under way, decode,
authenticate, count it under its caller's limits, validate, look for its idempotency key, run, encode, map what went
wrong, write down what it was.

Handlers are wrapped once, when the server is built: nothing is looked up or composed per call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import protovalidate
import structlog
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import descriptor_pool

from mediagate.api.bodies import chunk_decoder, decode_http_body
from mediagate.api.call import Call
from mediagate.api.callers import Callers
from mediagate.api.errors import abort, as_mediagate_error
from mediagate.api.idempotency import HEADER, Keys
from mediagate.api.limits import Door, Passage
from mediagate.api.observe import MethodObserver, Observation, Observer
from mediagate.api.paths import ORIGINAL_PATH, PathVariables
from mediagate.core.errors import InvalidField, InvalidRequest, MediagateError, RepeatableTimeout, RequestTimeout
from mediagate.envoy import BROKEN_STREAM, SLOW_METHODS

log = structlog.get_logger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]
Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]
OPEN_METHODS = frozenset(
    {
        "/mediagate.v1.SystemService/GetReadiness",
        # Asks for a key itself, where the configuration wants one.
        "/mediagate.v1.SystemService/GetMetrics",
        "/mediagate.v1.SystemService/GetLiveliness",
        "/mediagate.v1.PagesService/GetConsole",
        "/mediagate.v1.PagesService/GetDocs",
        "/mediagate.v1.PagesService/GetOpenapi",
        "/mediagate.v1.DiagnosticsService/Ping",
        "/mediagate.v1.DiagnosticsService/CountBytes",
        "/mediagate.v1.DiagnosticsService/StreamZeros",
        "/mediagate.v1.VideoService/TakeProviderCallback",
    }
)
LONG_POLL = "/mediagate.v1.VideoService/GetVideo"
DIAGNOSTICS = "/mediagate.v1.DiagnosticsService"
_REPEATABLE = ("Get", "List", "Head", "Watch", "Download", "Ping")


class Malformed:
    """Stands for a request whose bytes are no message. Raised later, where an answer can be given."""


MALFORMED = Malformed()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Wraps the handlers of a service. A call with one message each way may take `request_s`, unless it moves content
    or is a long poll, which has a limit of its own."""

    callers: Callers
    keys: Keys | None = None
    request_s: float | None = None
    observer: Observer = field(default_factory=Observer)
    door: Door = field(default_factory=Door)

    def wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """The same handler, with everything around it."""
        decode = _tolerant(_decoder(method, handler))
        encode = _passing_bytes(handler.response_serializer)
        observer = self.observer.of(method)
        # gRPC hands over bytes and takes bytes, so that their number is known.
        if handler.request_streaming and not handler.response_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._stream_unary(method, handler.stream_unary, decode, encode, observer)
            )
        if handler.response_streaming and not handler.request_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._unary_stream(method, handler.unary_stream, decode, encode, observer)
            )
        if not handler.request_streaming:
            return grpc.unary_unary_rpc_method_handler(
                self._unary_unary(method, handler.unary_unary, decode, encode, observer)
            )
        raise NotImplementedError("no method streams in both directions")

    async def _admit(self, method: str, call: Call, passage: Passage) -> None:
        passage.enter()
        if method not in OPEN_METHODS:
            call.principal = await self.callers.of(method, call)
            await passage.admit()

    def _unary_unary(
        self, method: str, behaviour: Any, decode: Decode, encode: Encode, observer: MethodObserver
    ) -> Any:
        repeatable, variables = _is_repeatable(method), PathVariables.of(method)
        if self.keys is not None and not repeatable and method not in OPEN_METHODS:
            behaviour = self.keys.unary(method, behaviour)
        limit_s = None if method in SLOW_METHODS else self.request_s
        polls, door = method == LONG_POLL, self.door.of(method)

        async def run(data: bytes, context: Context) -> Any:
            seen = observer.begin(context, len(data))
            call, request = seen.call, decode(data)
            waits = polls and request is not MALFORMED and bool(request.wait)
            passage = door.knock(call, waits=waits)
            try:
                await self._admit(method, call, passage)
                _place(variables, call, request)
                check(request)
                may_take_s = None if waits else limit_s
                response = encode(
                    await _within(may_take_s, behaviour(request, call), repeatable or self._is_keyed(call))
                )
                _keep_private(call)
                await call.send_headers()
                seen.sent(len(response))
                seen.succeeded()
                return response
            except Exception as error:
                failure = as_mediagate_error(error, method=method, repeatable=repeatable)
            except BaseException:
                seen.cancelled()
                raise
            finally:
                passage.leave()
            return await _fail(seen, context, failure)

        return run

    def _is_keyed(self, call: Call) -> bool:
        return self.keys is not None and call.header(HEADER) is not None

    def _stream_unary(
        self, method: str, behaviour: Any, decode: Decode, encode: Encode, observer: MethodObserver
    ) -> Any:
        variables = PathVariables.of(method)
        if self.keys is not None and method not in OPEN_METHODS:
            behaviour = self.keys.streaming(method, behaviour)
        door = self.door.of(method, streams_in=True)

        async def run(requests: AsyncIterator[bytes], context: Context) -> Any:
            seen = observer.begin(context)
            passage = door.knock(seen.call)
            try:
                await self._admit(method, seen.call, passage)
                messages = _decoded(_counted(requests, seen, passage), decode, variables, seen.call)
                response = encode(await behaviour(messages, seen.call))
                await seen.call.send_headers()
                seen.sent(len(response))
                seen.succeeded()
                return response
            except Exception as error:
                failure = as_mediagate_error(error, method=method, repeatable=False)
            except BaseException:
                seen.cancelled()
                raise
            finally:
                passage.leave()
            return await _fail(seen, context, failure)

        return run

    async def _still_valid(self, method: str, call: Call) -> None:
        """Ends a watch that outlives its token."""
        if call.principal.handle is None:
            return
        try:
            await self.callers.of(method, call)
        except MediagateError:
            raise
        except Exception as error:
            # Nobody can say now; the next event asks again.
            log.warning("token_not_checked", error=type(error).__name__)

    def _unary_stream(
        self, method: str, behaviour: Any, decode: Decode, encode: Encode, observer: MethodObserver
    ) -> Any:
        repeatable, variables, door = _is_repeatable(method), PathVariables.of(method), self.door.of(method)
        watches = method.rpartition("/")[2].startswith("Watch")

        async def run(data: bytes, context: Context) -> AsyncIterator[Any]:
            seen = observer.begin(context, len(data))
            call, begun = seen.call, False
            passage = door.knock(call)
            try:
                await self._admit(method, call, passage)
                request = decode(data)
                _place(variables, call, request)
                check(request)
                # Closed at once when the caller goes away, not when the collector comes by.
                async with aclosing(behaviour(request, call)) as messages:
                    async for message in messages:
                        if watches:
                            await self._still_valid(method, call)
                        _keep_private(call)
                        encoded = encode(message)
                        passage.sends(len(encoded))
                        await call.send_headers()
                        begun = True
                        seen.sent(len(encoded))
                        yield encoded
                seen.succeeded()
                return
            except Exception as error:
                failure = as_mediagate_error(error, method=method, repeatable=repeatable)
            except BaseException:
                seen.cancelled()
                raise
            finally:
                passage.leave()
            if begun and call.header(ORIGINAL_PATH) is not None:
                # The status is out, and the edge would end the body as if it were whole.
                seen.failed(failure)
                yield BROKEN_STREAM
                return
            await _fail(seen, context, failure)

        return run


class HandlerCollector:
    """Takes the place of a server in the generated `add_…_to_server`, to get at the handlers."""

    def __init__(self) -> None:
        self.services: dict[str, Mapping[str, grpc.RpcMethodHandler[Any, Any]]] = {}

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """The registered handlers below say the same, with names."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Remember one service."""
        self.services[service] = handlers


def check(message: Any) -> None:
    """Raises `InvalidRequest` for a message that could not be decoded, `InvalidField` for the first rule it breaks."""
    if message is MALFORMED:
        raise InvalidRequest("The request cannot be read: it is not valid UTF-8, or not a message of this method.")
    violations = protovalidate.collect_violations(message, fail_fast=True)
    if violations:
        violation = violations[0].proto
        path = ".".join(element.field_name for element in violation.field.elements) if violation.field else ""
        message_text = violation.message or "is not valid"
        raise InvalidField(f"'{path}' {message_text}." if path else f"{message_text}.", param=path or None)


def _keep_private(call: Call) -> None:
    """What a URL with a token shows is nobody else's, and the URL is no referrer."""
    if call.principal.handle is not None and not call.has_sent_headers:
        names = {name for name, _ in call.pending_headers}
        told = (("referrer-policy", "no-referrer"), ("cache-control", "private, no-store"))
        call.respond([(name, value) for name, value in told if name not in names])


async def _within(limit_s: float | None, work: Awaitable[Any], repeatable: bool) -> Any:
    """What `work` returns. Raises `RequestTimeout` where that takes longer."""
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
    if repeatable:
        raise RepeatableTimeout("The request took too long and was ended. Send it again.", retry_after_s=1)
    raise RequestTimeout("The request took too long and was ended. Look whether it took effect before you repeat it.")


async def _fail(seen: Observation, context: Context, failure: MediagateError) -> NoReturn:
    seen.failed(failure)
    await abort(context, failure, seen.call.admission.headers())


async def _counted(requests: AsyncIterator[bytes], seen: Observation, passage: Passage) -> AsyncIterator[bytes]:
    """The messages of a stream, for everybody who counts their bytes."""
    async for data in requests:
        seen.received(len(data))
        passage.received(len(data))
        yield data


async def _decoded(
    requests: AsyncIterator[bytes], decode: Decode, variables: PathVariables, call: Call
) -> AsyncIterator[Any]:
    """Only the first message of a transcoded stream carries path variables."""
    first = True
    async for data in requests:
        request = decode(data)
        if request is MALFORMED:
            raise InvalidRequest("A message of the stream cannot be read.")
        if first:
            _place(variables, call, request)
            first = False
        yield request


def _place(variables: PathVariables, call: Call, message: Any) -> None:
    if variables.patterns and message is not MALFORMED:
        path = call.header(ORIGINAL_PATH)
        if path is not None:
            variables.apply(path, message)


def _decoder(method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> Decode | None:
    """Where bytes are moved, a copy less counts; the yardsticks keep the generated class."""
    decode = handler.request_deserializer
    if decode is None or not handler.request_streaming or method.rpartition("/")[0] == DIAGNOSTICS:
        return decode
    takes = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", ".")).input_type
    if takes.full_name == HttpBody.DESCRIPTOR.full_name:
        return decode_http_body
    return chunk_decoder(takes, decode) if "chunk" in takes.fields_by_name else decode


def _is_repeatable(method: str) -> bool:
    return method.rpartition("/")[2].startswith(_REPEATABLE)


def _tolerant(decode: Decode | None) -> Decode:
    assert decode is not None

    def run(data: bytes) -> Any:
        try:
            return decode(data)
        except Exception:
            return MALFORMED

    return run


def _passing_bytes(encode: Encode | None) -> Encode:
    """Messages that a thousand watchers share are encoded once, before they come here."""
    assert encode is not None

    def run(message: Any) -> bytes:
        return message if type(message) is bytes else encode(message)

    return run

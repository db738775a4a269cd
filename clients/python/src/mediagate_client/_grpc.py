"""The wire by gRPC, on the port that REST has too."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from mediagate_client._errors import (
    ConnectionFailed,
    InvalidRequest,
    MediagateError,
    TimedOut,
    TlsFailed,
    TransferDamaged,
    api_error,
)
from mediagate_client._gen.mediagate.v1 import files_pb2, uploads_pb2, videos_pb2
from mediagate_client._transport import CHUNK_BYTES, METHODS, STORED_S, Bytes, Chunks, Content, Headers, Json, Options
from mediagate_client._types import normal

MODULES = {"FileService": files_pb2, "UploadService": uploads_pb2, "VideoService": videos_pb2}
# A stream that nobody answers on is found out by pings; a unary call by its time.
CHANNEL = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)
# For statuses that come without a reason, as those of proxies do.
REASON_OF_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: "INVALID_REQUEST",
    grpc.StatusCode.FAILED_PRECONDITION: "STATE_CONFLICT",
    grpc.StatusCode.OUT_OF_RANGE: "RANGE_NOT_SATISFIABLE",
    grpc.StatusCode.UNAUTHENTICATED: "INVALID_API_KEY",
    grpc.StatusCode.PERMISSION_DENIED: "PERMISSION_DENIED",
    grpc.StatusCode.NOT_FOUND: "NOT_FOUND",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "RATE_LIMITED",
    grpc.StatusCode.UNIMPLEMENTED: "UNSUPPORTED",
}
# `chunk` is field 2 of every message that carries bytes, whichever way.
CHUNK_TAG = 0x12
# What grpcio says of a stream that took no more messages, which is never why.
WRITE_FAILED = "Internal error from Core"
TLS_WORDS = ("ssl", "tls", "certificate", "handshake", "peer name")


@cache
def message_class(service: str, name: str) -> type[Message]:
    """A message of the service's file."""
    kind = getattr(MODULES[service], name, None) or getattr(files_pb2, name)
    assert isinstance(kind, type)
    return kind


def to_json(message: Message) -> Json:
    """A message as REST would answer it."""
    answer: Json = normal(
        json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )
    return answer


def from_json(service: str, name: str, body: Json) -> Message:
    """A request. Raises InvalidRequest for members of the wrong kind."""
    try:
        return json_format.ParseDict(body, message_class(service, name)())
    except json_format.ParseError as error:
        raise api_error(f"The request cannot be written: {error}.", reason="INVALID_REQUEST") from None


def as_error(error: grpc.aio.AioRpcError, request_id: str | None = None) -> MediagateError:
    """The error of the tree for a call that failed."""
    metadata: dict[str, Any] = {}
    for pairs in (error.initial_metadata(), error.trailing_metadata()):
        metadata.update(pairs or ())
    request_id = metadata.get("x-request-id") or request_id
    message, code = error.details() or "", error.code()
    details = metadata.get("grpc-status-details-bin")
    if not isinstance(code, grpc.StatusCode):
        # A call that was cut between two writes has code and details the wrong way round (grpcio 1.85).
        return _lost(f"{code} {message}", error.debug_error_string() or "", request_id)
    if not isinstance(details, bytes):
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL):
            return _lost(message, error.debug_error_string() or "", request_id)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimedOut("The gateway did not answer in time.", request_id=request_id)
        return api_error(message, reason=REASON_OF_CODE.get(code, "INTERNAL"), request_id=request_id)
    info, violation, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    retry_after_s = param = None
    for detail in status_pb2.Status.FromString(details).details:
        if detail.Unpack(violation) and violation.field_violations:
            param = violation.field_violations[0].field
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
        else:
            detail.Unpack(info)
    should_retry = metadata.get("x-should-retry")
    http_status = str(metadata.get("x-http-status", ""))
    return api_error(
        message,
        reason=info.reason or REASON_OF_CODE.get(code, "INTERNAL"),
        http_status=int(http_status) if http_status.isdigit() else None,
        code=_code(metadata.get("x-openai-error")),
        param=param,
        request_id=request_id,
        retry_after_s=retry_after_s,
        retryable=None if should_retry is None else should_retry == "true",
    )


def _code(envelope: object) -> str | None:
    with contextlib.suppress(TypeError, ValueError, KeyError):
        code = json.loads(envelope)["error"]["code"]  # type: ignore[arg-type]
        return code if isinstance(code, str) else None
    return None


def _lost(message: str, debug: str, request_id: str | None) -> MediagateError:
    said = f"{message} {debug}".lower()
    if any(word in said for word in TLS_WORDS):
        return TlsFailed("The gateway's TLS cannot be trusted, or it speaks none.", request_id=request_id)
    if "failed to connect" in said or "connection refused" in said or "dns" in said or "resolution" in said:
        return ConnectionFailed("The gateway cannot be reached.", request_id=request_id)
    return ConnectionFailed("The connection to the gateway broke.", reason="CONNECTION_LOST", request_id=request_id)


def framed(chunk: Bytes) -> bytes:
    """The message that carries a chunk, as it is sent: a message object would copy the bytes twice more."""
    left, head = len(chunk), bytearray((CHUNK_TAG,))
    while left > 0x7F:
        head.append(left & 0x7F | 0x80)
        left >>= 7
    head.append(left)
    return b"".join((head, chunk))


def serialized(message: Message | bytes) -> bytes:
    """A message, or one that is framed already."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def received(data: bytes) -> files_pb2.DownloadFileResponse | memoryview:
    """A message of a download; of one that carries a chunk, the chunk where it lies."""
    if data[:1] != bytes((CHUNK_TAG,)):
        return files_pb2.DownloadFileResponse.FromString(data)
    begin = 1
    while data[begin] & 0x80:
        begin += 1
    return memoryview(data)[begin + 1 :]


def _end(call: Any) -> grpc.aio.AioRpcError:
    """How a call has just ended: a write that fails behind it puts another end in its place (grpcio 1.85,
    https://github.com/grpc/grpc/issues/36066)."""
    return grpc.aio.AioRpcError(
        _at_once(call.code()),
        _at_once(call.initial_metadata()),
        _at_once(call.trailing_metadata()),
        _at_once(call.details()),
        _at_once(call.debug_error_string()),
    )


def _at_once(known: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing to wait for."""
    try:
        known.send(None)
    except StopIteration as answer:
        return answer.value
    known.close()
    return None


class GrpcTransport:
    """Transport over one HTTP/2 connection."""

    def __init__(self, options: Options, lender: GrpcTransport | None = None) -> None:
        self._options = options
        self._target = options.target
        self._lender = lender
        self._opened: grpc.aio.Channel | None = None

    def lent(self, options: Options) -> GrpcTransport:
        """The same connection with other patience. Closing it closes nothing."""
        return GrpcTransport(options, self)

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._lender is not None:
            return self._lender._channel
        if self._opened is None:
            if self._options.secure:
                trusted = grpc.ssl_channel_credentials(self._options.roots())
                self._opened = grpc.aio.secure_channel(self._target, trusted, options=CHANNEL)
            else:
                self._opened = grpc.aio.insecure_channel(self._target, options=CHANNEL)
        return self._opened

    def _path(self, service: str, method: str) -> str:
        return f"/mediagate.v1.{service}/{method}"

    def _metadata(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        given = self._options.sent(headers)
        for name, value in given.items():
            if not value.isascii():
                raise InvalidRequest(
                    f"The header {name!r} has characters other than ASCII, which gRPC cannot carry: use "
                    "transport='rest'. Files and videos take an end user's name as `user` too.",
                    reason="INVALID_REQUEST",
                )
        return tuple(given.items())

    async def call(self, method: str, body: Json, headers: Headers, timeout_s: float) -> Json:
        """One request, one answer."""
        known = METHODS[method]
        request = from_json(known.service, known.request, body)
        invoke = self._channel.unary_unary(
            self._path(known.service, method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_class(known.service, known.response).FromString,
        )
        try:
            return to_json(await invoke(request, metadata=self._metadata(headers), timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            raise as_error(error) from None

    async def send_file(self, meta: Json, chunks: Chunks, size: int | None, digest: Any, headers: Headers) -> Json:
        """A whole file: its metadata, its bytes, its checksum."""
        about = files_pb2.UploadFileMetadata()
        json_format.ParseDict(meta, about)
        if size is not None:
            about.size_bytes = size
        request = files_pb2.UploadFileRequest
        stream = self._channel.stream_unary(
            self._path("FileService", "UploadFile"),
            request_serializer=serialized,
            response_deserializer=files_pb2.File.FromString,
        )
        call = stream(metadata=self._metadata(headers))

        async def messages() -> AsyncIterator[Message | bytes]:
            yield request(metadata=about)
            async for chunk in chunks():
                yield framed(chunk)
            yield request(checksum=files_pb2.UploadFileChecksum(sha256=digest().hexdigest()))

        return await self._sent(call, messages())

    async def send_part(self, upload_id: str, data: bytes, headers: Headers) -> Json:
        """One part, proven by its size and checksum."""
        request = uploads_pb2.AddUploadPartRequest
        about = uploads_pb2.UploadPartMetadata(upload_id=upload_id, size_bytes=len(data))
        stream = self._channel.stream_unary(
            self._path("UploadService", "AddUploadPart"),
            request_serializer=serialized,
            response_deserializer=uploads_pb2.UploadPart.FromString,
        )
        call = stream(metadata=self._metadata(headers))

        async def messages() -> AsyncIterator[Message | bytes]:
            yield request(metadata=about)
            view = memoryview(data)
            for start in range(0, len(data), CHUNK_BYTES):
                yield framed(view[start : start + CHUNK_BYTES])

        return await self._sent(call, messages())

    async def _sent(self, call: Any, messages: AsyncIterator[Message | bytes]) -> Json:
        """Write by hand: where an iterator that gRPC reads raises, the reason would be lost."""
        ends: list[grpc.aio.AioRpcError] = []
        call.add_done_callback(lambda ended: ends.append(_end(ended)))
        try:
            try:
                async for message in messages:
                    async with asyncio.timeout(self._options.timeout_s):
                        await call.write(message)
                await call.done_writing()
            except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
                # It has ended already, most likely by a refusal: the answer says why.
                pass
            async with asyncio.timeout(max(self._options.timeout_s, STORED_S)):
                return to_json(await call)
        except grpc.aio.AioRpcError as error:
            raise as_error(next((end for end in ends if end.details() != WRITE_FAILED), error)) from None
        except TimeoutError:
            raise TimedOut("The gateway took no more bytes, or did not say what became of them.") from None
        finally:
            call.cancel()

    def open(
        self, method: str, body: Json, offset: int, length: int | None, headers: Headers, *, proven: bool = False
    ) -> AbstractAsyncContextManager[Content]:
        """Bytes of a file or video, proven by the end message; where the caller proves them, by its count alone."""
        return self._opened_content(method, body, offset, length, headers, proven)

    @asynccontextmanager
    async def _opened_content(
        self, method: str, body: Json, offset: int, length: int | None, headers: Headers, proven: bool
    ) -> AsyncIterator[Content]:
        known = METHODS[method]
        asked = {**body, "offset": offset, **({} if length is None else {"length": length})}
        request = from_json(known.service, known.request, asked)
        stream = self._channel.unary_stream(
            self._path(known.service, method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=received,
        )
        call: Any = stream(request, metadata=self._metadata(headers))
        try:
            try:
                first = await self._read(call)
            except grpc.aio.AioRpcError as error:
                raise as_error(error) from None
            if not isinstance(first, files_pb2.DownloadFileResponse) or not first.HasField("metadata"):
                raise ConnectionFailed("The download ended before it began.", reason="CONNECTION_LOST")
            told = first.metadata
            chunks = self._chunks(call, told.length, proven)
            yield Content(
                told.filename, told.content_type, told.size_bytes, told.offset, told.length, told.etag, chunks
            )
        finally:
            call.cancel()

    async def _read(self, call: Any) -> Any:
        """The next message, or EOF."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await call.read()
        except TimeoutError:
            raise TimedOut("The gateway sent no more bytes.") from None

    async def _chunks(self, call: Any, length: int, proven: bool) -> AsyncIterator[Bytes]:
        digest, count = None if proven else hashlib.sha256(), 0
        try:
            while (message := await self._read(call)) is not grpc.aio.EOF:
                if isinstance(message, memoryview):
                    count += len(message)
                    if digest is not None:
                        digest.update(message)
                    yield message
                elif message.HasField("end"):
                    if count != length or (digest is not None and message.end.sha256 != digest.hexdigest()):
                        raise TransferDamaged("The bytes that arrived are not the bytes that were sent.")
                    return
        except grpc.aio.AioRpcError as error:
            raise as_error(error) from None
        raise ConnectionFailed("The download stopped half-way.", reason="CONNECTION_LOST")

    async def events(self, method: str, body: Json, headers: Headers) -> AsyncIterator[Json]:
        """A watch, until it ends or breaks."""
        known = METHODS[method]
        request = from_json(known.service, known.request, body)
        stream = self._channel.unary_stream(
            self._path(known.service, method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=videos_pb2.VideoEvent.FromString,
        )
        call: Any = stream(request, metadata=self._metadata(headers))
        try:
            while (event := await call.read()) is not grpc.aio.EOF:
                yield to_json(event)
        except grpc.aio.AioRpcError as error:
            raise as_error(error) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Let go of the connection."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

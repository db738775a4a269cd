"""The header `Idempotency-Key`, for every method that changes something: one wrapper around the servicers' methods.

A call without the header goes straight through. What a lost call may have made is looked for by its method's
`Recovery`, which the servicers' own Get methods answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.access.idempotency import Idempotency
from mediagate.api.call import Call
from mediagate.api.errors import as_mediagate_error
from mediagate.api.fingerprint import OneMessage, Stream
from mediagate.core.errors import IdempotencyInProgress, IdempotencyKeyReused, InvalidRequest, MediagateError, NotFound
from mediagate.core.forms import FormLimits
from mediagate.core.idempotency import KEY_HEADER, KeyedCall, Reply, check_key
from mediagate.core.ids import IdKind

HEADER = KEY_HEADER.lower()
REPLAYED = ("idempotent-replayed", "true")
SECRET_ANSWERS = frozenset(
    {
        "/mediagate.v1.AdminService/CreateKey",
        "/mediagate.v1.AdminService/RegenerateKey",
        "/mediagate.v1.AdminService/CreateUser",
        "/mediagate.v1.TokenService/CreateToken",
    }
)
"""Methods whose answers hold what is shown once and kept nowhere, so not with an idempotency key either."""
RAW_BODIES = frozenset({"/mediagate.v1.FileService/PutFileHttp"})
"""Methods whose body is bytes, whatever its type says."""
Behaviour = Callable[[Any, Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How to go on where a call of one method was lost.

    `find` gets the object's id, the request where it is one message, and the call; it returns what the lost call would
    have answered, None or `NotFound` where it did nothing. `makes` is the kind of id to reserve. What is half made is
    ended for good by `give_up`, and with `anew` the next attempt makes another object.
    """

    find: Callable[[str, Any, Call], Awaitable[Any]]
    makes: IdKind | None = None
    anew: bool = False
    give_up: Callable[[str], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """Wraps methods. `recoveries` are by full method name; a method without one is run again where it was lost."""

    idempotency: Idempotency
    form_limits: FormLimits
    recoveries: Mapping[str, Recovery]

    def unary(self, method: str, behaviour: Behaviour) -> Behaviour:
        """A method whose request is one message."""

        async def run(request: Any, call: Call) -> Any:
            values = call.header_values(HEADER)
            if not values:
                return await behaviour(request, call)
            if method in SECRET_ANSWERS:
                raise InvalidRequest(
                    "The answer holds a secret, which is not kept: send the request without an Idempotency-Key.",
                    param=KEY_HEADER,
                    code="idempotency_not_supported",
                )
            return await self._keyed(_Method(method, behaviour), values, OneMessage(request, call), call)

        return run

    def streaming(self, method: str, behaviour: Behaviour) -> Behaviour:
        """A method whose request is a stream."""

        async def run(requests: AsyncIterator[Any], call: Call) -> Any:
            values = call.header_values(HEADER)
            if not values:
                return await behaviour(requests, call)
            stream = Stream(requests, call, self.form_limits, raw=method in RAW_BODIES)
            return await self._keyed(_Method(method, behaviour), values, stream, call)

        return run

    async def _keyed(self, method: _Method, values: list[str], request: OneMessage | Stream, call: Call) -> Any:
        key = check_key(values)
        try:
            return await self._answer(method, key, request, call)
        except MediagateError:
            raise
        except Exception as error:
            # With a key every call may be repeated, whatever became of it.
            raise as_mediagate_error(error, method=method.name, repeatable=True) from error

    async def _answer(self, method: _Method, key: str, request: OneMessage | Stream, call: Call) -> Any:
        recovery = self.recoveries.get(method.name)
        while True:
            object_id = recovery.makes.new() if recovery is not None and recovery.makes is not None else None
            known = await self.idempotency.claim(call.principal, key, method.name, object_id, request.known)
            if known.reply is not None:
                return await _replayed(known.reply, known, request, call)
            if known.attempt > 1 and recovery is not None:
                if await self._recovered(known, recovery, request, call):
                    continue
                if recovery.anew and object_id is not None:
                    known = await self.idempotency.reserve(known, object_id)
            return await self._run_attempt(known, method, request, call)

    async def _recovered(self, known: KeyedCall, recovery: Recovery, request: OneMessage | Stream, call: Call) -> bool:
        """Whether the attempt before this one took effect; then its answer is kept, and its parameters with it."""
        object_id = known.object_id or ""
        if recovery.give_up is not None:
            await recovery.give_up(object_id)
        if known.fingerprint is None:
            return False
        try:
            found = await recovery.find(object_id, request.message, call)
        except NotFound:
            return False
        if found is None:
            call.drop_headers()
            return False
        await self.idempotency.finish(known, known.fingerprint, _reply(found, call))
        call.drop_headers()
        return True

    async def _run_attempt(self, known: KeyedCall, method: _Method, request: OneMessage | Stream, call: Call) -> Any:
        async def seal(fingerprint: bytes) -> None:
            await self.idempotency.seal(known, fingerprint)

        call.object_id = known.object_id
        try:
            async with self.idempotency.holding(known):
                answer = await method.behaviour(request.passing(seal), call)
            await self.idempotency.finish(known, await request.rest(), _reply(answer, call))
        except (IdempotencyKeyReused, IdempotencyInProgress):
            await self.idempotency.let_go(known)
            raise
        except MediagateError:
            await self.idempotency.release(known)
            raise
        except BaseException:
            # Also where the caller goes away, which cancels this.
            await asyncio.shield(self.idempotency.let_go(known))
            raise
        return answer


@dataclass(frozen=True, slots=True)
class _Method:
    name: str
    behaviour: Behaviour


async def _replayed(reply: Reply, known: KeyedCall, request: OneMessage | Stream, call: Call) -> bytes:
    """The kept answer, once the whole request is known to be the same. Nothing of it is stored."""
    if await request.rest() != known.fingerprint:
        raise IdempotencyKeyReused
    call.respond((*reply.headers, REPLAYED))
    return reply.body


def _reply(answer: Any, call: Call) -> Reply:
    body = answer if type(answer) is bytes else answer.SerializeToString()
    return Reply(body, call.pending_headers)

"""Uploads: small files in one call, large ones in parts that survive a cut."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import mimetypes
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any

from mediagate_client._errors import (
    ConnectionFailed,
    FileChanged,
    InvalidRequest,
    MediagateError,
    NotFound,
    ServerError,
    TransferDamaged,
    UploadInterrupted,
    first_of,
    stop,
)
from mediagate_client._source import Source
from mediagate_client._transport import CHUNK_BYTES, STORED_S, Headers, Json, Options, Transport, with_retries
from mediagate_client._types import File

Progress = Callable[[int, int | None], None]

MIB = 1 << 20
# Up to here one call is quicker, and a cut costs little.
WHOLE_BYTES_MAX = 32 * MIB
PART_BYTES = 16 * MIB
PARTS_MAX = 9000
PARALLEL = 4
# What a farewell to the gateway may take when the caller wants to leave.
FAREWELL_S = 5.0
# One call is left for parts where the rest of it would take longer than this, by the pace of the last second. Looked at
# more than once: the first megabytes only fill the buffers on the way.
QUICK_S = 10.0
LOOK_S = 1.0
LOOKS = 3


@dataclass(slots=True)
class UploadState:
    """What an upload that broke off needs to go on: `str(state)` and `UploadState.parse` carry it to another process.

    `parts` are the ids of the parts that the gateway has, by their number.
    """

    upload_id: str
    size: int
    part_bytes: int
    stamp: list[int] | None = None
    parts: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> UploadState:
        """Read what `str(state)` wrote. Raises `ValueError`."""
        try:
            data = json.loads(text)
            data["parts"] = {int(number): str(part) for number, part in data["parts"].items()}
            return cls(**data)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise ValueError("This is no state of an upload.") from None


class _Slow(MediagateError):
    """One call would take too long for what a cut of it would cost."""


class Uploader:
    """One upload."""

    def __init__(
        self,
        transport: Transport,
        options: Options,
        source: Source,
        meta: Json,
        headers: Headers,
        progress: Progress | None,
        on_state: Callable[[UploadState], None] | None = None,
    ):
        self._transport = transport
        self._options = options
        self._source = source
        self._meta = meta
        # However it is written: behind an idempotency key of the caller's nothing is undone.
        said = {name.lower(): value for name, value in headers.items()}
        self._key = said.pop("idempotency-key", None)
        self._headers = said
        self._progress = progress
        self._on_state = on_state
        self._reading: asyncio.Task[bytes] | None = None
        self._looks, self._looked_at, self._seen = 0, 0.0, 0
        self._sent = 0
        # The gateway may have all bytes: from there on it may keep the file, however the call ends.
        self._ended = False
        self._digest = hashlib.sha256()

    def _report(self, count: int) -> None:
        self._sent += count
        if self._progress is not None:
            self._progress(self._sent, self._source.size)

    def _once(self) -> dict[str, str]:
        """The headers of one call that may be repeated."""
        return {**self._headers, "idempotency-key": str(uuid.uuid4())}

    async def whole(self) -> File:
        """Send everything in one call; repeated where it can be read again."""
        headers = self._once()
        if self._key is not None:
            headers["idempotency-key"] = self._key

        async def attempt() -> Json:
            self._restart()
            sending = self._transport.send_file(
                self._meta, self._chunks, self._source.size, lambda: self._digest, headers
            )
            try:
                # Behind a key of the caller's the file may be that of an earlier call.
                return await (self._or_undone(sending) if self._key is None else sending)
            finally:
                await self._settle()

        retries = self._options.max_retries if self._source.size is not None else 0
        return await self._proven(await with_retries(retries, attempt))

    async def _or_undone(self, sending: Coroutine[Any, Any, Json]) -> Json:
        """The answer. A caller who leaves when the gateway has all bytes, and so keeps the file, leaves no file."""
        call = asyncio.create_task(sending)

        async def undo() -> None:
            answer = await call
            await self._transport.call("DeleteFile", {"file_id": answer["id"]}, self._headers, FAREWELL_S)

        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not self._ended:
                call.cancel()
            await _farewell(undo())
            raise
        finally:
            call.cancel()

    async def _chunks(self) -> AsyncIterator[bytes]:
        size = self._source.size
        if size is None:
            while chunk := await self._source.read_next(CHUNK_BYTES):
                self._digest.update(chunk)
                yield chunk
                self._report(len(chunk))
            self._ended = True
            return
        chunk = await self._read(0) if size else b""
        for following in range(CHUNK_BYTES, size + CHUNK_BYTES, CHUNK_BYTES):
            if following < size:
                # A thread reads and hashes the next one while this one is sent.
                self._reading = asyncio.create_task(self._read(following))
            else:
                # Before the gateway has all bytes: with them it may keep the file, however the call ends.
                self._source.check()
            yield chunk
            self._report(len(chunk))
            self._look_at_pace()
            if following < size:
                assert self._reading is not None
                chunk = await asyncio.shield(self._reading)
        self._ended = True

    async def _settle(self) -> None:
        """Wait for the read that is ahead of an attempt which has ended: its file is about to be closed."""
        reading, self._reading = self._reading, None
        if reading is not None:
            await asyncio.wait([reading])
            # Looked at, so that nobody misses it.
            reading.exception()

    async def _read(self, offset: int) -> bytes:
        assert self._source.size is not None
        return await self._source.read_hashed(offset, min(CHUNK_BYTES, self._source.size - offset), self._digest)

    def _restart(self) -> None:
        self._digest, self._sent, self._ended = hashlib.sha256(), 0, False
        self._looked_at, self._seen = time.monotonic(), 0

    async def large(self) -> File:
        """Send everything in one call; where its first seconds say that it will take long, in parts.

        One call costs the gateway half of what parts cost, and what is sent again within seconds needs no parts. Behind
        an idempotency key of the caller's it stays one call, for which alone the key stands.
        """
        self._looks = LOOKS if self._key is None else 0
        try:
            return await self.whole()
        except _Slow:
            pass
        except InvalidRequest as error:
            if error.reason != "PAYLOAD_TOO_LARGE":
                raise
        self._restart()
        return await self.in_parts(None)

    def _look_at_pace(self) -> None:
        """Raise `_Slow` where the rest would take too long."""
        spent = time.monotonic() - self._looked_at
        if not self._looks or spent < LOOK_S:
            return
        rate = (self._sent - self._seen) / spent
        if (self._source.size or 0) - self._sent > QUICK_S * rate:
            raise _Slow("The upload goes on in parts.")
        self._looks -= 1
        self._looked_at, self._seen = time.monotonic(), self._sent

    def _tell(self, state: UploadState) -> None:
        if self._on_state is not None:
            self._on_state(state)

    async def in_parts(self, resume: UploadState | None) -> File:
        """Send parts side by side. What was sent stays where the connection breaks or the caller leaves; whatever else
        goes wrong cancels the upload."""
        state = resume or await self._begin()
        if state.size != self._source.size or (resume and state.stamp != self._source.stamp):
            raise FileChanged("The file is not the one whose upload broke off.")
        return await self._finish(state, resume)

    async def _finish(self, state: UploadState, resume: UploadState | None) -> File:
        async with self._resumable(state, resume):
            self._tell(state)
            await self._send_parts(state)
            self._source.check()
            answer = await self._complete(state)
        return await self._proven(answer["file"])

    @contextlib.asynccontextmanager
    async def _resumable(self, state: UploadState, resume: UploadState | None) -> AsyncIterator[None]:
        """What becomes of the parts where sending them ends early."""
        try:
            yield
        except (ConnectionFailed, ServerError) as error:
            raise UploadInterrupted(
                f"The upload of {self._source.filename!r} broke off with {len(state.parts)} of {_count(state)} parts"
                f" stored: {error.message}",
                state,
                request_id=error.request_id,
            ) from error
        except NotFound as error:
            if resume is None:
                raise
            raise InvalidRequest(
                "The upload that broke off is over: it lasts an hour.", reason="STATE_CONFLICT"
            ) from error
        except asyncio.CancelledError as error:
            if state.parts or self._on_state is not None:
                stop(error, state, self._source.filename, _count(state))
            else:
                await self._cancel(state)
            raise
        except BaseException:
            await self._cancel(state)
            raise

    async def _begin(self) -> UploadState:
        assert self._source.size is not None
        size = self._source.size
        guessed = mimetypes.guess_type(self._source.filename)[0] or "application/octet-stream"
        body = {**self._meta, "bytes": size, "mime_type": guessed}
        headers = self._once()
        answer = await with_retries(
            self._options.max_retries,
            lambda: self._transport.call("CreateUpload", body, headers, self._options.timeout_s),
        )
        part_bytes = max(PART_BYTES, -(-size // PARTS_MAX))
        return UploadState(answer["id"], size, part_bytes, self._source.stamp)

    async def _send_parts(self, state: UploadState) -> None:
        numbers = iter(range(_count(state)))
        turns = [asyncio.Event() for _ in range(_count(state) + 1)]
        turns[0].set()

        async def work() -> None:
            for number in numbers:
                offset = number * state.part_bytes
                data = await self._source.read_at(offset, min(state.part_bytes, state.size - offset))
                # The checksum goes over the file in order, whoever reads first.
                await turns[number].wait()
                await asyncio.to_thread(self._digest.update, data)
                turns[number + 1].set()
                if number not in state.parts:
                    state.parts[number] = await self._send_part(state.upload_id, data)
                    self._tell(state)
                self._report(len(data))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARALLEL, _count(state))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise first_of(failures) from None

    async def _send_part(self, upload_id: str, data: bytes) -> str:
        headers = self._once()
        answer = await with_retries(
            self._options.max_retries, lambda: self._transport.send_part(upload_id, data, headers)
        )
        return str(answer["id"])

    async def _complete(self, state: UploadState) -> Json:
        body = {"upload_id": state.upload_id, "part_ids": [state.parts[number] for number in range(_count(state))]}
        # Without an idempotency key: the method itself waits for itself, and answers the same file.
        return await with_retries(
            self._options.max_retries, lambda: self._transport.call("CompleteUpload", body, self._headers, STORED_S)
        )

    async def _cancel(self, state: UploadState) -> None:
        await _farewell(self._transport.call("CancelUpload", {"upload_id": state.upload_id}, self._headers, FAREWELL_S))

    async def _proven(self, answer: Json) -> File:
        """The file, if the gateway has the bytes that were sent."""
        file = File(answer)
        # Empty where a store put the parts together by itself: then each part was proven on its way.
        told = file.mediagate.sha256
        if file.bytes != self._sent or (told and told != self._digest.hexdigest()):
            with contextlib.suppress(MediagateError):
                await self._transport.call("DeleteFile", {"file_id": file.id}, self._headers, self._options.timeout_s)
            raise TransferDamaged("The gateway has other bytes than those that were sent; they were deleted.")
        return file


async def _farewell(telling: Coroutine[Any, Any, object]) -> None:
    """Tell the gateway, even where this task is being cancelled; what goes wrong with that is nobody's error."""
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(telling)), FAREWELL_S)


def _count(state: UploadState) -> int:
    return -(-state.size // state.part_bytes)

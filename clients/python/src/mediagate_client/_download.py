"""Downloads: parts side by side into a temporary file, which gets its name when every byte is there and proven."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from mediagate_client._errors import (
    ConnectionFailed,
    FileChanged,
    InvalidRequest,
    LocalFileError,
    MediagateError,
    ServerError,
    TransferDamaged,
    first_of,
)
from mediagate_client._part import PART_BYTES, Part
from mediagate_client._transport import Bytes, Content, Headers, Json, Options, Transport, pause_s, with_retries

Progress = Callable[[int, int | None], None]

WRITE_BYTES = 4 << 20
PARALLEL = 4
SHA256_TAG = re.compile(r'"([0-9a-f]{64})"')


class Downloader:
    """One download to a file."""

    def __init__(
        self,
        transport: Transport,
        options: Options,
        method: str,
        body: Json,
        headers: Headers,
        *,
        parallel: int = PARALLEL,
        progress: Progress | None = None,
    ) -> None:
        self._transport = transport
        self._options = options
        self._method = method
        self._body = body
        self._headers = headers
        self._parallel = max(1, parallel)
        self._progress = progress
        self._received = 0
        self._size = 0
        self._etag = ""

    async def to_path(self, given: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = True) -> Path:
        """Fetch to a path, or into a folder under the content's own name. Nothing half-written is ever there under that
        name. With `resume`, what a cut leaves behind is kept beside it for the next call; without, nothing is."""
        async with self._first() as first:
            self._size, self._etag = first.size, first.etag
            target = await asyncio.to_thread(_target, Path(given), first.filename, overwrite)
            part = Part(target, self._journal_name() if resume else None, self._size, self._etag, overwrite=overwrite)
            try:
                done = await asyncio.to_thread(part.open)
                self._report(sum(done.values()))
                await self._fetch(part, first, done)
                await asyncio.to_thread(part.finish)
            except (ConnectionFailed, ServerError, asyncio.CancelledError, KeyboardInterrupt):
                part.abandon(keep=resume)
                raise
            except BaseException:
                part.abandon(keep=False)
                raise
        return target

    def _journal_name(self) -> str:
        return hashlib.sha256(json.dumps([self._method, self._body], sort_keys=True).encode()).hexdigest()[:12]

    def _report(self, count: int) -> None:
        self._received += count
        if self._progress is not None and count:
            self._progress(self._received, self._size)

    @contextlib.asynccontextmanager
    async def _first(self) -> AsyncIterator[Content]:
        """The first part, which tells how much there is; it may be asked for again."""
        async with contextlib.AsyncExitStack() as opened:

            async def attempt() -> Content:
                content: Content
                try:
                    content = await opened.enter_async_context(self._open(0, PART_BYTES))
                except InvalidRequest as error:
                    if error.reason != "RANGE_NOT_SATISFIABLE":
                        raise
                    # There is nothing in it, so no range is inside of it.
                    content = await opened.enter_async_context(self._open(0, None))
                return content

            yield await with_retries(self._options.max_retries, attempt)

    def _open(self, offset: int, length: int | None) -> Any:
        # What has the checksum as its tag is compared with it, whole; once is enough.
        proven = SHA256_TAG.fullmatch(self._etag) is not None
        return self._transport.open(self._method, self._body, offset, length, self._headers, proven=proven)

    async def _fetch(self, part: Part, first: Content, done: dict[int, int]) -> None:
        if first.length >= self._size:
            # All of it at once: it is small, or the server knows no ranges.
            count, length = 1, self._size
        else:
            count, length = -(-self._size // PART_BYTES), PART_BYTES
        ready = [asyncio.Event() for _ in range(count)]
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                start, end = number * length, min((number + 1) * length, self._size)
                position = start + done.get(number, 0)
                # The first is open already; it is of use where nothing of it is there.
                await self._fetch_part(part, start, position, end, first if position == 0 else None)
                ready[number].set()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._prove(part, ready, length))
                for _ in range(min(self._parallel, count)):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise first_of(failures) from None

    async def _prove(self, part: Part, ready: list[asyncio.Event], length: int) -> None:
        """Compare the checksum, where the tag is one; hashed part by part, while others still come."""
        found = SHA256_TAG.fullmatch(self._etag)
        if not found:
            return
        digest = hashlib.sha256()
        for number, event in enumerate(ready):
            await event.wait()
            start = number * length
            await asyncio.to_thread(part.hash_into, digest, start, min(length, self._size - start))
        if digest.hexdigest() != found[1]:
            raise TransferDamaged("The bytes that arrived are not the bytes that were stored.")

    async def _fetch_part(self, part: Part, start: int, position: int, end: int, opened: Content | None) -> None:
        """One part, gone on with where a connection broke."""
        attempt = 0
        while position < end:
            before = position
            try:
                if opened is not None:
                    content, opened = opened, None
                    async for written in self._write(part, content, position, end):
                        position += written
                        part.note(start, position - start)
                else:
                    async with self._open(position, end - position) as content:
                        self._check_same(content, position)
                        async for written in self._write(part, content, position, end):
                            position += written
                            part.note(start, position - start)
                if position < end:
                    raise ConnectionFailed("The download stopped half-way.", reason="CONNECTION_LOST")
            except MediagateError as error:
                # Whatever moves on may go on; only tries in a row that bring nothing count.
                attempt = 1 if position > before else attempt + 1
                if not error.retryable or attempt > self._options.max_retries or isinstance(error, TransferDamaged):
                    raise
                await asyncio.sleep(pause_s(error, attempt))

    def _check_same(self, content: Content, position: int) -> None:
        if content.etag != self._etag or content.size != self._size or content.offset != position:
            raise FileChanged("The content changed while it was fetched.")

    async def _write(self, part: Part, content: Content, position: int, end: int) -> AsyncIterator[int]:
        """Write what arrives, in pieces of a size that is worth a thread; yields how much each was."""
        held: list[Bytes] = []
        size = 0
        try:
            async for chunk in content.chunks:
                held.append(chunk)
                size += len(chunk)
                if size >= WRITE_BYTES:
                    written, held = held, []
                    await asyncio.to_thread(part.write, written, position)
                    self._report(size)
                    yield size
                    position, size = position + size, 0
        except ConnectionFailed:
            # What came before the cut is good.
            if held:
                await asyncio.to_thread(part.write, held, position)
                self._report(size)
                yield size
            raise
        if held:
            await asyncio.to_thread(part.write, held, position)
            self._report(size)
            yield size
        if position + size > end:
            raise TransferDamaged("More bytes arrived than there are.")


def _target(given: Path, filename: str, overwrite: bool) -> Path:
    """The path to write. The name is a stranger's: no part of it leads out of the folder."""
    given = given.expanduser()
    try:
        if given.is_dir():
            name = filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")
            given = given / (name if name not in ("", ".", "..") else "download")
        elif not given.parent.is_dir():
            raise LocalFileError(f"The folder {str(given.parent)!r} does not exist.")
        if given.is_dir():
            raise LocalFileError(f"{str(given)!r} is a folder.")
        if not given.exists():
            return given
        if not given.is_file():
            raise LocalFileError(f"{str(given)!r} is a device or a pipe, and no file.")
    except OSError as error:
        raise LocalFileError(f"{str(given)!r} cannot be written: {error.strerror or error}.") from None
    if not overwrite:
        raise LocalFileError(f"{str(given)!r} is there already.")
    return given

"""Downloads: parts side by side into a temporary file, which gets its name when every byte is there and proven."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from mediagate_client._errors import (
    ConnectionFailed,
    DiskFull,
    FileChanged,
    InvalidRequest,
    LocalFileError,
    MediagateError,
    ServerError,
    TransferDamaged,
    first_of,
)
from mediagate_client._transport import Bytes, Content, Headers, Json, Options, Transport, pause_s, with_retries

Progress = Callable[[int, int | None], None]

PART_BYTES = 16 << 20
WRITE_BYTES = 4 << 20
READ_BYTES = 1 << 20
PARALLEL = 4
# What one call writes: for more, Linux looks for larger pages, which took five times the processor time.
PAGES_BYTES = 32 << 10
SHA256_TAG = re.compile(r'"([0-9a-f]{64})"')
FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
            part = _Part(target, self._journal_name() if resume else None, self._size, self._etag)
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

    async def _fetch(self, part: _Part, first: Content, done: dict[int, int]) -> None:
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
        except* MediagateError as failures:
            raise first_of(failures) from None

    async def _prove(self, part: _Part, ready: list[asyncio.Event], length: int) -> None:
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

    async def _fetch_part(self, part: _Part, start: int, position: int, end: int, opened: Content | None) -> None:
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

    async def _write(self, part: _Part, content: Content, position: int, end: int) -> AsyncIterator[int]:
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


if hasattr(os, "pwrite"):

    def _write_at(descriptor: int, view: memoryview, offset: int) -> int:
        return os.pwrite(descriptor, view, offset)

    def _read_at(descriptor: int, length: int, offset: int) -> bytes:
        return os.pread(descriptor, length, offset)

else:
    # Windows has one position for all who use a descriptor.
    _position = threading.Lock()

    def _write_at(descriptor: int, view: memoryview, offset: int) -> int:
        with _position:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.write(descriptor, view)

    def _read_at(descriptor: int, length: int, offset: int) -> bytes:
        with _position:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, length)


class _Part:
    """The temporary file, beside the target so that it can be renamed, and its journal where it may be resumed."""

    def __init__(self, target: Path, journal: str | None, size: int, etag: str) -> None:
        self._target = target
        # A name may be as long as the file system allows; ours must not be longer.
        stem = target.name.encode()[:120].decode("utf-8", "ignore")
        self._path = target.with_name(f".{stem}.{journal or secrets.token_hex(6)}.part")
        self._journal = self._path.with_suffix(".json") if journal else None
        self._size = size
        self._etag = etag
        self._fd = -1
        self._done: dict[int, int] = {}

    def open(self) -> dict[int, int]:
        """Open it; returns how many bytes of each part a call before has fetched, by the part's number."""
        if self._journal is not None and self._etag:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                known = json.loads(self._journal.read_text())
                if (known["etag"], known["size"], known["part_bytes"]) == (self._etag, self._size, PART_BYTES):
                    self._fd = os.open(self._path, os.O_RDWR | FLAGS)
                    self._done = {int(number): int(count) for number, count in known["done"].items()}
        if self._fd < 0:
            with self._told("written"):
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | FLAGS, 0o666)
        return dict(self._done)

    @contextlib.contextmanager
    def _told(self, what: str) -> Any:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(f"There is no room for {str(self._target)!r} ({self._size} bytes).") from None
            raise LocalFileError(f"{str(self._target)!r} cannot be {what}: {error.strerror or error}.") from None

    def write(self, chunks: list[Bytes], offset: int) -> None:
        """Write all of them, one behind the other."""
        with self._told("written"):
            for chunk in chunks:
                view = memoryview(chunk)
                for start in range(0, len(view), PAGES_BYTES):
                    piece = view[start : start + PAGES_BYTES]
                    while piece:
                        written = _write_at(self._fd, piece, offset)
                        piece, offset = piece[written:], offset + written

    def hash_into(self, digest: Any, offset: int, length: int) -> None:
        """Read a stretch back and hash it."""
        with self._told("read"):
            while length > 0:
                data = _read_at(self._fd, min(READ_BYTES, length), offset)
                if not data:
                    return
                digest.update(data)
                offset, length = offset + len(data), length - len(data)

    def note(self, start: int, count: int) -> None:
        """Remember how much of the part that begins there is written."""
        self._done[start // PART_BYTES] = count

    def _keep_journal(self) -> None:
        assert self._journal is not None
        known = {"etag": self._etag, "size": self._size, "part_bytes": PART_BYTES, "done": self._done}
        self._journal.write_text(json.dumps(known))

    def finish(self) -> None:
        """Make it durable, then give it its name."""
        with self._told("written"):
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)
            self._close()
            os.replace(self._path, self._target)
            if self._journal is not None:
                self._journal.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def abandon(self, *, keep: bool) -> None:
        """Close it, and remove it unless it shall be resumed."""
        self._close()
        if keep and self._done and self._journal is not None:
            with contextlib.suppress(OSError):
                self._keep_journal()
                return
        for path in (self._path, self._journal):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _target(given: Path, filename: str, overwrite: bool) -> Path:
    """The path to write. The name is a stranger's: no part of it leads out of the folder."""
    given = given.expanduser()
    if given.is_dir():
        name = filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")
        given = given / (name if name not in ("", ".", "..") else "download")
    elif not given.parent.is_dir():
        raise LocalFileError(f"The folder {str(given.parent)!r} does not exist.")
    if given.is_dir():
        raise LocalFileError(f"{str(given)!r} is a folder.")
    if not overwrite and given.exists():
        raise LocalFileError(f"{str(given)!r} is there already.")
    return given

"""Files on this machine's disk.

An object is written in `.incoming`, synced, and renamed into place: a crash at any moment leaves either the whole
object or a half one there. `discard` and `scan` know both. Keys come from ids only, so no user text reaches a path, and
an object's name is nowhere but in the database.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mediagate.core.objects import Page
from mediagate.providers.account import Account
from mediagate.providers.files import ListQuery, NewFile, ProviderFile, StoredBlob
from mediagate.providers.listing import page_of
from mediagate.providers.local.spec import FILES

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
READ_BYTES = 1 << 20
BUFFER_BYTES = 2 << 20
# An object below this is written with one ordinary write.
SMALL_BYTES = 1 << 20
# The strictest alignment that direct writes ask for on common disks.
ALIGNMENT = 4096
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
DIRECT: int = getattr(os, "O_DIRECT", 0)


def build(account: Account) -> LocalFiles:
    """The store in the folder `root` of the account's options; `fsync` is off where that option is false."""
    root = account.option("root")
    if root is None:
        raise ValueError("the local store has no folder")
    return LocalFiles(Path(root), fsync=bool(account.options.get("fsync", True)))


class LocalFiles:
    """Keeps objects under `root`. With `fsync` a commit survives the loss of power, at the cost of a wait. A reference
    is the key that the object was made with."""

    spec = FILES

    def __init__(self, root: Path, *, fsync: bool, threads: int = 8) -> None:
        self._root = root
        self._incoming = root / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._fsync = fsync
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="local-files")

    def path(self, ref: str) -> Path:
        """Where an object lies. Raises `ValueError` for a reference that this store never gave."""
        if not _KEY.fullmatch(ref):
            raise ValueError("not a key of this store")
        return self._root / ref[-2:] / ref

    async def create(self, new: NewFile) -> LocalWriter:
        """Begin an object. A key is used once."""
        final = self.path(new.key)
        temporary = self._incoming / new.key
        descriptor = await _opened(self._pool, temporary, NEW)
        return LocalWriter(self._pool, descriptor, temporary, final, new.key, fsync=self._fsync)

    async def open(self, ref: str, *, content_type: str = "application/octet-stream", etag: str = "") -> LocalContent:
        """Raises `FileNotFoundError` where the object is gone."""
        size = (await self._stat(ref)).st_size
        return LocalContent(self._pool, self.path(ref), size, content_type, etag)

    async def get(self, ref: str) -> ProviderFile:
        """Raises `FileNotFoundError` where the object is gone."""
        return _record(ref, await self._stat(ref))

    async def _stat(self, ref: str) -> os.stat_result:
        try:
            path = self.path(ref)
        except ValueError:
            raise FileNotFoundError(ref) from None
        return await asyncio.get_running_loop().run_in_executor(self._pool, os.stat, path)

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """A page of all objects; every folder is read for it."""
        return page_of([file async for file in self.scan()], query)

    async def delete(self, ref: str) -> None:
        """Deleting what is absent succeeds."""
        await self.delete_many([ref])

    async def delete_many(self, refs: Sequence[str]) -> None:
        """The same for many at once."""
        # In this order: a commit in between has moved it to where it is removed next.
        paths = [path for ref in refs for path in (self._incoming / ref, self.path(ref))]
        await asyncio.get_running_loop().run_in_executor(self._pool, _remove, *paths)

    async def discard(self, key: str) -> None:
        """The key is the reference, of what is half-written too."""
        await self.delete_many([key])

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)

    async def scan(
        self, *, since: datetime | None = None, before: datetime | None = None
    ) -> AsyncIterator[ProviderFile]:
        """Yield what was last written in that time, whole or half, folder by folder."""
        loop = asyncio.get_running_loop()
        bounds = (since.timestamp() if since else 0.0, before.timestamp() if before else float("inf"))
        # Nothing came into a folder later than the folder's own time. What is half lies where it is written.
        folders = await loop.run_in_executor(self._pool, _folders, self._root, bounds[0])
        for folder in {self._incoming, *folders}:
            for name, stat in await loop.run_in_executor(self._pool, _written, folder, *bounds):
                if _KEY.fullmatch(name):
                    yield _record(name, stat)


class LocalWriter:
    """One object on its way to the disk: one buffer fills while a thread writes the other.

    Large objects go past the page cache where the file system allows it: to fill the cache with bytes that nobody asked
    for cost more processor time than to hash them (measured), and `fsync` then has next to nothing to wait for.
    """

    def __init__(
        self, pool: ThreadPoolExecutor, descriptor: int, temporary: Path, final: Path, key: str, *, fsync: bool
    ) -> None:
        self._pool = pool
        self._descriptor = descriptor
        self._temporary = temporary
        self._final = final
        self._key = key
        self._fsync = fsync
        self._size_bytes = 0
        self._filling = bytearray()
        self._filled = 0
        self._buffers: list[mmap.mmap] = []
        self._running: asyncio.Future[Any] | None = None

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; at most one buffer is being written while the other one fills."""
        if not self._buffers:
            self._filling += chunk
            if len(self._filling) < SMALL_BYTES:
                return
            # Anonymous maps begin on a page, as direct writes want it.
            self._buffers = [mmap.mmap(-1, BUFFER_BYTES), mmap.mmap(-1, BUFFER_BYTES)]
            chunk, self._filling = bytes(self._filling), bytearray()
        view = memoryview(chunk)
        while view:
            taken = min(len(view), BUFFER_BYTES - self._filled)
            self._buffers[0][self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]
            if self._filled == BUFFER_BYTES:
                await self._turn()

    async def _turn(self) -> None:
        """Hand the full buffer to a thread and go on with the other, once that has been written."""
        await self._settle()
        self._begin(self._buffers[0], self._filled)
        self._buffers.reverse()
        self._filled = 0

    def _begin(self, buffer: mmap.mmap | bytearray, length: int) -> None:
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(self._pool, self._write_out, buffer, length)

    async def _settle(self) -> None:
        if self._running is not None:
            # Shielded: a thread that writes cannot be cancelled, and its buffer and descriptor must outlive it.
            await asyncio.shield(self._running)
            self._running = None

    def _write_out(self, buffer: mmap.mmap | bytearray, length: int) -> None:
        if self._size_bytes == 0 and length == BUFFER_BYTES:
            _write_directly(self._descriptor, True)
        self._size_bytes += length
        with memoryview(buffer) as whole, whole[:length] as view:
            done = 0
            while done < length:
                if (length - done) % ALIGNMENT:
                    _write_directly(self._descriptor, False)
                done += os.write(self._descriptor, view[done:])

    async def commit(self) -> StoredBlob:
        """Sync and rename into place."""
        await self._settle()
        last, length = (self._buffers[0], self._filled) if self._buffers else (self._filling, len(self._filling))
        if length:
            self._begin(last, length)
            await self._settle()
        self._running = asyncio.get_running_loop().run_in_executor(self._pool, self._publish)
        await self._settle()
        return StoredBlob(ref=self._key, size_bytes=self._size_bytes)

    def _publish(self) -> None:
        if self._fsync:
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._final.parent.mkdir(exist_ok=True)
        os.replace(self._temporary, self._final)
        if self._fsync:
            _sync_folder(self._final.parent)

    async def abort(self) -> None:
        """Leave nothing behind, not even what a commit has just published."""
        if self._running is not None:
            # The thread may be in the middle of a write to the descriptor that is about to be closed, or about to
            # publish what is about to be removed.
            await asyncio.wait([asyncio.ensure_future(self._running)])
        await asyncio.get_running_loop().run_in_executor(self._pool, self._discard)

    def _discard(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _remove(self._temporary, self._final)


class LocalContent:
    """Readable bytes of one object."""

    def __init__(self, pool: ThreadPoolExecutor, path: Path, size_bytes: int, content_type: str, etag: str) -> None:
        self._pool = pool
        self._path = path
        self.size_bytes = size_bytes
        self.content_type = content_type
        self.etag = etag

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, reading one chunk ahead."""
        descriptor = await _opened(self._pool, self._path, os.O_RDONLY)
        reading: asyncio.Future[bytes] | None = None
        try:
            while start < end:
                if reading is None:
                    reading = self._pread(descriptor, start, end)
                # Shielded: a thread that is reading cannot be cancelled, and must not read a closed descriptor.
                chunk = await asyncio.shield(reading)
                if not chunk:
                    raise OSError("the object is shorter than it was")
                start += len(chunk)
                reading = self._pread(descriptor, start, end) if start < end else None
                yield chunk
        finally:
            if reading is not None and not reading.done():
                reading.add_done_callback(lambda _: os.close(descriptor))
            else:
                os.close(descriptor)

    def _pread(self, descriptor: int, start: int, end: int) -> asyncio.Future[bytes]:
        length = min(READ_BYTES, end - start)
        return asyncio.get_running_loop().run_in_executor(self._pool, os.pread, descriptor, length, start)


def _write_directly(descriptor: int, wanted: bool) -> None:
    """Switch direct writes on or off; a file system that has none goes on through the page cache."""
    if DIRECT:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | DIRECT if wanted else flags & ~DIRECT)


async def _opened(pool: ThreadPoolExecutor, path: Path, flags: int) -> int:
    """The descriptor that a thread opens; where the caller goes away it is closed, and what is new removed."""
    opening = asyncio.get_running_loop().run_in_executor(pool, os.open, path, flags, 0o600)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(partial(_close_again, path, flags))
        raise


def _close_again(path: Path, flags: int, opening: asyncio.Future[int]) -> None:
    if opening.exception() is None:
        os.close(opening.result())
        if flags == NEW:
            _remove(path)


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _folders(root: Path, since: float) -> list[Path]:
    """Folders that something came into or went out of in that time."""
    with os.scandir(root) as entries:
        return [Path(entry) for entry in entries if entry.is_dir() and entry.stat().st_mtime >= since]


def _written(folder: Path, since: float, before: float) -> list[tuple[str, os.stat_result]]:
    """The files that were last written in that time."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and since <= entry.stat().st_mtime < before:
                    found.append((entry.name, entry.stat()))
    return found


def _record(key: str, stat: os.stat_result) -> ProviderFile:
    written = datetime.fromtimestamp(stat.st_mtime, UTC)
    return ProviderFile(key, key, stat.st_size, written, key=key)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

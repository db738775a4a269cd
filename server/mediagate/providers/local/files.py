"""Files on this machine's disk.

An object is written in `.incoming`, synced, and renamed into place: a crash at any moment leaves either the whole
object or a half one there. `delete` and `list_refs` know both. Keys come from ids only, so no user text reaches a path.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import mmap
import os
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from mediagate.providers.base import StoredBlob

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
READ_BYTES = 1 << 20
BUFFER_BYTES = 2 << 20
# An object below this is written with one ordinary write.
SMALL_BYTES = 1 << 20
# The strictest alignment that direct writes ask for on common disks.
ALIGNMENT = 4096
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
DIRECT: int = getattr(os, "O_DIRECT", 0)


class LocalFiles:
    """Keeps objects under `root`. With `fsync` a commit survives the loss of power, at the cost of a wait."""

    name = "local"

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

    async def create(self, key: str) -> LocalWriter:
        """Begin an object. A key is used once."""
        final = self.path(key)
        temporary = self._incoming / key
        descriptor = await _opened(self._pool, temporary, NEW)
        return LocalWriter(self._pool, descriptor, temporary, final, key, fsync=self._fsync)

    async def open(self, ref: str, *, content_type: str = "application/octet-stream", etag: str = "") -> LocalContent:
        """Raises `FileNotFoundError` where the object is gone."""
        path = self.path(ref)
        size = (await asyncio.get_running_loop().run_in_executor(self._pool, os.stat, path)).st_size
        return LocalContent(self._pool, path, size, content_type, etag)

    async def delete(self, ref: str) -> None:
        """Deleting what is absent succeeds."""
        final = self.path(ref)
        # In this order: a commit in between has moved it to where it is removed next.
        await asyncio.get_running_loop().run_in_executor(self._pool, _remove, self._incoming / ref, final)

    async def list_refs(self, *, since: datetime, before: datetime) -> AsyncIterator[str]:
        """Yield the references of what was last written in that time, whole or half, folder by folder."""
        loop = asyncio.get_running_loop()
        bounds = (since.timestamp(), before.timestamp())
        # Nothing came into a folder later than the folder's own time. What is half lies where it is written.
        folders = await loop.run_in_executor(self._pool, _folders, self._root, bounds[0])
        for folder in {self._incoming, *folders}:
            for name in await loop.run_in_executor(self._pool, _written, folder, *bounds):
                if _KEY.fullmatch(name):
                    yield name


class LocalWriter:
    """One object on its way to the disk: one buffer fills while a thread hashes and writes the other.

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
        self._sha256 = hashlib.sha256()
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
        """Hash and write at the same time: the one keeps a core busy, the other waits for the disk."""
        loop = asyncio.get_running_loop()
        hashing = loop.run_in_executor(self._pool, self._hash, buffer, length)
        writing = loop.run_in_executor(self._pool, self._write_out, buffer, length)
        self._running = asyncio.gather(hashing, writing)

    async def _settle(self) -> None:
        if self._running is not None:
            # Shielded: a thread that writes cannot be cancelled, and its buffer and descriptor must outlive it.
            await asyncio.shield(self._running)
            self._running = None

    def _hash(self, buffer: mmap.mmap | bytearray, length: int) -> None:
        with memoryview(buffer) as whole, whole[:length] as view:
            self._sha256.update(view)

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
        return StoredBlob(ref=self._key, size_bytes=self._size_bytes, sha256=self._sha256.hexdigest())

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


def _written(folder: Path, since: float, before: float) -> list[str]:
    """Names of the files that were last written in that time."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and since <= entry.stat().st_mtime < before:
                    names.append(entry.name)
    return names


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

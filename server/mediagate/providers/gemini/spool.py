"""Bytes of unknown length on their way to a provider that wants to know the length first."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mediagate.core.errors import Unavailable

MEMORY_BYTES = 1 << 20
Result = TypeVar("Result")


class Spool:
    """Holds up to `MEMORY_BYTES` itself and everything beyond in a file that has no name, so that nothing is left on
    the disk even when the process is killed."""

    def __init__(self, folder: str | None, threads: Executor) -> None:
        self._folder = folder
        self._threads = threads
        self._fresh = bytearray()
        self._file: BinaryIO | None = None
        self._busy: asyncio.Future[Any] | None = None
        self.size_bytes = 0

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes. Raises `Unavailable` where the disk takes no more."""
        self._fresh += chunk
        self.size_bytes += len(chunk)
        if len(self._fresh) > MEMORY_BYTES:
            full, self._fresh = self._fresh, bytearray()
            await self._run(lambda: self._append(full))

    def _append(self, data: bytearray) -> None:
        if self._file is None:
            if self._folder is not None:
                Path(self._folder).mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed by `close`)
        self._file.write(data)

    async def rewind(self) -> None:
        """End the writing; `read` begins at the first byte."""
        if self._file is not None:
            full, self._fresh = self._fresh, bytearray()
            await self._run(lambda: self._append(full))
            await self._run(self._to_start)

    def _to_start(self) -> None:
        assert self._file is not None
        self._file.seek(0)

    async def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        if self._file is None:
            part = bytes(self._fresh[:size])
            del self._fresh[:size]
            return part
        file = self._file
        return await self._run(lambda: file.read(size))

    async def _run(self, work: Callable[[], Result]) -> Result:
        # A caller that is cancelled leaves the thread running; `close` waits for it.
        busy = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._busy = busy
        try:
            return await asyncio.shield(busy)
        except OSError:
            raise Unavailable(
                "The gateway has no room for this file. Try again later.", code="gateway_storage_full"
            ) from None

    async def close(self) -> None:
        """Give the bytes up; safe when called twice."""
        if self._busy is not None:
            await asyncio.wait([self._busy])
            if not self._busy.cancelled():
                self._busy.exception()
        file, self._file = self._file, None
        self._fresh = bytearray()
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

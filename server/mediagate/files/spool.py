"""Bytes that wait on disk until the fields behind them say where they go.

The file has no name: whatever kills this process takes it along.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

READ_BYTES = 1 << 20


class Spool:
    """One file's bytes. Holds at most one chunk in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self.size_bytes = 0

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size_bytes += len(chunk)
        await asyncio.shield(asyncio.to_thread(self._write, chunk))

    def _write(self, chunk: bytes) -> None:
        self._opened().write(chunk)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed by `close`)
        return self._file

    def fileno(self) -> int:
        """The descriptor of the file, with all that came so far in it; good until `close`."""
        file = self._opened()
        file.flush()
        return file.fileno()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield all bytes from the beginning."""
        if self._file is not None:
            await asyncio.to_thread(self._file.seek, 0)
            while chunk := await asyncio.to_thread(self._file.read, READ_BYTES):
                yield chunk

    def close(self) -> None:
        """Give the space back."""
        if self._file is not None:
            self._file.close()
            self._file = None

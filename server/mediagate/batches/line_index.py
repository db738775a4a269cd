"""Which `custom_id` each line of an input had, on disk, so that a million of them take some MiB of memory."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO

from mediagate.batches.cut_lines import LineCutter
from mediagate.core.limits import MIB


class LineIndex:
    """`custom_id`s as JSON, by the number of their line from 0. The file has no name: whatever kills this process takes
    it along."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`)
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        """Take what `PrepareBatch` has kept: one JSON text for each line."""
        cutter = LineCutter(MIB)
        async for chunk in chunks:
            self._add(cutter.feed(chunk))
        self._add(cutter.end())
        self._file.flush()

    def _add(self, lines: Sequence[bytes]) -> None:
        end = self._ends[-1]
        for line in lines:
            self._file.write(line)
            end += len(line)
            self._ends.append(end)

    def of(self, ordinal: int) -> bytes:
        """The `custom_id` of a line, in JSON. Raises `IndexError` for a line that the input does not have."""
        if not 0 <= ordinal < len(self._ends) - 1:
            raise IndexError(ordinal)
        start = self._ends[ordinal]
        return os.pread(self._file.fileno(), self._ends[ordinal + 1] - start, start)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

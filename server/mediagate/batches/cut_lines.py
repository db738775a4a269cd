"""Bytes that come in chunks of any size, cut into lines. Memory is bounded by the longest line that is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
TOO_LONG: Final = b"\n"
"""Stands for a line that has more bytes than may be held; no line has a line break in it."""


class LineCutter:
    """Cuts one text. The line breaks are left out."""

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._dropping = False
        self._first = True

    def feed(self, chunk: bytes) -> Sequence[bytes]:
        """The lines that end in `chunk`; `TOO_LONG` in the place of one that is."""
        if self._first and chunk:
            self._first = False
            chunk = chunk.removeprefix(_BOM)
        head, found, rest = chunk.partition(b"\n")
        if not found:
            self._hold(head)
            return ()
        self._hold(head)
        first = self._take()
        lines = rest.split(b"\n")
        self._hold(lines.pop())
        if len(rest) > self._line_bytes_max:
            lines = [line if len(line) <= self._line_bytes_max else TOO_LONG for line in lines]
        return [first, *lines]

    def end(self) -> Sequence[bytes]:
        """The last line, where the text does not end with a line break."""
        return [self._take()] if self._begun or self._dropping else ()

    def _hold(self, piece: bytes) -> None:
        if not piece or self._dropping:
            return
        self._begun_bytes += len(piece)
        if self._begun_bytes > self._line_bytes_max:
            self._dropping = True
            self._begun = []
        else:
            self._begun.append(piece)

    def _take(self) -> bytes:
        line = TOO_LONG if self._dropping else b"".join(self._begun)
        self._begun, self._begun_bytes, self._dropping = [], 0, False
        return line

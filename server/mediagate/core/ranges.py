"""Partial and conditional reads, by RFC 9110: `Range`, `If-None-Match`, `If-Range`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mediagate.core.errors import RangeNotSatisfiable

# 300 digits are more than any size has, and fewer than Python refuses to read as a number.
_BYTE_RANGE: Final = re.compile(r"[ \t]*bytes=[ \t]*([0-9]{0,300})-([0-9]{0,300})[ \t]*", re.IGNORECASE)
_ETAG: Final = re.compile(r'[ \t]*(W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")[ \t]*')


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, not including, `end_exclusive` of a body of `size_bytes`; never empty."""

    start: int
    end_exclusive: int
    size_bytes: int

    @property
    def length_bytes(self) -> int:
        """How many bytes the range has."""
        return self.end_exclusive - self.start

    @property
    def content_range(self) -> str:
        """The value of the answer's `Content-Range` header."""
        return f"bytes {self.start}-{self.end_exclusive - 1}/{self.size_bytes}"


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """Return what a `Range` header asks for, or None where the whole body is the answer: no header, another unit,
    several ranges, a malformed header, or the last bytes of an empty body.

    Raises `RangeNotSatisfiable`, whose metadata hold the answer's `content_range`, where no byte lies in the range.
    """
    match = _BYTE_RANGE.fullmatch(header) if header is not None else None
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start = int(match[1])
        end_exclusive = int(match[2]) + 1 if match[2] else max(start + 1, size_bytes)
        if end_exclusive <= start:
            return None
    else:
        suffix_bytes = int(match[2])
        if suffix_bytes and not size_bytes:
            return None
        start, end_exclusive = max(0, size_bytes - suffix_bytes), size_bytes
    if start >= size_bytes:
        raise RangeNotSatisfiable(
            f"The range lies outside the content, which has {size_bytes} bytes.",
            content_range=f"bytes */{size_bytes}",
        )
    return ByteRange(start, min(end_exclusive, size_bytes), size_bytes)


def etag_matches(header: str, etag: str, *, strong: bool = False) -> bool:
    """Tell whether a validator header names `etag`, which is given as in an `ETag` header, quotes included.

    The weak comparison is the one for `If-None-Match`: a list of tags, or `*` for any. The strong one is for
    `If-Range`: weak tags, `*` and dates never match, so the answer to a doubtful one is the whole body.
    """
    if not strong and header.strip(" \t") == "*":
        return True
    own = _ETAG.fullmatch(etag)
    if own is None or (strong and own[1]):
        return False
    found = False
    position = 0
    while match := _ETAG.match(header, position):
        found = found or (match[2] == own[2] and not (strong and match[1]))
        position = match.end()
        if position == len(header):
            return found
        if header[position] != ",":
            break
        position += 1
    return False

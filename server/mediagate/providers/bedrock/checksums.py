"""CRC-32 as S3 writes it, and the CRC of a whole from those of its parts."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

_POLYNOMIAL: Final = 0xEDB88320
# What both sides of a comparison may have. Composite values, which end in a count of parts, depend on the parts.
_NAMES: Final = ("ChecksumCRC64NVME", "ChecksumCRC32", "ChecksumCRC32C", "ChecksumSHA256", "ChecksumSHA1")


def crc32(data: bytes | bytearray | memoryview) -> int:
    """The CRC-32 of `data`."""
    return zlib.crc32(data)


def encoded(crc: int) -> str:
    """Base 64 of the four bytes in network order, which is how S3 writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode("ascii")


def combined(first: int, second: int, second_bytes: int) -> int:
    """The CRC-32 of two texts in a row, from theirs and the length of the second: the parts of an upload are checked
    in several threads, the whole needs no pass of its own."""
    for operator in _shift(second_bytes):
        first = _times(operator, first)
    return first ^ second


def contradict(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two answers of S3 hold the same kind of checksum of a whole object with different values."""
    for name in _NAMES:
        values = one.get(name), other.get(name)
        if all(value and "-" not in value for value in values):
            return values[0] != values[1]
    return False


@lru_cache(maxsize=64)
def _shift(length_bytes: int) -> tuple[tuple[int, ...], ...]:
    """The matrices over GF(2) that together append so many zero bytes; parts have few different lengths."""
    operator = _squared(_squared(_squared((_POLYNOMIAL, *(1 << bit for bit in range(31))))))
    chosen = []
    while length_bytes:
        if length_bytes & 1:
            chosen.append(operator)
        length_bytes >>= 1
        operator = _squared(operator)
    return tuple(chosen)


def _squared(operator: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_times(operator, column) for column in operator)


def _times(operator: tuple[int, ...], vector: int) -> int:
    result = 0
    for column in operator:
        if not vector:
            break
        if vector & 1:
            result ^= column
        vector >>= 1
    return result

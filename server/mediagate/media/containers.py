"""The outer structure of video files: whether all of a file is there, without decoding any of it.

An MP4 (ISO/IEC 14496-12) is a row of boxes and a WebM (RFC 8794, RFC 9559) one of elements; each begins with its own
length. So what was cut off shows in the last of them, or in one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

_BOXES_MAX: Final = 200_000
_MP4_FIRST: Final = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid"})
_EBML: Final = 0x1A45DFA3
_SEGMENT: Final = 0x18538067
_CLUSTER: Final = 0x1F43B675
_TRACKS: Final = 0x1654AE6B


class Kind(StrEnum):
    """A container that videos come in."""

    MP4 = "mp4"
    WEBM = "webm"


class BadVideo(Exception):
    """These bytes are no whole video. The text is safe to show to an end user."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A whole video, measured in the file itself: seconds, and pixels as a player shows them."""

    duration_s: float
    width: int
    height: int
    has_audio: bool
    content_type: str


def kind_of_whole(file: BinaryIO, size_bytes: int) -> Kind:
    """What kind of video file it is, from its beginning to its end. Raises `BadVideo` where it is none, or cut off."""
    file.seek(0)
    head = file.read(12)
    if head[4:8] in _MP4_FIRST:
        _require_mp4(file, size_bytes)
        return Kind.MP4
    if head[:4] == _EBML.to_bytes(4, "big"):
        _require_webm(file, size_bytes)
        return Kind.WEBM
    raise BadVideo("The provider's output is not a video.")


def _require_mp4(file: BinaryIO, size_bytes: int) -> None:
    found = set(_boxes(file, size_bytes))
    if b"moov" not in found or found.isdisjoint({b"mdat", b"moof"}):
        raise _cut_off()


def _boxes(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """The types of the boxes that the file is made of. Raises `BadVideo` where the last one has no end."""
    at = 0
    for _ in range(_BOXES_MAX):
        if at == size_bytes:
            return
        file.seek(at)
        header = file.read(16)
        if not any(header) and not any(file.read(64)):
            # Some writers pad with zeros.
            return
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        smallest = 8
        if length == 1:
            length, smallest = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size_bytes - at
        if len(header) < smallest or length < smallest or at + length > size_bytes:
            raise _cut_off()
        yield name
        at += length
    raise BadVideo("The provider's output has too many parts.")


def _require_webm(file: BinaryIO, size_bytes: int) -> None:
    segment: tuple[int, int] | None = None
    for name, start, end in _elements(file, 0, size_bytes):
        if name == _SEGMENT:
            segment = start, end
    if segment is None:
        raise _cut_off()
    found = {name for name, _, _ in _elements(file, *segment)}
    if not {_TRACKS, _CLUSTER} <= found:
        raise _cut_off()


def _elements(file: BinaryIO, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Id, first and last offset of the content of the elements between two offsets. One of unknown length, as live
    streams have, reaches to the end."""
    for _ in range(_BOXES_MAX):
        if at == end:
            return
        file.seek(at)
        header = file.read(12)
        name, of_name = _vint(header, marked=True)
        length, of_length = _vint(header[of_name:], marked=False)
        start = at + of_name + of_length
        if start > end:
            raise _cut_off()
        if length == (1 << 7 * of_length) - 1:
            length = end - start
        if start + length > end:
            raise _cut_off()
        yield name, start, start + length
        at = start + length
    raise BadVideo("The provider's output has too many parts.")


def _vint(data: bytes, *, marked: bool) -> tuple[int, int]:
    """A number of variable length and its length; `marked` keeps the bit that tells the length, as ids do."""
    if not data or data[0] == 0:
        raise _cut_off()
    length = 9 - data[0].bit_length()
    if len(data) < length:
        raise _cut_off()
    number = int.from_bytes(data[:length], "big")
    return (number if marked else number & (1 << 7 * length) - 1), length


def _cut_off() -> BadVideo:
    return BadVideo("The provider's video is not whole.")

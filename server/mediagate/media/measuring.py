"""What a decoder finds in a video that a stranger made. Runs in a process of its own only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from mediagate.media.containers import BadVideo, Kind, Measured, kind_of_whole

PIXELS_MAX: Final = 8192 * 4608
SECONDS_MAX: Final = 3600.0
# How far what a file claims may lie from what it holds: players forgive as much.
SLACK_S: Final = 1.0
SLACK_PART: Final = 0.1
CONTENT_TYPES: Final = {Kind.MP4: "video/mp4", Kind.WEBM: "video/webm"}
# A file that names others, or hosts, reaches none: one protocol, and one format at a time.
_FORMATS: Final = {Kind.MP4: "mp4", Kind.WEBM: "matroska"}
_OPTIONS: Final = {"protocol_whitelist": "file"}
BAD_BYTES: Final = (av.FFmpegError, ArithmeticError, EOFError, LookupError, MemoryError, ValueError)
"""What reading hostile bytes raises."""


def measure(path: Path) -> Measured:
    """Read all packets and decode the first picture. Raises `BadVideo`."""
    with path.open("rb") as file:
        kind = kind_of_whole(file, path.stat().st_size)
    try:
        with opened(path, kind) as (container, stream):
            duration_s = _duration_s(container, stream)
            has_audio = bool(container.streams.audio)
        # Anew, because the packets are spent.
        with opened(path, kind) as (container, stream):
            first = next(iter(container.decode(stream)), None)
            if first is None:
                raise BadVideo("The provider's video has no picture that can be decoded.")
            width, height = _shown(first.width, first.height, first.rotation)
    except BAD_BYTES as error:
        raise BadVideo("The provider's video cannot be decoded.") from error
    return Measured(round(duration_s, 6), width, height, has_audio, CONTENT_TYPES[kind])


@contextmanager
def opened(path: Path, kind: Kind) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video and its picture stream. Raises `BadVideo`, and what `BAD_BYTES` names."""
    with closing(av.open(str(path), format=_FORMATS[kind], options=dict(_OPTIONS))) as container:
        streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
        if streams and streams[0].codec_context is None:
            raise BadVideo("The provider's video is in a format that is not known here.")
        if not streams:
            raise BadVideo("The provider's output has no picture.")
        if not 0 < streams[0].width * streams[0].height <= PIXELS_MAX:
            raise BadVideo("The provider's video has a picture of an impossible size.")
        streams[0].codec_context.thread_count = 1
        yield container, streams[0]


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    """How long the pictures last, by the packets that are there. Raises `BadVideo` where there are fewer than the file
    claims."""
    if stream.time_base is None:
        raise BadVideo("The provider's video cannot be decoded.")
    begin: int | None = None
    end, packets, longest = 0, 0, 0
    for packet in container.demux(stream):
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is None or packet.is_discard:
            continue
        if packet.is_corrupt:
            raise BadVideo("The provider's video is not whole.")
        begin = moment if begin is None else min(begin, moment)
        end = max(end, moment + (packet.duration or 0))
        longest = max(longest, moment)
        packets += 1
    if begin is None:
        raise BadVideo("The provider's video has no picture.")
    duration_s = float((end - begin) * stream.time_base)
    if end == longest and packets > 1:
        # No packet says how long it is shown: the last one as long as the others on the average.
        duration_s *= packets / (packets - 1)
    claimed_s = float(stream.duration * stream.time_base) if stream.duration else duration_s
    if claimed_s - duration_s > max(SLACK_S, SLACK_PART * claimed_s):
        raise BadVideo("The provider's video is shorter than it claims.")
    if not 0 < duration_s <= SECONDS_MAX:
        raise BadVideo("The provider's video has an impossible length.")
    return duration_s


def _shown(width: int, height: int, rotation: int) -> tuple[int, int]:
    return (height, width) if rotation % 180 else (width, height)

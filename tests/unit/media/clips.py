"""Videos made for tests, whole ones of every shape that providers send."""

from __future__ import annotations

import io
import struct
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The type of the box that holds content credentials, by the C2PA specification."""


def clip(
    seconds: float = 2.0,
    *,
    width: int = 64,
    height: int = 36,
    form: str = "mp4",
    options: dict[str, str] | None = None,
    sound: bool = False,
) -> bytes:
    """A video whose brightness rises, so that every picture tells its time."""
    with (
        tempfile.NamedTemporaryFile() as made,
        av.open(made.name, "w", format=form, options=options or {}) as container,
    ):
        codec = "libvpx" if form == "webm" else "libx264"
        stream = container.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        tone = container.add_stream("libopus" if form == "webm" else "aac", rate=48_000) if sound else None
        total = round(seconds * 24)
        for number in range(total):
            level = 20 + 200 * number // total
            frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), (level, level, level)))
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone is not None:
            _hum(container, tone, seconds)
        container.close()
        return Path(made.name).read_bytes()


def sound_alone(seconds: float = 1.0) -> bytes:
    """An MP4 without a picture."""
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        _hum(container, container.add_stream("aac", rate=48_000), seconds)
    return made.getvalue()


def _hum(container: Any, stream: Any, seconds: float) -> None:
    step = 960
    for at in range(0, round(48_000 * seconds), step):
        frame = av.AudioFrame(format="s16", layout="mono", samples=step)
        frame.planes[0].update(bytes(2 * step))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def box(name: bytes, content: bytes) -> bytes:
    """A box of an MP4."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def with_credentials(video: bytes) -> bytes:
    """The same MP4 with a box of content credentials, which players pass over."""
    return video + box(b"uuid", C2PA_UUID + b"\0\0\0\0manifest\0" + bytes(range(256)))


def in_boxes(video: bytes, *names: bytes) -> tuple[int, int]:
    """Where the content of a nested box begins and ends."""
    start, end = 0, len(video)
    for name in names:
        while video[start + 4 : start + 8] != name:
            start += int.from_bytes(video[start : start + 4], "big")
        start, end = start + 8, start + int.from_bytes(video[start : start + 4], "big")
    return start, end


def patched(video: bytes, at: int, value: int, length: int = 4) -> bytes:
    """The same with another number in one place."""
    return video[:at] + value.to_bytes(length, "big") + video[at + length :]

"""The inputs of a video: reading images and source videos that strangers made. Runs in the renderer's process only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from mediagate.providers.local.pictures import Planes, cover, planes_of
from mediagate.providers.local.video_job import FPS

IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
IMAGE_BYTES_MAX: Final = 64 * 1024 * 1024
IMAGE_PIXELS_MAX: Final = 25_000_000
VIDEO_PIXELS_MAX: Final = 4096 * 2304
VIDEO_SECONDS_MAX: Final = 180

# Formats that are one self-contained file: playlists could name other files and hosts, and no protocol reaches those.
_OPTIONS: Final = {"format_whitelist": "mov,mp4,m4a,matroska,webm,avi,mpegts,gif", "protocol_whitelist": "file"}
_SCALABLE: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"})
_EXIF_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadInput(Exception):
    """An input that cannot be used. The text is safe to show to an end user."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


def bad_image(message: str = "The reference image cannot be read. Send a JPEG, PNG, WebP or GIF image.") -> BadInput:
    return BadInput("input_reference", "invalid_image", message)


def bad_video(message: str = "The source video cannot be read. Send an MP4, MOV, WebM or MKV video.") -> BadInput:
    return BadInput("video", "invalid_video", message)


def load_image(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return the image as RGB pixels that cover exactly `size`, upright. Raises `BadInput`.

    What it would take in memory is known from its header, and refused, before a pixel is decoded.
    """
    if path.stat().st_size > IMAGE_BYTES_MAX:
        raise bad_image("The reference image has more than 64 MiB.")
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if image.width * image.height > IMAGE_PIXELS_MAX:
                raise bad_image(f"The reference image has more than {IMAGE_PIXELS_MAX // 1_000_000} million pixels.")
            turn = _TURNS.get(image.getexif().get(_EXIF_ORIENTATION, 1))
            sideways = turn in {_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]}
            image.draft("RGB", size[::-1] if sideways else size)
            readable = image if image.mode in _SCALABLE else image.convert("RGB")
            # Band by band: scaling transparent pixels as a whole would copy the large image first.
            bands = [cover(readable.getchannel(band), size[::-1] if sideways else size) for band in readable.getbands()]
            covering = Image.merge(readable.mode, bands).convert("RGB")
            return covering.transpose(turn) if turn is not None else covering
    except BadInput:
        raise
    except Exception as error:
        # Pillow's readers raise nearly everything on hostile bytes; all of it means the same.
        raise bad_image() from error


class SourceVideo:
    """A source video, read at the renderer's frame rate. Raises `BadInput` when made and while frames are read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with closing(self._open()) as container:
                stream = self._picture_stream(container)
                seconds = _duration_s(container, stream)
        except BadInput:
            raise
        except Exception as error:
            raise bad_video() from error
        if seconds > VIDEO_SECONDS_MAX:
            raise bad_video(f"The source video is longer than {VIDEO_SECONDS_MAX} seconds.")
        self.frames_total = max(1, round(seconds * FPS))

    def check(self) -> None:
        """Decode the first frame."""
        next(self.frames((16, 16)))

    def frames(self, size: tuple[int, int]) -> Iterator[Planes]:
        """Yield `frames_total` frames that cover `size`: at each moment the one that a player would show.

        A video that ends before its declared duration is held at its last frame.
        """
        made = 0
        origin: float | None = None
        shown: av.VideoFrame | None = None
        picture: Planes | None = None
        try:
            with closing(self._open()) as container:
                stream = self._picture_stream(container)
                for frame in container.decode(stream):
                    begins_s = frame.time if frame.time is not None else (made + 1) / FPS
                    origin = begins_s if origin is None else origin
                    while shown is not None and made < self.frames_total and made / FPS < begins_s - origin - 0.01:
                        picture = picture or planes_of(shown, size)
                        yield picture
                        made += 1
                    shown, picture = frame, None
                if shown is None:
                    raise bad_video()
                picture = planes_of(shown, size)
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise bad_video() from error
        for _ in range(made, self.frames_total):
            yield picture

    def _open(self) -> InputContainer:
        return av.open(str(self._path), options=dict(_OPTIONS))

    def _picture_stream(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise bad_video("The source video has no picture.")
        stream = container.streams.video[0]
        if not 0 < stream.width * stream.height <= VIDEO_PIXELS_MAX:
            raise bad_video("The source video's picture is larger than 4096x2304.")
        stream.codec_context.thread_count = 1
        return stream


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return container.duration / av.time_base
    end = 0
    for packet in container.demux(stream):
        end = max(end, (packet.pts or 0) + (packet.duration or 0))
    return float(end * stream.time_base) if stream.time_base else 0.0

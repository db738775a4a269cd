"""The small pictures of a finished video: one from its middle, and a sheet of twenty from all over it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import av
from PIL import Image

from mediagate.media.containers import BadVideo, kind_of_whole
from mediagate.media.measuring import BAD_BYTES, measure, opened

SHEET_COLUMNS: Final = 5
SHEET_ROWS: Final = 4
SHEET_TILE_PX: Final = 256
THUMBNAIL_PX: Final = 480
THUMBNAIL_TYPE: Final = "image/webp"
SHEET_TYPE: Final = "image/jpeg"


def small(frame: av.VideoFrame, longest_px: int) -> Image.Image:
    """Return a frame of a finished video as an RGB image whose longer side has at most `longest_px` pixels."""
    scale = min(1.0, longest_px / max(frame.width, frame.height))
    width, height = max(2, _even(frame.width * scale)), max(2, _even(frame.height * scale))
    image: Image.Image = frame.reformat(width=width, height=height, format="rgb24").to_image()  # type: ignore[no-untyped-call]
    return image


def sheet(tiles: list[Image.Image]) -> Image.Image:
    """Lay equally large pictures out in rows of five."""
    width, height = tiles[0].size
    whole = Image.new("RGB", (width * SHEET_COLUMNS, height * SHEET_ROWS))
    for number, tile in enumerate(tiles):
        whole.paste(tile, (number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * height))
    return whole


def draw(path: Path) -> tuple[bytes, bytes]:
    """The thumbnail as WebP and the sheet as JPEG, of one pass over the video. Raises `BadVideo`."""
    measured = measure(path)
    places = SHEET_COLUMNS * SHEET_ROWS
    step_s = measured.duration_s / places
    moments = [place * step_s for place in range(places)]
    with path.open("rb") as file:
        kind = kind_of_whole(file, path.stat().st_size)
    try:
        with opened(path, kind) as (container, stream):
            tiles, middle = _taken(container.decode(stream), moments, measured.duration_s / 2)
    except BAD_BYTES as error:
        raise BadVideo("The provider's video cannot be decoded.") from error
    return _encoded(middle, "WEBP"), _encoded(sheet(tiles), "JPEG")


def _taken(
    frames: Iterable[av.VideoFrame], moments: list[float], middle_s: float
) -> tuple[list[Image.Image], Image.Image]:
    """What a player shows at these moments, as tiles, and at `middle_s`, larger."""
    tiles: list[Image.Image] = []
    middle: Image.Image | None = None
    shown: av.VideoFrame | None = None
    for frame, at_s in _timed(frames):
        shown = shown or frame
        while len(tiles) < len(moments) and moments[len(tiles)] < at_s:
            tiles.append(_upright(small(shown, SHEET_TILE_PX), shown))
        if middle is None and middle_s < at_s:
            middle = _upright(small(shown, THUMBNAIL_PX), shown)
        shown = frame
    if shown is None:
        raise BadVideo("The provider's video has no picture that can be decoded.")
    last = _upright(small(shown, SHEET_TILE_PX), shown)
    tiles += [last] * (len(moments) - len(tiles))
    return tiles, middle or _upright(small(shown, THUMBNAIL_PX), shown)


def _timed(frames: Iterable[av.VideoFrame]) -> Iterator[tuple[av.VideoFrame, float]]:
    """Each frame with its seconds from the first."""
    origin_s: float | None = None
    for frame in frames:
        moment_s = frame.time or 0.0
        origin_s = moment_s if origin_s is None else origin_s
        yield frame, moment_s - origin_s


def _upright(image: Image.Image, frame: av.VideoFrame) -> Image.Image:
    """What a camera held sideways has taken, as a player turns it."""
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def _encoded(image: Image.Image, kind: str) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, quality=80)
    return made.getvalue()


def _even(number: float) -> int:
    return int(number) // 2 * 2

"""What is drawn: backgrounds that move, and the prompt over them.

Frames are kept as the three planes that H.264 wants. Everything that does not change is drawn and converted once. A
frame costs three crops and a few pastes, which is several times faster than drawing in RGB and converting each frame.
"""

from __future__ import annotations

import colorsys
import math
import unicodedata
from typing import Final, NamedTuple, Self

import av
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from mediagate.providers.local.video_job import FPS

ZOOM: Final = 1.12
PAN: Final = 1.25
# A prompt may have 32,000 characters; more than these never fit on a frame.
TEXT_CHARS_MAX: Final = 1200

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Planes(NamedTuple):
    """One picture as YUV 4:2:0, BT.709, limited range: full size luma, two half size chroma planes, all "L" images."""

    y: Image.Image
    u: Image.Image
    v: Image.Image

    def copy(self) -> Planes:
        return Planes(self.y.copy(), self.u.copy(), self.v.copy())

    def crop(self, left: int, top: int, width: int, height: int) -> Planes:
        """Return a part of the picture; all four numbers are even."""
        half = (left // 2, top // 2, (left + width) // 2, (top + height) // 2)
        return Planes(self.y.crop((left, top, left + width, top + height)), self.u.crop(half), self.v.crop(half))

    def to_frame(self) -> av.VideoFrame:
        frame = av.VideoFrame(self.y.width, self.y.height, "yuv420p")
        for plane, image in zip(frame.planes, self, strict=True):
            plane.update(image.tobytes("raw", "L", plane.line_size, 1))
        return frame


def planes_of(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Planes:
    """Convert a frame of any format, scaled and cropped so that it covers exactly `size` where one is given."""
    width, height = size or (frame.width, frame.height)
    scale = max(width / frame.width, height / frame.height)
    scaled = frame.reformat(
        width=max(width, _even(frame.width * scale)),
        height=max(height, _even(frame.height * scale)),
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
    )
    planes = Planes(
        *(
            Image.frombuffer("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size, 1)
            for plane in scaled.planes
        )
    )
    left, top = _even((scaled.width - width) / 2), _even((scaled.height - height) / 2)
    return planes if (scaled.width, scaled.height) == (width, height) else planes.crop(left, top, width, height)


def planes_of_image(image: Image.Image) -> Planes:
    """Convert an RGB image whose width and height are even."""
    frame: av.VideoFrame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
    return planes_of(frame)


def cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale and crop around the middle, so that the image covers exactly `size`."""
    return ImageOps.fit(image, size, Image.Resampling.BILINEAR)


class Pan:
    """A view that wanders over a gradient whose colours come from the seed."""

    def __init__(self, seed: str, size: tuple[int, int]) -> None:
        self._size = size
        self._canvas = planes_of_image(_gradient(bytes.fromhex(seed), enlarged(size, PAN)))
        self._phase = int(seed[:4], 16) / 0xFFFF * math.tau

    def at(self, index: int) -> Planes:
        width, height = self._size
        seconds = index / FPS
        left = (self._canvas.y.width - width) / 2 * (1 + math.sin(self._phase + math.tau * seconds / 11))
        top = (self._canvas.y.height - height) / 2 * (1 + math.cos(self._phase + math.tau * seconds / 7))
        return self._canvas.crop(_even(left), _even(top), width, height)


class Zoom:
    """A view that goes slowly into a picture, from all of it (part 0) to its middle (part 1)."""

    def __init__(self, picture: Planes, size: tuple[int, int]) -> None:
        self._picture = picture
        self._size = size

    @classmethod
    def into(cls, image: Image.Image, size: tuple[int, int]) -> Self:
        """Look into an image of the size `enlarged(size, ZOOM)`, which stays sharp to the end."""
        return cls(planes_of_image(image), size)

    def at(self, part: float) -> Planes:
        width, height = self._size
        margin = (1 - 1 / (1 + (ZOOM - 1) * part)) / 2
        views = []
        for plane, step in zip(self._picture, (1, 2, 2), strict=True):
            left, top = plane.width * margin, plane.height * margin
            box = (left, top, plane.width - left, plane.height - top)
            views.append(plane.resize((width // step, height // step), Image.Resampling.BILINEAR, box))
        return Planes(*views)


class Overlay:
    """The prompt, a time code and a progress bar, drawn over a frame in place. `text` may be anything at all.

    The box stands at the bottom; over a video that may have one there already, at the top and darker.
    """

    def __init__(self, text: str, seed: str, size: tuple[int, int], frames_total: int, *, over_video: bool) -> None:
        self._width, self._height = size
        self._frames_total = frames_total
        unit = min(size)
        self._margin = max(4, _even(unit / 18))
        self._bar_height = max(4, _even(unit / 60))
        self._clock_height = max(14, _even(unit / 18))
        self._clock_font = ImageFont.load_default(self._clock_height / 1.5)
        bright = Image.new("RGB", (2, 2), _colour(bytes.fromhex(seed)[0] / 255 + 0.5, 0.6, 1.0))
        self._bar = [plane.tobytes()[0] for plane in planes_of_image(bright)]
        self._draw_panel(_printable(text), unit, over_video)

    def draw(self, frame: Planes, index: int) -> None:
        """Draw what belongs to frame number `index`."""
        frame.y.paste(self._luma, self._corner, self._alpha)
        for plane in (frame.u, frame.v):
            plane.paste(128, (self._corner[0] // 2, self._corner[1] // 2), self._alpha_half)
        total_s = self._frames_total / FPS
        seconds, rest = divmod(index, FPS)
        clock = f"{seconds // 60:02}:{seconds % 60:02}.{rest:02} / {total_s:.0f} s"
        ImageDraw.Draw(frame.y).text(self._clock_at, clock, font=self._clock_font, fill=190)
        filled = _even(self._width * (index + 1) / self._frames_total)
        top = self._height - self._bar_height
        for plane, level, step in zip(frame, self._bar, (1, 2, 2), strict=True):
            plane.paste(level, (0, top // step, filled // step, self._height // step))

    def _draw_panel(self, text: str, unit: int, over_video: bool) -> None:
        """Draw the darkened box with the text once: its brightness and how much of it covers the frame."""
        margin = self._margin
        inner_width = self._width - 4 * margin
        font, lines, line_height = _fit(text, unit, inner_width, int(self._height * 0.45))
        width = _even(self._width - 2 * margin)
        height = _even(len(lines) * line_height + self._clock_height + 1.5 * margin)
        top = margin if over_video else _even(self._height - self._bar_height - margin - height)
        self._corner = (margin, top)
        self._clock_at = (2 * margin, top + height - self._clock_height - margin // 2)
        glyphs = Image.new("L", (width, height), 0)
        pen = ImageDraw.Draw(glyphs)
        for number, line in enumerate(lines):
            pen.text((margin, margin // 2 + number * line_height), line, font=font, fill=255)
        self._luma = Image.new("L", glyphs.size, 20)
        self._luma.paste(235, (0, 0), glyphs)
        self._alpha = ImageChops.lighter(glyphs, Image.new("L", glyphs.size, 200 if over_video else 135))
        self._alpha_half = self._alpha.resize((width // 2, height // 2), Image.Resampling.BOX)


def enlarged(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Return `size` times `factor`, in even numbers."""
    return _even(size[0] * factor), _even(size[1] * factor)


def _even(number: float) -> int:
    return int(number) // 2 * 2


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def _gradient(seed: bytes, size: tuple[int, int]) -> Image.Image:
    """Return a soft field of related colours: a few random pixels, enlarged."""
    coarse = Image.new("RGB", (4, 4))
    for spot in range(16):
        turn, depth = seed[spot], seed[16 + spot]
        colour = _colour(seed[0] / 255 + (turn / 255 - 0.5) * 0.35, 0.45 + turn / 640, 0.25 + depth / 380)
        coarse.putpixel((spot % 4, spot // 4), colour)
    return coarse.resize(size, Image.Resampling.BICUBIC)


def _printable(text: str) -> str:
    """Return one line of at most `TEXT_CHARS_MAX` characters, without those that no font draws."""
    visible = "".join(" " if character.isspace() else character for character in text[: 4 * TEXT_CHARS_MAX])
    visible = "".join(character for character in visible if unicodedata.category(character)[0] != "C")
    return " ".join(visible.split())[:TEXT_CHARS_MAX]


def _fit(text: str, unit: int, width: int, height: int) -> tuple[Font, list[str], int]:
    """Return the largest font in which the text fits the box, or the smallest with as many lines as fit."""
    for divisor in (11, 15, 20, 26):
        size = max(9, unit // divisor)
        font = ImageFont.load_default(size)
        line_height = math.ceil(size * 1.25)
        lines = _wrap(text, font, width)
        room = max(1, height // line_height)
        if len(lines) <= room:
            break
    if len(lines) > room:
        lines = [*lines[: room - 1], lines[room - 1][:-1] + "…"]
    return font, lines, line_height


def _wrap(text: str, font: Font, width: int) -> list[str]:
    """Break the text into lines at most `width` pixels wide, inside of a word only where the word alone is wider."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if font.getlength(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = ""
        for character in word:
            if line and font.getlength(line + character) > width:
                lines.append(line)
                line = ""
            line += character
    return [*lines, line] if line else lines

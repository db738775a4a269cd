"""Sizes of videos: pixels, and the aspect ratios and resolutions that providers have words for."""

from __future__ import annotations

from math import gcd
from typing import Final

# The shorter side of a picture, and what providers call it.
RESOLUTIONS: Final = {"360p": 360, "480p": 480, "540p": 540, "720p": 720, "768p": 768, "1080p": 1080, "4k": 2160}
# 1024x1792 and its like are nobody's ratio; the API that had them meant the nearest of these.
_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
_NEAR: Final = 0.04


def parse_size(size: str) -> tuple[int, int]:
    """`1280x720` as width and height in pixels. Raises `ValueError`."""
    width, _, height = size.partition("x")
    return int(width), int(height)


def aspect_ratio(width: int, height: int) -> str:
    """The ratio as providers write it, such as `16:9`; of an odd size the nearest usual one, else the exact one."""
    for name in _RATIOS:
        across, down = (int(part) for part in name.split(":"))
        if abs(width / height * down / across - 1) <= _NEAR:
            return name
    divisor = gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


def resolution(width: int, height: int) -> str:
    """The provider's word for the shorter side, such as `720p`: the greatest that is not above it."""
    shorter = min(width, height)
    fitting = [name for name, pixels in RESOLUTIONS.items() if pixels <= shorter]
    return fitting[-1] if fitting else next(iter(RESOLUTIONS))


def size_of(ratio: str, word: str) -> str:
    """The size behind a ratio and a resolution, such as `1280x720` for `16:9` and `720p`. Raises `ValueError`."""
    across, down = (int(part) for part in ratio.split(":"))
    shorter = RESOLUTIONS.get(word)
    if shorter is None or across < 1 or down < 1:
        raise ValueError(word)
    longer = round(shorter * max(across, down) / min(across, down) / 2) * 2
    return f"{longer}x{shorter}" if across >= down else f"{shorter}x{longer}"

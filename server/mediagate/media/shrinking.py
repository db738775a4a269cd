"""A picture of any common kind, made into a small JPEG."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Final

from PIL import Image

from mediagate.media.containers import BadVideo

LONGEST_PX: Final = 1536
PIXELS_MAX: Final = 64_000_000
_KINDS: Final = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")


def shrink(path: Path) -> bytes:
    """The picture as JPEG, its longer side at most `LONGEST_PX`. Raises `BadVideo` for what is no such picture."""
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_KINDS) as picture:
                picture.thumbnail((LONGEST_PX, LONGEST_PX))
                shown = picture.convert("RGBA")
        # What is seen through is white, as most viewers show it.
        flat = Image.new("RGB", shown.size, "white")
        flat.paste(shown, mask=shown.getchannel("A"))
        made = io.BytesIO()
        flat.save(made, "JPEG", quality=85)
    except Exception as error:
        # A decoder raises whatever it likes for bytes that it does not like.
        raise BadVideo("The picture cannot be decoded.") from error
    return made.getvalue()

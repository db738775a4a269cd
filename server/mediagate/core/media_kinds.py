"""What a model takes a file for, by the file's media type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mediagate.core.chat import MediaKind

UNKNOWN: Final = "application/octet-stream"

# Names of one type, by the one that is compared.
_ALIASES: Final = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/x-flac": "audio/flac",
    "audio/x-aac": "audio/aac",
    "audio/x-aiff": "audio/aiff",
    "application/ogg": "audio/ogg",
    "image/jpg": "image/jpeg",
    "image/x-png": "image/png",
    "video/mov": "video/quicktime",
    "video/mkv": "video/x-matroska",
    "video/matroska": "video/x-matroska",
    "video/avi": "video/x-msvideo",
    "application/x-pdf": "application/pdf",
    "application/x-ndjson": "application/jsonl",
    "text/xml": "application/xml",
    "text/x-markdown": "text/markdown",
    "application/javascript": "text/javascript",
}
_KINDS: Final = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}


def plain_type(media_type: str) -> str:
    """A media type as it is compared: without parameters, in lower case, by its usual name."""
    text = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(text, text)


def kind_of(media_type: str) -> MediaKind:
    """What a file of this type is to a model. A picture in XML is text."""
    plain = plain_type(media_type)
    if plain == "image/svg+xml":
        return MediaKind.DOCUMENT
    return _KINDS.get(plain.partition("/")[0], MediaKind.DOCUMENT)


def is_among(media_type: str, patterns: Iterable[str]) -> bool:
    """Whether a type is one of these, which may end in `/*`."""
    plain = plain_type(media_type)
    top = f"{plain.partition('/')[0]}/*"
    return any(pattern in ("*/*", top) or plain_type(pattern) == plain for pattern in patterns)

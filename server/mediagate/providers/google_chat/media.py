"""A file as a part of a request: by its URI, by a link, or as its bytes."""

from __future__ import annotations

import mimetypes
from typing import Any, Final
from urllib.parse import urlsplit

from mediagate.core.chat import Dialect, Media, MediaKind, Way
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.media_kinds import is_among
from mediagate.providers.google_chat.media_types import GOOGLE_NAMES, PDF, TEXT
from mediagate.providers.google_chat.words import Words, generation_of

_YOUTUBE: Final = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
# https://ai.google.dev/gemini-api/docs/media-resolution
_DETAILS: Final = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}
DETAILED_SINCE: Final = 3


def part_of(media: Media, model: str, words: Words) -> dict[str, Any]:
    """The part for a file. Raises `InvalidField` for one that the provider cannot be given."""
    file = media.file
    media_type = _media_type(media, words)
    _require_taken(media, media_type, words)
    told = _told(media_type, media.kind, words)
    part: dict[str, Any]
    if file.way is Way.DATA:
        part = {"inlineData": {"mimeType": told, "data": file.value}}
    else:
        _require_readable(media, words)
        part = {"fileData": {**({"mimeType": told} if told else {}), "fileUri": file.value}}
    if level := _resolution(media, model):
        part["mediaResolution"] = {"level": level}
    return part


def _told(media_type: str, kind: MediaKind, words: Words) -> str:
    """What Google calls this type."""
    named = GOOGLE_NAMES.get(media_type, media_type)
    is_text = kind is MediaKind.DOCUMENT and named and named not in PDF and named not in words.texts
    return TEXT if is_text else named


def result_part_of(media: Media, model: str, words: Words) -> dict[str, Any]:
    """The same for a file in what a call came to."""
    return {name: value for name, value in part_of(media, model, words).items() if name != "mediaResolution"}


def _resolution(media: Media, model: str) -> str | None:
    # A hint, of which earlier models know nothing.
    if media.kind is not MediaKind.IMAGE or (generation_of(model) or DETAILED_SINCE) < DETAILED_SINCE:
        return None
    return _DETAILS.get(media.detail or "")


def _media_type(media: Media, words: Words) -> str:
    file = media.file
    said = file.media_type.partition(";")[0].strip().lower()
    if said:
        return said
    place = urlsplit(file.value) if file.way is not Way.DATA else None
    if place is not None and place.hostname in _YOUTUBE:
        return "video/mp4"
    for name in (file.filename, place.path if place is not None else ""):
        if guessed := mimetypes.guess_type(name)[0]:
            return guessed
    if words.needs_media_type or file.way is Way.DATA:
        raise InvalidField(
            f"'{media.param}' does not say what it is, and {words.spec.title} wants to know. Name a media type, or a "
            "file name with an ending such as .pdf.",
            param=media.param,
            code="unsupported_part",
        )
    return ""


def _require_taken(media: Media, media_type: str, words: Words) -> None:
    ways = words.spec.ways(media.kind, Dialect.CHAT)
    fitting = [one for one in ways if one.way is media.file.way]
    if not fitting:
        raise InvalidField(
            f"{words.spec.title} does not read {media.kind.value} files as {media.file.way.value}; it reads: "
            f"{', '.join(dict.fromkeys(one.way.value for one in ways)) or 'none'}.",
            param=media.param,
            code="unsupported_part",
        )
    typed = [one for one in fitting if not media_type or is_among(media_type, one.media_types)]
    if not typed:
        types = dict.fromkeys(name for one in fitting for name in one.media_types)
        raise InvalidField(
            f"{words.spec.title} does not read '{echo(media_type)}' as {media.kind.value}. It reads: "
            f"{', '.join(types)}.",
            param=media.param,
            code="unsupported_part",
        )
    size = media.file.size_bytes
    most = max((one.bytes_max or 0) if one.bytes_max is not None else 1 << 62 for one in typed)
    if size is not None and size > most:
        raise InvalidField(
            f"'{media.param}' has {size} bytes; {words.spec.title} reads at most {most} of a {media.kind.value} file "
            f"given as {media.file.way.value}.",
            param=media.param,
            code="file_too_large",
        )


def _require_readable(media: Media, words: Words) -> None:
    file = media.file
    if file.way not in (Way.URI, Way.LINK):
        raise AssertionError(file.way)
    # With the account's rights, some places show what others have stored.
    if file.file_id is None and not words.spec.fetches(file.value):
        raise InvalidField(
            f"'{media.param}' must be an https URL of your own, or the id of a stored file.",
            param=media.param,
            code="unsupported_part",
        )

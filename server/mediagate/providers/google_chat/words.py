"""In what the two APIs that have `generateContent` differ."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mediagate.core.chat import MediaKind, Way
from mediagate.providers.chat import ChatSpec, Taken

_GENERATION: Final = re.compile(r"(?:.*/)?gemini-(\d+)")
# What nobody may say over the gateway: what is asked, what the account has stored, where an answer is written.
RESERVED: Final = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "cachedContent",
        "continuationToken",
        "outputConfig",
        "generationOutputConfig",
        "responseModalities",
        "candidateCount",
        "fileData",
        "fileUri",
        "store",
    }
)
SCHEMES: Final = ("gs:",)


@dataclass(frozen=True, slots=True)
class Words:
    """One of the two. `texts` are the media types of text that it lists; any other is told as
    `text/plain`."""

    spec: ChatSpec
    needs_media_type: bool
    texts: frozenset[str]


def generation_of(model: str) -> int | None:
    """3 for `gemini-3-flash`; None where the name does not say."""
    match = _GENERATION.match(model)
    return int(match[1]) if match else None


def taken(
    kind: MediaKind, media_types: Iterable[str], ways: Iterable[tuple[Way, int | None]], *, schemes: tuple[str, ...]
) -> list[Taken]:
    """One kind of media in several ways, each with the most bytes that it takes."""
    types = tuple(media_types)
    return [
        Taken(kind, way, types, bytes_max, uri_schemes=schemes if way is Way.URI else ()) for way, bytes_max in ways
    ]

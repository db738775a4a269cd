"""What a request mentions, and who could be asked about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mediagate.chat.bounds import MediaSize
from mediagate.core.chat import Dialect, MediaKind, Mention
from mediagate.core.objects import File
from mediagate.providers.chat import ChatSpec
from mediagate.routing.catalog import Deployment


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A mention with what is known of what it names. `file` is one of the caller's, None for what is given inline.
    `media_type` is empty and `size_bytes` None where only whoever fetches a link can know."""

    mention: Mention
    kind: MediaKind
    media_type: str
    size_bytes: int | None
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """A deployment that could be asked, and in which words. Its files lie in `deployment.account`."""

    deployment: Deployment
    spec: ChatSpec
    dialect: Dialect


def sizes_of(files: Iterable[Mentioned]) -> dict[tuple[str | int, ...], MediaSize]:
    """What each mention counts for, by its path."""
    return {one.mention.path: MediaSize(one.kind, one.size_bytes) for one in files}

"""Look at what a request mentions before anybody is asked: whose it is, whether it is there, and what it really is."""

from __future__ import annotations

import asyncio
import base64
import binascii
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from mediagate.chat.mentioned import Mentioned
from mediagate.core.chat import MediaKind, Mention
from mediagate.core.errors import InvalidField, NotFound, StateConflict
from mediagate.core.limits import echo
from mediagate.core.media_kinds import UNKNOWN, kind_of
from mediagate.core.objects import File, Principal
from mediagate.files.sniff import HEAD_BYTES, OLE, TEXT, ZIP, content_type_of
from mediagate.files.wait_for_file import WaitForFile

VIDEO_PREFIX: Final = "video_"
_HEAD_CHARS: Final = HEAD_BYTES // 3 * 4
_BASE64: Final = (string.ascii_letters + string.digits + "+/=").encode()
# Google's models watch what lies there.
_YOUTUBE: Final = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be")
_VAGUE: Final = (UNKNOWN, TEXT, ZIP, OLE)
_NOUNS: Final = {
    MediaKind.IMAGE: "an image",
    MediaKind.AUDIO: "a recording",
    MediaKind.VIDEO: "a video",
    MediaKind.DOCUMENT: "a document",
}


class KeptVideos(Protocol):
    """Finished videos of the caller's."""

    async def file_of(self, who: Principal, video_id: str) -> File:
        """The copy that is kept of one. Raises `NotFound`, and `StateConflict` where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class LoadFiles:
    """Finds every file that is mentioned, all with one query, and waits for those that are still being copied."""

    wait_for_file: WaitForFile
    videos: KeptVideos
    wait_s: float

    async def run(self, who: Principal, mentions: Sequence[Mention]) -> tuple[Mentioned, ...]:
        """Raises with the mention's `param`: `NotFound` for what is no file of the caller's, `StateConflict` for one
        that is not ready, `InvalidField` where it is not what its place is for, and for broken base64."""
        by_id = {mention.file_id: mention.param for mention in reversed(mentions) if mention.file_id is not None}
        found = await asyncio.gather(*(self._file(who, id_, param) for id_, param in by_id.items()))
        files = dict(zip(by_id, found, strict=True))
        return tuple(
            _inline(mention) if mention.file_id is None else _stored(mention, files[mention.file_id])
            for mention in mentions
        )

    async def _file(self, who: Principal, id_: str, param: str) -> File:
        try:
            if id_.startswith(VIDEO_PREFIX):
                return await self.videos.file_of(who, id_)
            return await self.wait_for_file.run(who, id_, wait_s=self.wait_s)
        except NotFound:
            shown = echo(id_)
            raise NotFound(
                f"No such File object: {shown}. Ids are those that this gateway gave for files of yours.",
                param=param,
                id=shown,
            ) from None
        except StateConflict as error:
            error.param = param
            raise


def _stored(mention: Mention, file: File) -> Mentioned:
    kind = kind_of(file.content_type)
    if not file.size_bytes:
        raise InvalidField(f"File {file.id} is empty.", param=mention.param, code="file_empty")
    require_kind(mention, kind, f"the bytes of file {file.id} are {file.content_type}")
    return Mentioned(mention, kind, file.content_type, file.size_bytes, file)


def require_kind(mention: Mention, kind: MediaKind, because: str) -> None:
    """Raises `InvalidField` where something else belongs in the mention's place."""
    wanted = mention.kind
    if wanted is None or wanted is kind:
        return
    raise InvalidField(
        f"'{mention.param}' must be {_NOUNS[wanted]}, and {because}. A part of the type 'file' takes any file.",
        param=mention.param,
        code="wrong_media_type",
    )


def _inline(mention: Mention) -> Mentioned:
    if mention.data is not None:
        return _data(mention, mention.data)
    media_type = mention.media_type or _type_behind(mention.link or "")
    return Mentioned(mention, mention.kind or kind_of(media_type), media_type, None)


def _type_behind(url: str) -> str:
    """What a URL leads to, as far as its text tells."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.hostname in _YOUTUBE:
        return "video/mp4"
    guessed = content_type_of(b"", PurePosixPath(unquote(parts.path)).name)
    return "" if guessed == UNKNOWN else guessed


def _data(mention: Mention, data: str) -> Mentioned:
    broken = InvalidField("The base64 content is broken.", param=mention.param)
    if not _is_base64(data):
        raise broken
    try:
        head = base64.b64decode(data[:_HEAD_CHARS], validate=True)
    except (binascii.Error, ValueError):
        raise broken from None
    if not head:
        raise InvalidField("The content is empty.", param=mention.param, code="file_empty")
    media_type = settled_type(head, mention)
    kind = kind_of(media_type) if media_type != UNKNOWN or mention.kind is None else mention.kind
    require_kind(mention, kind, f"its bytes are {media_type}")
    size_bytes = len(data) // 4 * 3 - data[-2:].count("=")
    return Mentioned(mention, kind, media_type, size_bytes)


def _is_base64(text: str) -> bool:
    """Decoding 20 MB to find out takes five times as long (measured)."""
    if len(text) % 4 or not text.isascii() or text.encode().translate(None, _BASE64):
        return False
    return text.find("=", 0, len(text) - 2) < 0 and not (text[-2:-1] == "=" and text[-1:] != "=")


def settled_type(head: bytes, mention: Mention, name: str = "") -> str:
    """What content that the caller gave inline is: what its first bytes say, and what the caller says where they are
    vague."""
    found = content_type_of(head, mention.filename or name)
    return mention.media_type if found in _VAGUE and mention.media_type else found

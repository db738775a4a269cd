"""Media that comes with a request for a video: kept as a file of ours before the request is accepted."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from mediagate.core.errors import InvalidField
from mediagate.core.objects import File, Principal
from mediagate.files.intake import FileFacts, IncomingFile, Intake

_DATA_URL = re.compile(r"data:([a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+)(?:;[a-zA-Z0-9=.+-]+)*;base64,")
_CHUNK_CHARS = 4 << 18


@dataclass(frozen=True, slots=True)
class KeepInput:
    """Stores inputs as internal files of the caller."""

    intake: Intake
    image_bytes_max: int
    video_bytes_max: int

    async def begin(self, who: Principal, field: str) -> IncomingFile:
        """Open an internal file for the part `field`, `video` or an image."""
        limit = self.video_bytes_max if field == "video" else self.image_bytes_max
        return await self.intake.begin(who, size_bytes_max=limit, internal=True)

    async def finish(self, incoming: IncomingFile, filename: str, field: str) -> File:
        """Keep what came. Raises `InvalidField` where it is not the kind of media that the field takes."""
        blob = await incoming.store()
        file = await incoming.finish(blob, FileFacts(filename=filename, purpose="user_data"))
        return require_media(file, field)

    async def from_url(self, who: Principal, url: str, field: str) -> File:
        """Keep the content of a `data:` URL. Raises `InvalidField` for any other URL and for broken base64."""
        match = _DATA_URL.match(url[:256])
        if match is None:
            raise InvalidField(
                f"'{field}' must be a data: URL with base64 content, such as data:image/png;base64,... "
                "Other URLs are not fetched; upload the file and give its file_id.",
                param=field,
            )
        incoming = await self.begin(who, field)
        try:
            for start in range(match.end(), len(url), _CHUNK_CHARS):
                await incoming.write(_decoded(url[start : start + _CHUNK_CHARS], field))
            return await self.finish(incoming, "input", field)
        except BaseException:
            await incoming.abort()
            raise

    async def from_bytes(self, who: Principal, data: bytes, field: str) -> File:
        """Keep bytes that came in one message."""
        incoming = await self.begin(who, field)
        try:
            await incoming.write(data)
            return await self.finish(incoming, "input", field)
        except BaseException:
            await incoming.abort()
            raise


def require_media(file: File, field: str) -> File:
    """Return `file`. Raises `InvalidField` where its bytes are not what `field` takes."""
    kind = "video" if field == "video" else "image"
    if not file.content_type.startswith(f"{kind}/"):
        raise InvalidField(
            f"'{field}' must be {'a video' if kind == 'video' else 'an image'}; the file's bytes are {file.content_type}.",
            param=field,
            content_type=file.content_type,
        )
    return file


def _decoded(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(f"The base64 content of '{field}' is broken.", param=field) from None

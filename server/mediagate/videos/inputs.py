"""Media that comes with a request for a video: kept as a file of ours before the request is accepted."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from dataclasses import dataclass

from mediagate.core.errors import InvalidField, PayloadTooLarge
from mediagate.core.objects import File, Principal
from mediagate.core.placement import required_of
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.tasks import REMOVE_FILE
from mediagate.net.errors import TransferBroken, not_reachable
from mediagate.net.fetcher import Fetcher
from mediagate.store.files import FileRepository
from mediagate.store.videos import VideoRepository

_DATA_URL = re.compile(r"data:([a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+)(?:;[a-zA-Z0-9=.+-]+)*;base64,")
_WEB_URL = re.compile(r"https?:", re.IGNORECASE)
_CHUNK_CHARS = 4 << 18
# The caller waits with a connection that is quiet meanwhile, and what lies between cuts such a one off.
FETCH_S_MAX = 45.0


@dataclass(frozen=True, slots=True)
class KeepInput:
    """Stores inputs as internal files of the caller. Whoever keeps one drops it where no video comes of it."""

    intake: Intake
    fetcher: Fetcher
    image_bytes_max: int
    video_bytes_max: int

    async def begin(self, who: Principal, field: str) -> IncomingFile:
        """Open an internal file for the part `field`, `video` or an image. Raises `InvalidField` where the place of
        inputs is not as it must be, and `StorageQuotaExceeded`."""
        placement = Placement((self.intake.stores.scratch_account,), required=required_of(who))
        return await self.intake.begin(who, size_bytes_max=self._bytes_max(field), placement=placement, internal=True)

    async def write(self, incoming: IncomingFile, data: bytes, field: str) -> None:
        """Pass bytes on. Raises `PayloadTooLarge` past the limit of `field`."""
        try:
            await incoming.write(data)
        except PayloadTooLarge:
            raise _too_large(field, self._bytes_max(field)) from None

    def stored(self, file: File, field: str) -> File:
        """Return `file`, one of the caller's own. Raises `InvalidField` where its bytes are not what `field` takes, and
        `PayloadTooLarge` past the limit of `field`."""
        require_media(file, field)
        if file.size_bytes > self._bytes_max(field):
            raise _too_large(field, self._bytes_max(field))
        return file

    def _bytes_max(self, field: str) -> int:
        return self.video_bytes_max if field == "video" else self.image_bytes_max

    async def finish(self, incoming: IncomingFile, filename: str, field: str) -> File:
        """Keep what came. Raises `InvalidField` where it is not the kind of media that the field takes: before there is
        a file, so that only the caller's `abort` removes it."""
        _require_kind(incoming.content_type(filename), incoming.size_bytes, field)
        received = await incoming.store()
        return await incoming.finish(received, FileFacts(filename=filename, purpose="user_data"))

    async def drop(self, file_id: str) -> None:
        """Remove an input that was kept, unless a video or a character has it; what is no such input is left alone.

        Runs to its end even where the caller is being cancelled.
        """
        await asyncio.shield(self._drop(file_id))

    async def _drop(self, file_id: str) -> None:
        async with self.intake.db.transaction() as tx:
            if await VideoRepository(tx.connection).uses_input(file_id):
                return
            if await FileRepository(tx.connection).entomb_internal(file_id):
                await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)

    async def from_url(self, who: Principal, url: str, field: str) -> File:
        """Keep the content of a `data:` URL, or of an `https:` one as far as the fetcher's rules let it. Raises
        `InvalidField` for any other URL, for broken base64 and for what cannot be fetched, and `PayloadTooLarge`."""
        if _WEB_URL.match(url[:16]):
            return await self._fetched(who, url, field)
        match = _DATA_URL.match(url[:256])
        if match is None:
            raise InvalidField(
                f"'{field}' must be an https:// URL, or a data: URL with base64 content, such as "
                "data:image/png;base64,...",
                param=field,
            )
        incoming = await self.begin(who, field)
        try:
            for start in range(match.end(), len(url), _CHUNK_CHARS):
                await self.write(incoming, _decoded(url[start : start + _CHUNK_CHARS], field), field)
            return await self.finish(incoming, "input", field)
        except BaseException:
            await incoming.abort()
            raise

    async def _fetched(self, who: Principal, url: str, field: str) -> File:
        limit = self._bytes_max(field)
        async with self.fetcher.open(url, param=field, bytes_max=limit, whole_s=FETCH_S_MAX) as found:
            incoming = await self.begin(who, field)
            try:
                async for chunk in found.read():
                    await self.write(incoming, chunk, field)
                return await self.finish(incoming, found.filename, field)
            except TransferBroken:
                await incoming.abort()
                raise not_reachable(field, "its content broke off") from None
            except BaseException:
                await incoming.abort()
                raise

    async def from_bytes(self, who: Principal, data: bytes, field: str) -> File:
        """Keep bytes that came in one message."""
        incoming = await self.begin(who, field)
        try:
            await self.write(incoming, data, field)
            return await self.finish(incoming, "input", field)
        except BaseException:
            await incoming.abort()
            raise


def require_media(file: File, field: str) -> File:
    """Return `file`. Raises `InvalidField` where its bytes are not what `field` takes."""
    _require_kind(file.content_type, file.size_bytes, field)
    return file


def _require_kind(content_type: str, size_bytes: int, field: str) -> None:
    kind = "video" if field == "video" else "image"
    if content_type.startswith(f"{kind}/") and size_bytes:
        return
    found = f"the file's bytes are {content_type}" if size_bytes else "the file is empty"
    raise InvalidField(
        f"'{field}' must be {'a video' if kind == 'video' else 'an image'}; {found}.",
        param=field,
        content_type=content_type,
    )


def _too_large(field: str, limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"'{field}' is too large: the limit is {limit_bytes} bytes.", param=field, limit_bytes=limit_bytes
    )


def _decoded(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(f"The base64 content of '{field}' is broken.", param=field) from None

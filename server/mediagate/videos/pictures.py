"""The small pictures of a finished video: the provider's own, or made here once and kept."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mediagate.core import ids
from mediagate.core.errors import ProviderFailed, ProviderRefused, Unavailable, Unsupported
from mediagate.core.objects import File, Principal, Video
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.proof import Proof
from mediagate.files.spool import Spool
from mediagate.media.containers import BadVideo
from mediagate.media.tools import NotLookedInto, Pictures, VideoTools
from mediagate.providers.base import VideoVariant
from mediagate.store.database import Database, Transaction
from mediagate.store.outputs import PictureRepository
from mediagate.videos.archive import FILE_PURPOSE
from mediagate.videos.find_kept import FindKept
from mediagate.videos.finish_video import BrokeOff, pieces
from mediagate.videos.open_output import OpenOutput
from mediagate.videos.opened import Opened, opened_file, opened_output, output_name

# Each holds a connection to the database while it makes pictures, and needs another to store them.
AT_ONCE: Final = 2
CONTENT_TYPES: Final = {VideoVariant.THUMBNAIL: "image/webp", VideoVariant.SPRITESHEET: "image/jpeg"}


@dataclass(frozen=True, slots=True)
class OpenPicture:
    """Both pictures are made of one pass over the video, by whoever asks first in the whole cluster. `account` keeps
    them."""

    db: Database
    intake: Intake
    find_kept: FindKept
    open_file: OpenContent
    open_output: OpenOutput
    tools: VideoTools
    spool_dir: Path
    account: str
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self, video: Video, variant: VideoVariant) -> Opened:
        """Raises `Unavailable` where the video cannot be read now, and what provider and stores raise."""
        kept = await self.kept(video, variant)
        if kept is None:
            try:
                return opened_output(video, await self.open_output.run(video, variant), variant)
            except (FileNotFoundError, KeyError, ProviderRefused, Unsupported):
                kept = await self._made(video, variant)
        return opened_file(video, kept, await self.open_file.of(kept), variant)

    async def kept(self, video: Video, variant: VideoVariant) -> File | None:
        """The picture that was made here."""
        async with self.db.reading() as connection:
            found = await PictureRepository(connection).of(video.id)
        return await self.find_kept.run(found.get(variant.value))

    async def _made(self, video: Video, variant: VideoVariant) -> File:
        async with self._slots, self.db.transaction() as tx:
            await PictureRepository(tx.connection).lock(video.id)
            kept = await self.kept(video, variant)
            if kept is not None:
                return kept
            drawn = await self._drawn(video)
            files = {
                VideoVariant.THUMBNAIL: await self._keep(video, VideoVariant.THUMBNAIL, drawn.thumbnail),
                VideoVariant.SPRITESHEET: await self._keep(video, VideoVariant.SPRITESHEET, drawn.spritesheet),
            }
            return files[variant]

    async def _drawn(self, video: Video) -> Pictures:
        spool = Spool(self.spool_dir)
        try:
            content = await self.open_output.run(video)
            async with aclosing(pieces(content)) as chunks:
                async for chunk in chunks:
                    await spool.write(chunk)
            return await self.tools.draw(spool.fileno())
        except BadVideo as error:
            raise ProviderFailed("No picture can be made of this video.", code="picture_impossible") from error
        except (BrokeOff, FileNotFoundError, KeyError, NotLookedInto, TimeoutError) as error:
            raise Unavailable("The video's content cannot be read at the moment. Try again later.") from error
        finally:
            spool.close()

    async def _keep(self, video: Video, variant: VideoVariant, data: bytes) -> File:
        name = output_name(video.id, CONTENT_TYPES[variant], variant)
        incoming = await self.intake.begin(
            Principal(video.owner_id, end_user=video.end_user),
            size_bytes_max=len(data),
            placement=Placement(
                (self.account,),
                filename=name,
                purpose=FILE_PURPOSE,
                size_bytes=len(data),
                required=video.required or {},
            ),
            internal=True,
        )

        async def note(tx: Transaction) -> None:
            if not await PictureRepository(tx.connection).put(video.id, variant.value, incoming.id):
                raise ids.VIDEO.not_found(video.id)

        try:
            await incoming.write(data)
            received = await incoming.store(Proof(len(data)))
            return await incoming.finish(received, FileFacts(name, FILE_PURPOSE), also=note)
        except BaseException:
            await incoming.abort()
            raise

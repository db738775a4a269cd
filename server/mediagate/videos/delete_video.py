"""Delete a video: the tombstone at once; the job at the provider, the outputs and the inputs by a job."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.objects import Principal
from mediagate.files.tasks import REMOVE_FILE
from mediagate.routing.catalog import ModelCatalog
from mediagate.store.database import VIDEO_CHANNEL, Database
from mediagate.store.files import FileRepository
from mediagate.store.outputs import PictureRepository
from mediagate.store.videos import VideoRepository
from mediagate.videos.tasks import REMOVE_VIDEO, WAKE_CHANNEL, news


@dataclass(frozen=True, slots=True)
class DeleteVideo:
    """Make a video unreadable, enqueue the rest in the same transaction, and tell its tracker and its watchers."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, video_id: str) -> None:
        """Raises `NotFound`, also for a video that was deleted before."""
        ids.VIDEO.parse(video_id)
        async with self.db.transaction() as tx:
            seq = await VideoRepository(tx.connection).entomb(who.owner_id, video_id, now=self.clock.now())
            if seq is None:
                raise ids.VIDEO.not_found(video_id)
            await tx.enqueue(REMOVE_VIDEO, lock=video_id, video_id=video_id)
            await tx.notify(WAKE_CHANNEL, video_id)
            # No event has this number: watchers look for it and find the video gone.
            await tx.notify(VIDEO_CHANNEL, news(video_id, seq + 1, seq + 1, who.owner_id, deleted=True))


@dataclass(frozen=True, slots=True)
class RemoveVideo:
    """What is left of a deleted video, run by a job; every step may be repeated."""

    db: Database
    catalog: ModelCatalog

    async def run(self, video_id: str) -> None:
        """Remove our copies of the outputs and internal inputs, stop the job at the provider and remove its outputs,
        then the row."""
        async with self.db.reading() as connection:
            video = await VideoRepository(connection).entombed(video_id)
        if video is None:
            return
        # First what is ours: a provider may be away for long.
        async with self.db.transaction() as tx:
            files = FileRepository(tx.connection)
            pictures = await PictureRepository(tx.connection).of(video_id)
            for file_id in (video.image_file_id, video.source_file_id, video.archive_file_id, *pictures.values()):
                if file_id is not None and await files.entomb_internal(file_id):
                    await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)
        if video.provider_ref is not None:
            await self.catalog.provider(video.account).delete(video.provider_ref)
        async with self.db.transaction() as tx:
            await VideoRepository(tx.connection).purge(video_id)

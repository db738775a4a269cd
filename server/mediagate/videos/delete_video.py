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
from mediagate.store.videos import VideoRepository
from mediagate.videos.tasks import REMOVE_VIDEO, WAKE_CHANNEL


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
            await tx.notify(VIDEO_CHANNEL, f"{video_id} {seq + 1}")


@dataclass(frozen=True, slots=True)
class RemoveVideo:
    """What is left of a deleted video, run by a job; every step may be repeated."""

    db: Database
    catalog: ModelCatalog

    async def run(self, video_id: str) -> None:
        """Stop the job at the provider, remove outputs and internal inputs, then the row."""
        async with self.db.reading() as connection:
            video = await VideoRepository(connection).entombed(video_id)
        if video is None:
            return
        if video.provider_ref is not None:
            await self.catalog.provider(video.provider).delete(video.provider_ref)
        async with self.db.transaction() as tx:
            files = FileRepository(tx.connection)
            for file_id in (video.image_file_id, video.source_file_id):
                if file_id is not None and await files.entomb_internal(file_id):
                    await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)
            await VideoRepository(tx.connection).purge(video_id)

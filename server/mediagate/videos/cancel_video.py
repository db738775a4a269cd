"""Stop a video that is not finished."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import status_of
from mediagate.core.objects import Principal, Video
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository
from mediagate.videos.get_video import GetVideo
from mediagate.videos.tasks import WAKE_CHANNEL

# Long enough for a provider that answers, short enough for a client that waits.
ANSWER_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class CancelVideo:
    """Write down that it shall stop; the job that tracks the video tells the provider, as often as it takes."""

    db: Database
    get_video: GetVideo
    clock: Clock

    async def run(self, who: Principal, video_id: str) -> Video:
        """Return the video as it is once it is over, or after 5 s with the cancellation still pending.

        Raises `NotFound`, or `StateConflict` where it has already ended.
        """
        await self.get_video.run(who, video_id)
        async with self.db.transaction() as tx:
            accepted = await VideoRepository(tx.connection).request_cancel(video_id, now=self.clock.now())
            await tx.notify(WAKE_CHANNEL, video_id)
        if not accepted:
            video = await self.get_video.run(who, video_id)
            raise StateConflict(
                f"Video {video_id} is already {status_of(video.phase).value}; it cannot be cancelled.",
                param="video_id",
                status=status_of(video.phase).value,
            )
        return await self.get_video.wait_until_over(who, video_id, wait_s=ANSWER_WAIT_S)

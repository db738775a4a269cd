"""Watch a video: a snapshot, what was missed, then everything as it happens, until its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import OVER
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.videos.feed import FeedItem, VideoFeed
from mediagate.videos.get_video import GetVideo


@dataclass(frozen=True, slots=True)
class WatchVideo:
    """Streams the life of one video."""

    feed: VideoFeed
    get_video: GetVideo
    clock: Clock
    keepalive_s: float

    async def run(self, who: Principal, video_id: str, *, after_seq: int | None) -> AsyncGenerator[FeedItem | None]:
        """Yield events; None stands for `keepalive_s` of silence. Ends behind the event `end`.

        The snapshot's number is the one that the next event follows: `after_seq` for a watcher that resumes, so numbers
        never fall. Raises `NotFound`, also as soon as the video is deleted, `RateLimited` for a reader that does not
        read, and `Unavailable` when this process stops.
        """
        with self.feed.subscribe(video_id) as subscription:
            video = await self.get_video.run(who, video_id)
            resumed = after_seq is not None and after_seq < video.seq
            subscription.seq = after_seq if resumed and after_seq is not None else video.seq
            yield self._whole(video, "snapshot", subscription.seq)
            if not resumed and video.phase in OVER:
                yield self._whole(video, "end", video.seq)
                return
            missed = resumed
            while True:
                if missed:
                    for past in await self.feed.missed(video_id, after_seq=subscription.seq):
                        subscription.seq = past.event.seq
                        yield past
                        if past.event.type == "end":
                            return
                item = await subscription.next(self.keepalive_s)
                # A look at the video itself finds what no notification told: that it was deleted, or events.
                missed = item is None and (await self.get_video.run(who, video_id)).seq > subscription.seq
                if not missed:
                    yield item
                if item is not None and item.event.type == "end":
                    return

    def _whole(self, video: Video, kind: str, seq: int) -> FeedItem:
        return FeedItem(VideoEvent(video.id, seq, self.clock.now(), kind), video)

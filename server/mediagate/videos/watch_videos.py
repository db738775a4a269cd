"""Watch all videos of a caller: a snapshot of each, then everything as it happens, without an end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mediagate.core.clock import Clock
from mediagate.core.end_users import settled_end_user
from mediagate.core.errors import InvalidField, NotFound
from mediagate.core.limits import echo
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository
from mediagate.videos.feed import FeedItem, OwnersSubscription, VideoFeed
from mediagate.videos.get_video import GetVideo

VIDEOS_MAX = 10_000
# Clocks of processes differ, and what was written first is not always seen first.
OVERLAP = timedelta(seconds=30)
# A stream that never is silent must not keep all videos in mind that it ever showed.
LOOK = timedelta(seconds=60)


def cursor_of(event: VideoEvent) -> str:
    """What resumes behind an event of a watch of all videos: its time in milliseconds since 1970."""
    return str(int(event.time.timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class WatchVideos:
    """Streams the lives of a caller's videos. Each has its numbers, without a gap behind its snapshot."""

    db: Database
    feed: VideoFeed
    get_video: GetVideo
    clock: Clock
    keepalive_s: float

    async def run(
        self, who: Principal, *, after: datetime | None, end_user: str | None = None
    ) -> AsyncGenerator[FeedItem | None]:
        """Yield events; None stands for `keepalive_s` of silence. Videos that ended `after` a time are shown too. With
        an `end_user` only those of that one.

        Raises `InvalidField` for another end user than the caller acts for, `RateLimited` for a reader that does not
        read, and `Unavailable` when this process stops.
        """
        who = who.acting_for(settled_end_user(who, end_user))
        since = None if after is None else after - OVERLAP
        with self.feed.subscribe_all(who) as subscription:
            while True:
                began = self.clock.now()
                for snapshot in await self._snapshots(who, subscription, since):
                    yield snapshot
                since = began - OVERLAP
                looking = True
                while looking:
                    item = await subscription.next(self.keepalive_s)
                    if item is None:
                        yield None
                    else:
                        shown = await self._shown(who, item, subscription)
                        if shown is not None:
                            yield shown
                    looking = item is not None and self.clock.now() < began + LOOK

    async def _snapshots(
        self, who: Principal, subscription: OwnersSubscription, since: datetime | None
    ) -> list[FeedItem]:
        """Each video of which there is more to know than was told; what is over for long is forgotten."""
        async with self.db.reading() as connection:
            videos = await VideoRepository(connection).alive(who, ended_since=since, limit=VIDEOS_MAX)
        told = subscription.seqs
        subscription.renew({video.id: max(video.seq, told.get(video.id, 0)) for video in videos})
        return [self._snapshot(video) for video in videos if told.get(video.id, 0) < video.seq]

    async def _shown(self, who: Principal, item: FeedItem, subscription: OwnersSubscription) -> FeedItem | None:
        """The item; in the place of a video's first one a snapshot; None for a video that is gone."""
        video_id = item.event.video_id
        if item.event.seq > 1:
            return item
        try:
            video = await self.get_video.run(who, video_id)
        except NotFound:
            return None
        subscription.seqs[video_id] = video.seq
        return self._snapshot(video)

    def _snapshot(self, video: Video) -> FeedItem:
        return FeedItem(VideoEvent(video.id, video.seq, self.clock.now(), "snapshot"), video)


def time_of(cursor: str) -> datetime:
    """The time that a `cursor_of` stands for. Raises `InvalidField` for anything else."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 15):
        raise InvalidField(f"'after' is not a cursor of this stream: '{echo(cursor)}'.", param="after")
    return datetime.fromtimestamp(int(cursor) / 1000, UTC)

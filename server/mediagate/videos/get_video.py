"""Find one video of the caller, at once or as soon as something happened to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.errors import Unavailable
from mediagate.core.lifecycle import OVER
from mediagate.core.objects import Principal, Video
from mediagate.store.videos import VideoLookup
from mediagate.videos.feed import VideoFeed


@dataclass(frozen=True, slots=True)
class GetVideo:
    """Return a video."""

    videos: VideoLookup
    feed: VideoFeed

    async def run(self, who: Principal, video_id: str) -> Video:
        """Raises `NotFound` for an id that is malformed, unknown, deleted or somebody else's."""
        ids.VIDEO.parse(video_id)
        video = await self.videos.get(who, video_id)
        if video is None:
            raise ids.VIDEO.not_found(video_id)
        return video

    async def wait(self, who: Principal, video_id: str, *, wait_s: float, after_seq: int | None) -> Video:
        """Return the video once an event newer than `after_seq` (None: than now) happened, it is over, or time is up.

        Raises `NotFound`, also where it is deleted meanwhile.
        """
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + wait_s
        with self.feed.subscribe(video_id) as subscription, suppress(Unavailable):
            video = await self.run(who, video_id)
            # Of a video that is over there is nothing newer, so every event is worth a look.
            subscription.seq = video.seq
            seen = video.seq if after_seq is None else after_seq
            while video.phase not in OVER and video.seq <= seen and (left_s := give_up_at - clock()) > 0:
                await subscription.next(left_s)
                video = await self.run(who, video_id)
        return video

    async def wait_until_over(self, who: Principal, video_id: str, *, wait_s: float) -> Video:
        """Return the video once it is over, or as it is when `wait_s` passed or this process stops."""
        with self.feed.subscribe(video_id) as subscription:
            video = await self.run(who, video_id)
            try:
                async with asyncio.timeout(wait_s):
                    while video.phase not in OVER:
                        subscription.seq = video.seq
                        await subscription.next()
                        video = await self.run(who, video_id)
            except (TimeoutError, Unavailable):
                pass
            return video

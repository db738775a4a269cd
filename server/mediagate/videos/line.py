"""The line in front of an account with a parallel limit: who may be submitted now, and who waits at which position.

Owners take turns, so that nobody's hundred videos make somebody's only one wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mediagate.core.objects import Video
from mediagate.routing.catalog import ModelCatalog
from mediagate.store.database import Database
from mediagate.store.video_line import VideoLine
from mediagate.videos.tasks import WAKE_CHANNEL

Written = TypeVar("Written")
# Whoever waits is woken when its turn comes; this is for wake-ups that were lost.
LOOK_AGAIN_S = 5.0
SEEN_S = 1.0


class Line:
    """One line for each account, in the database, for all processes."""

    def __init__(self, db: Database, catalog: ModelCatalog, now: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._catalog = catalog
        self._now = now
        self._seen: dict[str, tuple[float, dict[str, int], int]] = {}
        self._looking: dict[str, asyncio.Lock] = {}

    async def pass_through(
        self, video: Video, submit: Callable[[], Awaitable[Written]]
    ) -> tuple[Written | None, dict[str, Any] | None]:
        """Run `submit`, which writes the intent down, where it is the video's turn; else the hold that says how long
        the line is. Nobody else passes meanwhile."""
        limit = self._catalog.parallel_max(video.account)
        if limit is None or video.submit_started_at is not None:
            return await submit(), None
        places, busy = await self._look(video.account)
        if places.get(video.id, 0) <= limit - busy:
            async with self._db.transaction() as tx:
                line = VideoLine(tx.connection, video.account)
                await line.hold_others()
                places, busy = await line.places()
                if places.get(video.id, 0) <= limit - busy:
                    self._seen.pop(video.account, None)
                    return await submit(), None
        position = places.get(video.id, len(places) + 1)
        return None, {"reason": "provider_limit", "position": position, "of": max(position, len(places))}

    async def _look(self, account: str) -> tuple[dict[str, int], int]:
        """The line as it was a moment ago: thousands may wait in it, and each wants to know its place."""
        async with self._looking.setdefault(account, asyncio.Lock()):
            seen = self._seen.get(account)
            if seen is None or self._now() - seen[0] > SEEN_S:
                async with self._db.reading() as connection:
                    seen = (self._now(), *await VideoLine(connection, account).places())
                self._seen[account] = seen
            return seen[1], seen[2]

    async def wake(self, account: str) -> None:
        """Tell those whose turn has come, after a video of the account ended."""
        limit = self._catalog.parallel_max(account)
        if limit is None:
            return
        self._seen.pop(account, None)
        async with self._db.transaction() as tx:
            for video_id in await VideoLine(tx.connection, account).first(limit):
                await tx.notify(WAKE_CHANNEL, video_id)

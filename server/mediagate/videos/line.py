"""The line in front of an account with a parallel limit: who may be submitted now, and who waits at which position.

Owners take turns, so that nobody's hundred videos make somebody's only one wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from mediagate.core.objects import Video
from mediagate.routing.catalog import ModelCatalog
from mediagate.store.database import Database, Transaction
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
        self._passing: dict[str, asyncio.Lock] = {}

    async def hold(self, video: Video) -> dict[str, Any] | None:
        """Why it cannot go now, as the line was a moment ago; None where it may try to pass."""
        limit = self._catalog.parallel_max(video.account)
        if limit is None or video.submit_started_at is not None:
            return None
        places, busy = await self._look(video.account)
        return _held(video, places, limit - busy)

    async def pass_through(
        self, video: Video, submit: Callable[[Transaction | None], Awaitable[Written]]
    ) -> tuple[Written | None, dict[str, Any] | None]:
        """Run `submit`, which writes the intent down, where it is the video's turn; else the hold that says how long
        the line is. Nobody else passes meanwhile."""
        account = video.account
        limit = self._catalog.parallel_max(account)
        if limit is None or video.submit_started_at is not None:
            return await submit(None), None
        # One connection of this process waits for others, not one for each video.
        async with self._passing.setdefault(account, asyncio.Lock()), self._db.transaction() as tx:
            line = VideoLine(tx.connection, account)
            await line.hold_others()
            places, busy = await line.places()
            held = _held(video, places, limit - busy)
            if held is None:
                self._seen.pop(account, None)
                return await submit(tx), None
        return None, held

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


def _held(video: Video, places: Mapping[str, int], free: int) -> dict[str, Any] | None:
    # One that is not in the line has just come to it, or was sent away by the provider.
    position = places.get(video.id, 1)
    if position <= free:
        return None
    return {"reason": "provider_limit", "position": position, "of": max(position, len(places))}

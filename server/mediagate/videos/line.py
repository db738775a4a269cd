"""The line in front of an account or a deployment with limits: who may be submitted now, who waits at which position.

Owners take turns, so that nobody's hundred videos make somebody's only one wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from mediagate.core.objects import Video
from mediagate.routing.catalog import LineRules, ModelCatalog
from mediagate.store.database import Database, Transaction
from mediagate.store.deployments import DeploymentState
from mediagate.store.video_line import VideoLine
from mediagate.videos.tasks import WAKE_CHANNEL

Written = TypeVar("Written")
PARALLEL: Final = "provider_limit"
RATE: Final = "rate"
# Whoever waits is woken when its turn comes; this is for wake-ups that were lost.
LOOK_AGAIN_S = 5.0
SEEN_S = 1.0


@dataclass(frozen=True, slots=True)
class _Places:
    """A line. `busy` are the videos ahead of it, `submits` those of the last minute."""

    positions: Mapping[str, int]
    busy: int
    submits: int


class Line:
    """One line for each account, or for a deployment with limits of its own, in the database, for all processes."""

    def __init__(self, db: Database, catalog: ModelCatalog, now: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._catalog = catalog
        self._now = now
        self._seen: dict[LineRules, tuple[float, _Places]] = {}
        self._looking: dict[LineRules, asyncio.Lock] = {}
        self._passing: dict[LineRules, asyncio.Lock] = {}

    async def hold(self, video: Video) -> dict[str, Any] | None:
        """Why it cannot go now, as the line was a moment ago; None where it may try to pass."""
        rules = self._rules(video)
        if rules.is_open or video.submit_started_at is not None:
            return None
        return _held(video, await self._look(rules), rules)

    async def pass_through(
        self, video: Video, submit: Callable[[Transaction | None], Awaitable[Written]]
    ) -> tuple[Written | None, dict[str, Any] | None]:
        """Run `submit`, which writes the intent down, where it is the video's turn; else the hold that says how long
        the line is. Nobody else passes meanwhile."""
        rules = self._rules(video)
        if rules.is_open or video.submit_started_at is not None:
            return await submit(None), None
        # One connection of this process waits for others, not one for each video.
        async with self._passing.setdefault(rules, asyncio.Lock()), self._db.transaction() as tx:
            line, state = VideoLine(tx.connection, rules.of, rules.name), DeploymentState(tx.connection)
            await line.hold_others()
            held = _held(video, await _places(line, state, rules), rules)
            if held is None:
                self._seen.pop(rules, None)
                if rules.rpm is not None:
                    await state.add_submit(rules.name)
                return await submit(tx), None
        return None, held

    def _rules(self, video: Video) -> LineRules:
        return self._catalog.line_of(video.deployment, video.account)

    async def _look(self, rules: LineRules) -> _Places:
        """The line as it was a moment ago: thousands may wait in it, and each wants to know its place."""
        async with self._looking.setdefault(rules, asyncio.Lock()):
            seen = self._seen.get(rules)
            if seen is None or self._now() - seen[0] > SEEN_S:
                async with self._db.reading() as connection:
                    line, state = VideoLine(connection, rules.of, rules.name), DeploymentState(connection)
                    seen = (self._now(), await _places(line, state, rules))
                self._seen[rules] = seen
            return seen[1]

    async def wake(self, video: Video) -> None:
        """Tell those whose turn has come, after a video ended."""
        rules = self._rules(video)
        if rules.parallel_max is None:
            return
        self._seen.pop(rules, None)
        async with self._db.transaction() as tx:
            for video_id in await VideoLine(tx.connection, rules.of, rules.name).first(rules.parallel_max):
                await tx.notify(WAKE_CHANNEL, video_id)


async def _places(line: VideoLine, state: DeploymentState, rules: LineRules) -> _Places:
    positions, busy = await line.places()
    submits = 0 if rules.rpm is None else await state.submits_of(rules.name)
    return _Places(positions, busy, submits)


def _held(video: Video, places: _Places, rules: LineRules) -> dict[str, Any] | None:
    # One that is not in the line has just come to it, or was sent away by the provider.
    position = places.positions.get(video.id, 1)
    length = max(position, len(places.positions))
    if rules.parallel_max is not None and position > rules.parallel_max - places.busy:
        return {"reason": PARALLEL, "position": position, "of": length}
    if rules.rpm is not None and position > rules.rpm - places.submits:
        return {"reason": RATE, "position": position, "of": length}
    return None

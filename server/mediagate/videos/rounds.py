"""Who looks at which video when, in one process: what waits is an entry in a heap, what looks is a task.

Ten thousand videos at ten seconds are a thousand looks a second; a coroutine for each of them would take ten
kilobytes while it sleeps (measured).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from mediagate.videos.track_video import Run

log = structlog.get_logger(__name__)
WAKE_S: Final = 1.0
# What is due within one tick looks together, and shares its queries.
TICK_S: Final = 0.02
# Twice what ten thousand videos need: what is late, as after a pause of the process, is caught up with in small bites.
LOOKS_PER_TICK: Final = 40
CANCELLED_S: Final = 5.0
_NEVER: Final = math.inf

Look = Callable[[str, Run], Awaitable[float | None]]
Over = Callable[[str], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Entry:
    """A video. `due` is the loop's time of its next look, never while one runs; `wake_at` that of the next wake-up."""

    video_id: str
    run: Run = field(default_factory=Run)
    due: float = _NEVER
    wake_at: float = _NEVER
    next_wake_at: float = 0.0
    looks: bool = False


class Rounds:
    """Looks at each of its videos as often as the look before said."""

    def __init__(self, look: Look, over: Over) -> None:
        """`look` must not raise. `over` is told of each video that needs no more looks."""
        self._look = look
        self._over = over
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, _Entry]] = []
        self._numbers = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = _NEVER
        self._turns: set[asyncio.Task[None]] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def looking(self) -> int:
        """How many looks run now."""
        return len(self._turns)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._entries

    def add(self, video_id: str, traceparent: str | None = None) -> None:
        """Look at it now, and from now on, as a part of the trace in which it was asked for."""
        if video_id not in self._entries and not self._stopping:
            entry = self._entries[video_id] = _Entry(video_id, Run(traceparent=traceparent))
            self._begin(entry)

    def wake(self, video_id: str) -> None:
        """Look soon, if it is one of these; not more often than once in `WAKE_S`, whoever calls how often: each look
        asks the provider. A look that runs is followed by another."""
        entry = self._entries.get(video_id)
        if entry is None or self._stopping or entry.wake_at != _NEVER:
            return
        entry.wake_at = max(asyncio.get_running_loop().time(), entry.next_wake_at)
        entry.next_wake_at = entry.wake_at + WAKE_S
        if not entry.looks and entry.wake_at < entry.due:
            self._wait(entry, entry.wake_at)

    async def stop(self, within_s: float) -> None:
        """Begin no more looks, and wait for those that run; those that take longer are cancelled."""
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self._turns:
            _, late = await asyncio.wait(self._turns, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _begin(self, entry: _Entry) -> None:
        entry.due = entry.wake_at = _NEVER
        entry.looks = True
        turn = asyncio.create_task(self._turn(entry))
        self._turns.add(turn)
        turn.add_done_callback(self._turns.discard)

    async def _turn(self, entry: _Entry) -> None:
        try:
            wait_s = await self._look(entry.video_id, entry.run)
        except asyncio.CancelledError:
            if self._stopping:
                raise
            # By something that the look called: no reason to forget the video.
            log.warning("look_cancelled", video_id=entry.video_id)
            wait_s = CANCELLED_S
        finally:
            entry.looks = False
        if wait_s is None:
            del self._entries[entry.video_id]
            await self._over(entry.video_id)
        elif not self._stopping:
            self._wait(entry, min(asyncio.get_running_loop().time() + max(wait_s, 0.0), entry.wake_at))

    def _wait(self, entry: _Entry, due: float) -> None:
        entry.due = due
        heapq.heappush(self._heap, (due, next(self._numbers), entry))
        self._set_alarm()

    def _set_alarm(self, not_before: float = 0.0) -> None:
        at = math.ceil(max(self._heap[0][0], not_before) / TICK_S) * TICK_S
        if at >= self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        # uvloop's handle of a moment that has passed cannot tell its time.
        self._alarm, self._alarm_at = asyncio.get_running_loop().call_at(at, self._ring), at

    def _ring(self) -> None:
        self._alarm_at = _NEVER
        now, begun = asyncio.get_running_loop().time(), 0
        while self._heap and self._heap[0][0] <= now and begun < LOOKS_PER_TICK:
            due, _, entry = heapq.heappop(self._heap)
            # One that was woken has looked since, or does so now.
            if due == entry.due:
                self._begin(entry)
                begun += 1
        if self._heap:
            self._set_alarm(now + TICK_S if begun == LOOKS_PER_TICK else 0.0)

"""The life of a video, written once: the row, its events and the wake-up of every watcher in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import OVER, VideoPhase, status_of
from mediagate.core.objects import Video, VideoEvent
from mediagate.spend.settle import SettleSpend
from mediagate.store.database import VIDEO_CHANNEL, Database, Transaction
from mediagate.store.video_progress import Progress, ProgressWrites
from mediagate.store.videos import VideoRepository
from mediagate.telemetry import metrics
from mediagate.videos.tasks import news
from mediagate.videos.webhooks import VideoAnnouncer


@dataclass(frozen=True, slots=True)
class Happening:
    """One event to be: its type, and the member of the wire event that goes with it."""

    type: str
    payload: Mapping[str, Any]


def phase_change(before: VideoPhase | None, video: Video) -> Happening:
    """That a video is in another phase, or at another position in the provider's queue."""
    payload: dict[str, Any] = {"to": video.phase.value, "status": status_of(video.phase).value}
    if before is not None:
        payload["from"] = before.value
    if video.position is not None:
        payload["position"] = video.position
    if video.hold is not None:
        payload["hold"] = dict(video.hold)
    if video.failure is not None:
        payload["failure"] = dict(video.failure)
    return Happening("phase", payload)


def progress_made(video: Video) -> Happening:
    """How far a video is."""
    payload: dict[str, Any] = {"percent": video.progress, "source": video.progress_source}
    if video.eta is not None:
        payload["eta"] = dict(video.eta)
    return Happening("progress", payload)


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes what happens to videos."""

    db: Database
    clock: Clock
    announcer: VideoAnnouncer = field(default_factory=VideoAnnouncer)
    settle: SettleSpend = field(default_factory=SettleSpend)
    _progress: ProgressWrites = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_progress", ProgressWrites(self.db, self._announce))

    async def open(self, tx: Transaction, video: Video, more: Sequence[Happening] = ()) -> Video:
        """Insert a new video with its first event and `more` behind it."""
        happenings = (phase_change(None, video), *more)
        video = replace(video, seq=len(happenings))
        repository = VideoRepository(tx.connection)
        await repository.add(video)
        await repository.add_events(
            [
                VideoEvent(video.id, number, video.created_at, happening.type, happening.payload)
                for number, happening in enumerate(happenings, start=1)
            ]
        )
        await tx.notify(VIDEO_CHANNEL, news(video, 1, video.seq))
        return video

    async def write(
        self, before: Video, after: Video, happenings: Sequence[Happening], tx: Transaction | None = None
    ) -> Video | None:
        """Turn `before` into `after` if nobody changed it or asked for its cancel meanwhile.

        None where somebody did, and nothing is written. With `tx` it is a part of that transaction.

        The end of a video is written here and nowhere else, so it is settled once.
        """
        now = self.clock.now()
        ends = after.phase in OVER and before.phase not in OVER
        if ends:
            happenings = [*happenings, Happening("end", {})]
        after = replace(after, seq=before.seq + len(happenings))
        values: dict[str, Any] = {
            field.name: getattr(after, field.name)
            for field in fields(Video)
            if getattr(after, field.name) != getattr(before, field.name)
        }
        if "phase" in values:
            values["phase"] = after.phase.value
        if ends:
            values["ended_at"] = now
        async with nullcontext(tx) if tx is not None else self.db.transaction() as tx:
            repository = VideoRepository(tx.connection)
            if not await repository.change(before, values):
                return None
            if happenings:
                await repository.add_events(_events(before, happenings, now))
                await tx.notify(VIDEO_CHANNEL, news(after, before.seq + 1, after.seq))
            if ends:
                await self.announcer.ended(tx, after, now=now)
                await self._settle(tx, after, happenings)
        if ends:
            metrics.video_ended(after.provider, after.phase.value)
            metrics.charged(after.provider, after.provider_model, after.cost_usd or 0.0)
        return after

    async def _settle(self, tx: Transaction, video: Video, happenings: Sequence[Happening]) -> None:
        """Behind all else in its transaction, because others wait for the budgets that it moves."""
        if video.cost_usd is None and video.estimate_usd is not None:
            # Nobody knows what became of it, and the money stays held.
            return
        lines = [happening.payload["reason"] for happening in happenings if happening.type == "cost"]
        await self.settle.run(tx, video.id, video.cost_usd or 0.0, lines[0] if lines else "nothing_held")

    async def progressed(self, before: Video, after: Video, happenings: Sequence[Happening]) -> bool:
        """The same for a video that is where it was, or further: what many write at once is one statement. Only what
        `Progress` names may differ. False where nothing is written."""
        events = _events(before, happenings, self.clock.now())
        after = replace(after, seq=before.seq + len(events))
        told = news(after, before.seq + 1, after.seq)
        return await self._progress.write(Progress(before, after, events, told))

    async def _announce(self, tx: Transaction, written: Sequence[Progress]) -> None:
        now = self.clock.now()
        for one in written:
            if any(event.type == "progress" for event in one.events):
                await self.announcer.progressed(tx, one.after, now=now)


def _events(before: Video, happenings: Sequence[Happening], now: datetime) -> list[VideoEvent]:
    return [
        VideoEvent(before.id, number, now, happening.type, happening.payload)
        for number, happening in enumerate(happenings, start=before.seq + 1)
    ]

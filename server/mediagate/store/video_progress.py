"""How far videos are, written for many of them with one statement: of ten thousand, hundreds change in a second."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mediagate.core.objects import Video, VideoEvent
from mediagate.store.batching import Batched
from mediagate.store.database import VIDEO_CHANNEL, Database, Transaction

# Who writes one of these videos at the same time goes first, and nobody waits for anybody: the row counts as changed.
_WRITE: Final = """
WITH news AS (
    SELECT * FROM unnest(
        %(ids)s::text[], %(seqs)s::int[], %(afters)s::int[], %(cancels)s::timestamptz[], %(phases)s::text[],
        %(positions)s::int[], %(percents)s::int[], %(sources)s::text[], %(etas)s::jsonb[], %(starts)s::timestamptz[],
        %(told)s::text[]
    ) AS n(id, seq, after, cancel, phase, position, percent, source, eta, started, told)
), held AS (
    SELECT video.id FROM video JOIN news ON news.id = video.id
    WHERE video.seq = news.seq AND video.deleted_at IS NULL
        AND video.cancel_requested_at IS NOT DISTINCT FROM news.cancel
    FOR UPDATE OF video SKIP LOCKED
), changed AS (
    UPDATE video SET
        seq = news.after, phase = news.phase, position = news.position, progress = news.percent,
        progress_source = news.source, eta = news.eta, render_started_at = news.started
    FROM news JOIN held ON held.id = news.id WHERE video.id = news.id
    RETURNING video.id, news.told
), lived AS (
    INSERT INTO video_event (video_id, seq, time, type, payload)
    SELECT event.id, event.seq, event.time, event.type, event.payload
    FROM unnest(
        %(event_ids)s::text[], %(event_seqs)s::int[], %(times)s::timestamptz[], %(types)s::text[], %(payloads)s::jsonb[]
    ) AS event(id, seq, time, type, payload)
    JOIN changed ON changed.id = event.id
)
SELECT id, pg_notify(%(channel)s, told) FROM changed
"""


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """One video before and after, what happened in between, and what is told on the channel of videos. Only its place
    in the provider's queue, its percent and what follows from those may differ."""

    before: Video
    after: Video
    events: Sequence[VideoEvent]
    told: str


class ProgressWrites:
    """Writes what arrives while one write runs with the next, all or nothing of each video."""

    def __init__(self, db: Database, and_then: Callable[[Transaction, Sequence[Progress]], Awaitable[None]]) -> None:
        """`and_then` belongs to the transaction; it is given those that were written."""
        self._db = db
        self._and_then = and_then
        self._batched: Batched[Progress, bool] = Batched(self._write)

    async def write(self, progress: Progress) -> bool:
        """Compare-and-set: False where somebody wrote, deleted or cancelled the video since, or does so now."""
        return bool(await self._batched.get(progress))

    async def _write(self, batch: Sequence[Progress]) -> Mapping[Progress, bool]:
        # Of two trackers of one video the first writes; the other has changed nothing.
        by_id: dict[str, Progress] = {}
        for one in batch:
            by_id.setdefault(one.before.id, one)
        async with self._db.transaction() as tx:
            result = await tx.connection.exec_driver_sql(_WRITE, _parameters(list(by_id.values())))
            written = [by_id[row[0]] for row in result.all()]
            await self._and_then(tx, written)
        return dict.fromkeys(written, True)


def _parameters(batch: Sequence[Progress]) -> dict[str, Any]:
    videos = [one.after for one in batch]
    events = [event for one in batch for event in one.events]
    return {
        "ids": [video.id for video in videos],
        "seqs": [one.before.seq for one in batch],
        "afters": [video.seq for video in videos],
        "cancels": _times([one.before.cancel_requested_at for one in batch]),
        "phases": [video.phase.value for video in videos],
        "positions": [video.position for video in videos],
        "percents": [video.progress for video in videos],
        "sources": [video.progress_source for video in videos],
        "etas": [None if video.eta is None else json.dumps(video.eta) for video in videos],
        "starts": _times([video.render_started_at for video in videos]),
        "told": [one.told for one in batch],
        "event_ids": [event.video_id for event in events],
        "event_seqs": [event.seq for event in events],
        "times": _times([event.time for event in events]),
        "types": [event.type for event in events],
        "payloads": [json.dumps(dict(event.payload)) for event in events],
        "channel": VIDEO_CHANNEL,
    }


def _times(moments: Sequence[datetime | None]) -> list[str | None]:
    return [None if moment is None else moment.isoformat() for moment in moments]

"""What becomes of videos, as events for their owners' webhooks."""

from __future__ import annotations

import time
from datetime import datetime

from mediagate.core.lifecycle import VideoStatus, status_of
from mediagate.core.objects import Video
from mediagate.core.webhooks import VIDEO_COMPLETED, VIDEO_FAILED, VIDEO_PROGRESS
from mediagate.store.database import Transaction
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.emit import Occurrence, emit, emit_progress

REMEMBERED_S = 5.0


class VideoAnnouncer:
    """Tells of ends, and of progress where that is asked for.

    Progress is written far more often than anybody wants it, so who wants it is remembered for `REMEMBERED_S`. An end
    is never missed.
    """

    def __init__(self) -> None:
        self._wanting: frozenset[str] = frozenset()
        self._until = 0.0

    async def ended(self, tx: Transaction, video: Video, *, now: datetime) -> None:
        """Tell that a video is over; one that was cancelled failed."""
        type_ = VIDEO_COMPLETED if status_of(video.phase) is VideoStatus.COMPLETED else VIDEO_FAILED
        await emit(tx, video.owner_id, [Occurrence(type_, video.id)], now=now)

    async def progressed(self, tx: Transaction, video: Video, *, now: datetime) -> None:
        """Tell how far a video is."""
        if time.monotonic() >= self._until:
            self._wanting = await WebhookRepository(tx.connection).wanting_progress()
            self._until = time.monotonic() + REMEMBERED_S
        if video.owner_id in self._wanting:
            progress = Occurrence(VIDEO_PROGRESS, video.id, {"progress": video.progress})
            await emit_progress(tx, video.owner_id, progress, now=now)

"""Write down that something happened, in the transaction in which it does.

Where nobody wants to know it is one look-up by owner and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mediagate.core import ids
from mediagate.core.webhooks import VIDEO_PROGRESS, WebhookEvent, body_of
from mediagate.store.database import Transaction
from mediagate.store.webhooks import WebhookRepository, Wish
from mediagate.webhooks.tasks import DELIVER_WEBHOOKS, WEBHOOK_QUEUE, WEBHOOK_RETRY_QUEUE

# What another process's clock may be ahead of the worker's by, as far as the pace of progress is concerned.
TOLERANCE = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened to the object `data_id`; `data` stands beside its id in the event."""

    type: str
    data_id: str
    data: Mapping[str, Any] = field(default_factory=dict)


async def emit(tx: Transaction, owner_id: str, occurrences: Sequence[Occurrence], *, now: datetime) -> None:
    """Tell the owner's endpoints, once `tx` commits. Occurrences get ids in their order."""
    wishes = await WebhookRepository(tx.connection).wishes(owner_id, {one.type for one in occurrences})
    wanting = [(one, [wish for wish in wishes if one.type in wish.event_types]) for one in occurrences]
    await _tell(tx, [(_event(owner_id, one, now), some) for one, some in wanting if some])


async def emit_about_files(tx: Transaction, file_ids: Sequence[str], types: Sequence[str], *, now: datetime) -> None:
    """The same for files that have a row, whoever owns them; each of `types` happened to each. Internal ones are left
    out."""
    if not file_ids:
        return
    found: dict[tuple[str, str], list[Wish]] = {}
    for file_id, owner_id, wish in await WebhookRepository(tx.connection).wishes_about(file_ids, types):
        found.setdefault((file_id, owner_id), []).append(wish)
    told = [
        (_event(owner_id, Occurrence(name, file_id), now), wanting)
        for (file_id, owner_id), wishes in found.items()
        for name in types
        if (wanting := [wish for wish in wishes if name in wish.event_types])
    ]
    await _tell(tx, told)


async def emit_progress(tx: Transaction, owner_id: str, progress: Occurrence, *, now: datetime) -> None:
    """The same for `video.progress`, to those endpoints alone whose interval is over."""
    webhooks = WebhookRepository(tx.connection)
    wishes = await webhooks.wishes(owner_id, {VIDEO_PROGRESS})
    if not wishes:
        return
    told_at = await webhooks.progress_told(progress.data_id, [wish.endpoint_id for wish in wishes])
    due = []
    for wish in wishes:
        last = told_at.get(wish.endpoint_id)
        if last is None or now + TOLERANCE >= last + timedelta(seconds=wish.progress_interval_s):
            due.append(wish)
    if due:
        await _tell(tx, [(_event(owner_id, progress, now), due)])


def _event(owner_id: str, one: Occurrence, now: datetime) -> WebhookEvent:
    event_id = ids.new_event_id()
    body = body_of(event_id, one.type, one.data_id, one.data, now)
    return WebhookEvent(event_id, owner_id, one.type, one.data_id, body, now)


async def _tell(tx: Transaction, told: Sequence[tuple[WebhookEvent, Collection[Wish]]]) -> None:
    if not told:
        return
    await WebhookRepository(tx.connection).add_events(told)
    failing = {wish.endpoint_id: wish.failing for _, wishes in told for wish in wishes}
    for endpoint_id in sorted(failing):
        await enqueue_deliveries(tx, endpoint_id, failing=failing[endpoint_id])


async def enqueue_deliveries(
    tx: Transaction, endpoint_id: str, *, failing: bool = False, delay_s: int | None = None
) -> None:
    """A job that sends what is due at an endpoint. There may be any number of them: what one sends no other does."""
    queue = WEBHOOK_RETRY_QUEUE if failing else WEBHOOK_QUEUE
    await tx.enqueue(DELIVER_WEBHOOKS, queue=queue, delay_s=delay_s, endpoint_id=endpoint_id)

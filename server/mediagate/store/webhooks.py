"""Webhook endpoints and events in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.objects import Page
from mediagate.core.webhooks import VIDEO_PROGRESS, DeliveryState, OldSecret, WebhookEndpoint, WebhookEvent
from mediagate.store.tables import FileRow, WebhookDeliveryRow, WebhookEndpointRow, WebhookEventRow, table

ENDPOINT = table(WebhookEndpointRow)
EVENT = table(WebhookEventRow)
DELIVERY = table(WebhookDeliveryRow)
FILE = table(FileRow)


@dataclass(frozen=True, slots=True)
class Wish:
    """That an enabled endpoint wants some of the types that were asked for."""

    endpoint_id: str
    event_types: frozenset[str]
    progress_interval_s: float
    failing: bool


_WISH = (ENDPOINT.c.id, ENDPOINT.c.event_types, ENDPOINT.c.progress_interval_s, ENDPOINT.c.failures)


def _wish(row: Any) -> Wish:
    return Wish(row.id, frozenset(row.event_types), row.progress_interval_s, row.failures > 0)


# Enabled endpoints that want one of `types`. Made once, since every change of a file asks.
_WANTING: ColumnElement[bool] = ENDPOINT.c.disabled_reason.is_(None) & ENDPOINT.c.event_types.op("&&")(
    bindparam("types", type_=ARRAY(TEXT))
)
_WISHES = select(*_WISH).where(ENDPOINT.c.owner_id == bindparam("owner"), _WANTING)
_WISHES_ABOUT = (
    select(FILE.c.id.label("file_id"), FILE.c.owner_id, *_WISH)
    .join(ENDPOINT, ENDPOINT.c.owner_id == FILE.c.owner_id)
    .where(FILE.c.id == any_(bindparam("files", type_=ARRAY(TEXT))), ~FILE.c.internal, _WANTING)
    .order_by(FILE.c.id)
)


def _endpoint(row: Row[Any]) -> WebhookEndpoint:
    values = row._asdict()
    old = [OldSecret(one["secret"], datetime.fromisoformat(one["expires_at"])) for one in values["old_secrets"]]
    return WebhookEndpoint(**{**values, "event_types": tuple(values["event_types"]), "old_secrets": tuple(old)})


def _values(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What of an endpoint may change."""
    return {
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "secret": endpoint.secret,
        "old_secrets": [
            {"secret": old.secret, "expires_at": old.expires_at.isoformat()} for old in endpoint.old_secrets
        ],
        "progress_interval_s": endpoint.progress_interval_s,
        "failures": endpoint.failures,
        "disabled_reason": endpoint.disabled_reason,
        "updated_at": endpoint.updated_at,
    }


class WebhookRepository:
    """Reads and writes endpoints and events through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, endpoint: WebhookEndpoint, *, most: int) -> bool:
        """Insert a new endpoint; False where its owner has `most` of them."""
        # Two creations of one owner at once would both find room for one.
        await self._connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('webhook_endpoint ' || :owner, 0))"),
            {"owner": endpoint.owner_id},
        )
        query = select(func.count()).select_from(ENDPOINT).where(ENDPOINT.c.owner_id == endpoint.owner_id)
        if (await self._connection.execute(query)).scalar_one() >= most:
            return False
        await self._connection.execute(
            insert(ENDPOINT).values(
                id=endpoint.id, owner_id=endpoint.owner_id, created_at=endpoint.created_at, **_values(endpoint)
            )
        )
        return True

    async def get(self, owner_id: str, endpoint_id: str, *, locked: bool = False) -> WebhookEndpoint | None:
        """An endpoint of its owner; `locked` holds its row until the transaction ends."""
        query = select(ENDPOINT).where(ENDPOINT.c.id == endpoint_id, ENDPOINT.c.owner_id == owner_id)
        row = (await self._connection.execute(query.with_for_update() if locked else query)).first()
        return None if row is None else _endpoint(row)

    async def hold(self, endpoint_id: str) -> WebhookEndpoint | None:
        """The same for jobs, whoever owns it; its row is held until the transaction ends."""
        query = select(ENDPOINT).where(ENDPOINT.c.id == endpoint_id).with_for_update()
        row = (await self._connection.execute(query)).first()
        return None if row is None else _endpoint(row)

    async def page(self, owner_id: str, *, after: str | None, limit: int) -> Page[WebhookEndpoint]:
        """The owner's endpoints, newest first."""
        query = select(ENDPOINT).where(ENDPOINT.c.owner_id == owner_id)
        if after is not None:
            query = query.where(ENDPOINT.c.id < after)
        rows = (await self._connection.execute(query.order_by(ENDPOINT.c.id.desc()).limit(limit + 1))).all()
        return Page(tuple(_endpoint(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def save(self, endpoint: WebhookEndpoint) -> None:
        """Write an endpoint whose row is held."""
        await self._connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == endpoint.id).values(**_values(endpoint)))

    async def count_failures(self, endpoint_id: str, failures: int) -> None:
        """Write how many attempts in a row were not acknowledged."""
        await self._connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == endpoint_id).values(failures=failures))

    async def set_wake(self, endpoint_id: str, wake_at: datetime) -> None:
        """Write when the next job for an endpoint runs."""
        await self._connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == endpoint_id).values(wake_at=wake_at))

    async def remove(self, owner_id: str, endpoint_id: str) -> bool:
        """Delete an endpoint and its deliveries; False where there is none."""
        result = await self._connection.execute(
            delete(ENDPOINT).where(ENDPOINT.c.id == endpoint_id, ENDPOINT.c.owner_id == owner_id)
        )
        if result.rowcount:
            await self._connection.execute(delete(DELIVERY).where(DELIVERY.c.endpoint_id == endpoint_id))
        return result.rowcount == 1

    async def wishes(self, owner_id: str, types: Collection[str]) -> list[Wish]:
        """The owner's enabled endpoints that want one of `types`."""
        rows = (await self._connection.execute(_WISHES, {"owner": owner_id, "types": list(types)})).all()
        return [_wish(row) for row in rows]

    async def wishes_about(self, file_ids: Sequence[str], types: Collection[str]) -> list[tuple[str, str, Wish]]:
        """The same for the owners of these files, each with file and owner; nobody is told of an internal file."""
        parameters = {"files": list(file_ids), "types": list(types)}
        rows = (await self._connection.execute(_WISHES_ABOUT, parameters)).all()
        return [(row.file_id, row.owner_id, _wish(row)) for row in rows]

    async def wanting_progress(self) -> frozenset[str]:
        """The owners of enabled endpoints that want to know of progress."""
        query = select(ENDPOINT.c.owner_id).where(_WANTING).distinct()
        rows = (await self._connection.execute(query, {"types": [VIDEO_PROGRESS]})).all()
        return frozenset(row.owner_id for row in rows)

    async def progress_told(self, data_id: str, endpoint_ids: Sequence[str]) -> Mapping[str, datetime]:
        """When each of these endpoints was last told of the progress of `data_id`."""
        query = (
            select(DELIVERY.c.endpoint_id, func.max(EVENT.c.created_at).label("at"))
            .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
            .where(EVENT.c.data_id == data_id, EVENT.c.type == VIDEO_PROGRESS, DELIVERY.c.endpoint_id.in_(endpoint_ids))
            .group_by(DELIVERY.c.endpoint_id)
        )
        return {row.endpoint_id: row.at for row in (await self._connection.execute(query)).all()}

    async def add_events(self, events: Iterable[tuple[WebhookEvent, Collection[Wish]]]) -> None:
        """Insert events, each with a delivery to the endpoints that want it."""
        pairs = list(events)
        await self._connection.execute(
            insert(EVENT),
            [
                {
                    "id": event.id,
                    "owner_id": event.owner_id,
                    "type": event.type,
                    "data_id": event.data_id,
                    "body": event.body,
                    "created_at": event.created_at,
                }
                for event, _ in pairs
            ],
        )
        await self._connection.execute(
            insert(DELIVERY),
            [
                {
                    "endpoint_id": wish.endpoint_id,
                    "event_id": event.id,
                    "state": DeliveryState.PENDING.value,
                    "attempts": 0,
                    "tries": 0,
                    "started_at": event.created_at,
                    "next_attempt_at": event.created_at,
                    "log": [],
                }
                for event, wishes in pairs
                for wish in wishes
            ],
        )

    async def event(self, owner_id: str, event_id: str) -> WebhookEvent | None:
        """An event of its owner; None once it was swept."""
        query = select(EVENT).where(EVENT.c.id == event_id, EVENT.c.owner_id == owner_id)
        row = (await self._connection.execute(query)).first()
        return None if row is None else WebhookEvent(**row._asdict())

    async def sweep(self, *, before_id: str, limit: int) -> int:
        """Forget up to `limit` events, with their deliveries, whose id is smaller than `before_id`."""
        due = (
            select(EVENT.c.id)
            .where(EVENT.c.id < before_id)
            .order_by(EVENT.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return (await self._connection.execute(delete(EVENT).where(EVENT.c.id.in_(due)))).rowcount

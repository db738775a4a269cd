"""Deliveries of events in the database: which is due, who sends it, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.objects import Page
from mediagate.core.webhooks import Attempt, Delivery, DeliveryState
from mediagate.store.webhooks import DELIVERY, EVENT

_COLUMNS = (
    DELIVERY.c.endpoint_id,
    DELIVERY.c.event_id,
    EVENT.c.type.label("event_type"),
    EVENT.c.data_id,
    DELIVERY.c.state,
    DELIVERY.c.attempts,
    DELIVERY.c.tries,
    EVENT.c.created_at,
    DELIVERY.c.started_at,
    DELIVERY.c.next_attempt_at,
    DELIVERY.c.log,
)
_PENDING: ColumnElement[bool] = DELIVERY.c.state == DeliveryState.PENDING.value


def _delivery(values: Mapping[str, Any]) -> Delivery:
    log = tuple(
        Attempt(
            datetime.fromtimestamp(one["at"], UTC), one["ms"], one.get("status"), one.get("error"), one.get("body", "")
        )
        for one in values["log"]
    )
    return Delivery(**{**values, "state": DeliveryState(values["state"]), "log": log})


def _log(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    return [
        {
            "at": one.started_at.timestamp(),
            "ms": one.duration_ms,
            "status": one.status_code,
            "error": one.error,
            "body": one.response,
        }
        for one in attempts
    ]


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(DELIVERY.c.claimed_until.is_(None), DELIVERY.c.claimed_until <= now)


class DeliveryRepository:
    """Reads and writes deliveries through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def under_way(self, endpoint_id: str, *, but: int, now: datetime) -> int:
        """How many deliveries to an endpoint other jobs than `but` are sending."""
        query = (
            select(func.count())
            .select_from(DELIVERY)
            .where(DELIVERY.c.endpoint_id == endpoint_id, DELIVERY.c.claimed_until > now, DELIVERY.c.claimed_by != but)
        )
        return int((await self._connection.execute(query)).scalar_one())

    async def claim(
        self, endpoint_id: str, job_id: int, *, now: datetime, until: datetime
    ) -> tuple[Delivery, bytes] | None:
        """Take the delivery that has been due for longest, and the bytes to send; None where none is due.

        What a job claimed before it lost its process it may claim again at once. To be called with the endpoint held.
        """
        query = (
            select(*_COLUMNS, EVENT.c.body)
            .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
            .where(
                DELIVERY.c.endpoint_id == endpoint_id,
                _PENDING,
                DELIVERY.c.next_attempt_at <= now,
                or_(_free(now), DELIVERY.c.claimed_by == job_id),
            )
            .order_by(DELIVERY.c.next_attempt_at, DELIVERY.c.event_id)
            .limit(1)
        )
        row = (await self._connection.execute(query)).first()
        if row is None:
            return None
        values = row._asdict()
        body = bytes(values.pop("body"))
        await self._connection.execute(
            self._update(endpoint_id, row.event_id).values(claimed_by=job_id, claimed_until=until)
        )
        return _delivery(values), body

    @staticmethod
    def _update(endpoint_id: str, event_id: str) -> Any:
        return update(DELIVERY).where(DELIVERY.c.endpoint_id == endpoint_id, DELIVERY.c.event_id == event_id)

    async def next_due(self, endpoint_id: str, *, now: datetime) -> datetime | None:
        """When the first of those is due at an endpoint that nobody is sending; None where none waits."""
        query = (
            select(DELIVERY.c.next_attempt_at)
            .where(DELIVERY.c.endpoint_id == endpoint_id, _PENDING, _free(now))
            .order_by(DELIVERY.c.next_attempt_at)
            .limit(1)
        )
        row = (await self._connection.execute(query)).first()
        return None if row is None else row.next_attempt_at

    async def get(self, endpoint_id: str, event_id: str) -> Delivery | None:
        """One delivery."""
        query = (
            select(*_COLUMNS)
            .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
            .where(DELIVERY.c.endpoint_id == endpoint_id, DELIVERY.c.event_id == event_id)
        )
        row = (await self._connection.execute(query)).first()
        return None if row is None else _delivery(row._asdict())

    async def settle(self, delivery: Delivery) -> None:
        """Write down what came of an attempt, and let the delivery go. To be called with the endpoint held."""
        await self._connection.execute(
            self._update(delivery.endpoint_id, delivery.event_id).values(
                state=delivery.state.value,
                attempts=delivery.attempts,
                tries=delivery.tries,
                next_attempt_at=delivery.next_attempt_at,
                log=_log(delivery.log),
                claimed_by=None,
                claimed_until=None,
            )
        )

    async def restart(self, endpoint_id: str, event_id: str, *, now: datetime) -> None:
        """Let an event be sent from the beginning, also to an endpoint that never had it."""
        anew: dict[str, Any] = {
            "state": DeliveryState.PENDING.value,
            "tries": 0,
            "started_at": now,
            "next_attempt_at": now,
        }
        statement = insert(DELIVERY).values(endpoint_id=endpoint_id, event_id=event_id, attempts=0, log=[], **anew)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["endpoint_id", "event_id"], set_=anew)
        )

    async def give_up(self, endpoint_id: str) -> None:
        """Fail whatever was not acknowledged by an endpoint that takes nothing any more."""
        await self._connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.endpoint_id == endpoint_id, _PENDING)
            .values(state=DeliveryState.FAILED.value, next_attempt_at=None, claimed_by=None, claimed_until=None)
        )

    async def forget(self, endpoint_id: str) -> None:
        """Delete what was written for an endpoint while it was deleted."""
        await self._connection.execute(delete(DELIVERY).where(DELIVERY.c.endpoint_id == endpoint_id))

    async def page(self, endpoint_id: str, *, after: str | None, limit: int, state: str | None) -> Page[Delivery]:
        """What was sent to an endpoint, newest event first."""
        query = (
            select(*_COLUMNS)
            .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
            .where(DELIVERY.c.endpoint_id == endpoint_id)
        )
        if after is not None:
            query = query.where(DELIVERY.c.event_id < after)
        if state is not None:
            query = query.where(DELIVERY.c.state == state)
        rows = (await self._connection.execute(query.order_by(DELIVERY.c.event_id.desc()).limit(limit + 1))).all()
        return Page(tuple(_delivery(row._asdict()) for row in rows[:limit]), has_more=len(rows) > limit)

    async def stuck(self, *, before: datetime, now: datetime, limit: int) -> list[str]:
        """Endpoints with a delivery that has been due since before `before` and that nobody sends."""
        query = (
            select(DELIVERY.c.endpoint_id)
            .where(_PENDING, DELIVERY.c.next_attempt_at < before, _free(now))
            .distinct()
            .limit(limit)
        )
        return [row.endpoint_id for row in (await self._connection.execute(query)).all()]

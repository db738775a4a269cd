"""Calls with an idempotency key in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.idempotency import KeyedCall, Reply
from mediagate.store.batching import Batched
from mediagate.store.database import Database
from mediagate.store.tables import IdempotencyRow, table

CALL = table(IdempotencyRow)
RUNNING, DONE = "running", "done"
_COLUMNS = (
    CALL.c.owner_id,
    CALL.c.key,
    CALL.c.method,
    CALL.c.object_id,
    CALL.c.attempt,
    CALL.c.fingerprint,
    CALL.c.reply,
    CALL.c.reply_headers,
    CALL.c.lease_expires_at,
    CALL.c.expires_at,
)
_FIND = (
    f"SELECT {', '.join(column.name for column in _COLUMNS)} FROM idempotency "  # noqa: S608 (names of columns)
    "WHERE (owner_id, key) IN (SELECT * FROM unnest(%(owner_ids)s::text[], %(keys)s::text[]))"
)


def _call(row: Sequence[Any]) -> KeyedCall:
    """A row of `_COLUMNS`."""
    owner_id, key, method, object_id, attempt, fingerprint, body, headers, lease_expires_at, expires_at = row
    reply = None if body is None else Reply(bytes(body), tuple((name, value) for name, value in headers or ()))
    return KeyedCall(
        owner_id,
        key,
        method,
        object_id,
        attempt,
        fingerprint,
        reply,
        lease_expires_at=lease_expires_at,
        expires_at=expires_at,
    )


def _over(now: datetime) -> ColumnElement[bool]:
    """Past its time, and nobody is at work on it."""
    return and_(CALL.c.expires_at <= now, or_(CALL.c.state == DONE, CALL.c.lease_expires_at <= now))


class IdempotencyRepository:
    """Claims keys and settles them through one connection; every method is one statement."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, call: KeyedCall, *, now: datetime) -> bool:
        """Insert a running call; False where its key is taken."""
        statement = (
            insert(CALL)
            .values(
                owner_id=call.owner_id,
                key=call.key,
                method=call.method,
                object_id=call.object_id,
                attempt=call.attempt,
                fingerprint=call.fingerprint,
                state=RUNNING,
                lease_expires_at=call.lease_expires_at,
                created_at=now,
                expires_at=call.expires_at,
            )
            .on_conflict_do_nothing()
            .returning(CALL.c.attempt)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def forget(self, owner_id: str, key: str, *, now: datetime) -> None:
        """Drop a key whose time is over."""
        await self._connection.execute(delete(CALL).where(CALL.c.owner_id == owner_id, CALL.c.key == key, _over(now)))

    async def take_over(self, call: KeyedCall, *, now: datetime, until: datetime) -> bool:
        """Become the next attempt of a call whose lease is out; False where somebody was faster."""
        statement = (
            update(CALL)
            .where(self._held(call), CALL.c.lease_expires_at <= now)
            .values(attempt=call.attempt + 1, lease_expires_at=until)
        )
        return (await self._connection.execute(statement)).rowcount == 1

    async def change(self, call: KeyedCall, **values: Any) -> bool:
        """Write columns of a running call; False where another attempt has it by now."""
        return (await self._connection.execute(update(CALL).where(self._held(call)).values(**values))).rowcount == 1

    async def finish(self, call: KeyedCall, fingerprint: bytes, reply: Reply) -> bool:
        """Keep the answer; False where another attempt has the call by now."""
        headers = [list(header) for header in reply.headers]
        return await self.change(call, state=DONE, fingerprint=fingerprint, reply=reply.body, reply_headers=headers)

    async def release(self, call: KeyedCall) -> None:
        """Free the key of a call that failed, unless another attempt has it by now."""
        await self._connection.execute(delete(CALL).where(self._held(call)))

    async def sweep(self, *, now: datetime, limit: int) -> int:
        """Drop up to `limit` keys whose time is over; safe to run in many processes at once."""
        due = (
            select(CALL.c.owner_id, CALL.c.key)
            .where(_over(now))
            .order_by(CALL.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return (
            await self._connection.execute(delete(CALL).where(tuple_(CALL.c.owner_id, CALL.c.key).in_(due)))
        ).rowcount

    @staticmethod
    def _held(call: KeyedCall) -> ColumnElement[bool]:
        return and_(
            CALL.c.owner_id == call.owner_id,
            CALL.c.key == call.key,
            CALL.c.attempt == call.attempt,
            CALL.c.state == RUNNING,
        )


class IdempotencyLookup:
    """Finds calls by their keys, many callers to a query: a hundred that wait for one call ask as one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = Batched(self._load)

    async def get(self, owner_id: str, key: str) -> KeyedCall | None:
        """What is known of an owner's key."""
        return await self._batched.get(f"{key}\n{owner_id}")

    async def _load(self, names: Sequence[str]) -> dict[str, KeyedCall]:
        keys, owner_ids = zip(*(name.split("\n", 1) for name in names), strict=True)
        rows = await self._db.fetch(_FIND, {"keys": list(keys), "owner_ids": list(owner_ids)})
        return {f"{call.key}\n{call.owner_id}": call for call in map(_call, rows)}

"""Batches in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam, case, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.batches import Batch
from mediagate.core.lifecycle import BATCH_TRANSITIONS, BatchEvent, BatchPhase
from mediagate.core.objects import Page, Principal
from mediagate.store.batching import Batched
from mediagate.store.database import Database, compiled
from mediagate.store.owners import visible_to
from mediagate.store.tables import table
from mediagate.store.tables_batches import BatchRow

BATCH = table(BatchRow)
# The one member that is called otherwise in the table.
_NAMES = {"metadata": "labels"}
_COLUMNS = tuple(BATCH.c[_NAMES.get(field.name, field.name)] for field in fields(Batch))
_PHASE = [field.name for field in fields(Batch)].index("phase")
_FIND = compiled(select(*_COLUMNS).where(BATCH.c.id == any_(bindparam("ids", type_=ARRAY(TEXT)))))
_CANCELLABLE = [phase.value for phase, event in BATCH_TRANSITIONS if event is BatchEvent.CANCEL_REQUESTED]


def _batch(row: Sequence[Any]) -> Batch:
    """A row of `_COLUMNS`, which are the members of Batch in their order."""
    values: list[Any] = list(row)
    values[_PHASE] = BatchPhase(values[_PHASE])
    return Batch(*values)


def _values(batch: Batch) -> dict[str, Any]:
    values = {_NAMES.get(field.name, field.name): getattr(batch, field.name) for field in fields(Batch)}
    return {**values, "phase": batch.phase.value}


class BatchRepository:
    """Reads and writes batches through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, batch: Batch) -> None:
        """Insert a new batch: the intent, before anything that costs money."""
        await self._connection.execute(insert(BATCH).values(**_values(batch)))

    async def find(self, batch_id: str) -> Batch | None:
        """A batch whoever owns it, for jobs."""
        row = (await self._connection.execute(select(*_COLUMNS).where(BATCH.c.id == batch_id))).first()
        return None if row is None else _batch(row)

    async def page(self, who: Principal, *, after: str | None, limit: int) -> Page[Batch]:
        """The caller's batches, newest first."""
        conditions: list[ColumnElement[bool]] = [*visible_to(who, BATCH)]
        if after is not None:
            conditions.append(BATCH.c.id < after)
        query = select(*_COLUMNS).where(*conditions).order_by(BATCH.c.id.desc()).limit(limit + 1)
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(_batch(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def change(self, before: Batch, after: Batch, *, ended_at: datetime | None = None) -> bool:
        """Compare-and-set: write what differs if nobody wrote since `before`; False otherwise."""
        old = _values(before)
        values: dict[str, Any] = {name: value for name, value in _values(after).items() if value != old[name]}
        if ended_at is not None:
            values["ended_at"] = ended_at
        result = await self._connection.execute(
            update(BATCH)
            .where(BATCH.c.id == before.id, BATCH.c.seq == before.seq)
            .values(**{**values, "seq": before.seq + 1})
        )
        return result.rowcount == 1

    async def request_cancel(self, batch_id: str, *, now: datetime) -> bool:
        """Ask the tracker to stop a batch that its provider has not ended; False where it has. Only the first request
        counts."""
        open_ = [*_CANCELLABLE, BatchPhase.CANCELLING.value]
        first = BATCH.c.phase != BatchPhase.CANCELLING.value
        result = await self._connection.execute(
            update(BATCH)
            .where(BATCH.c.id == batch_id, BATCH.c.phase.in_(open_))
            .values(
                phase=BatchPhase.CANCELLING.value,
                cancelling_at=func.coalesce(BATCH.c.cancelling_at, now),
                seq=BATCH.c.seq + case((first, 1), else_=0),
            )
        )
        return result.rowcount == 1

    async def is_cancelled(self, batch_id: str) -> bool:
        """Whether somebody asked for its end."""
        query = select(BATCH.c.phase).where(BATCH.c.id == batch_id)
        phase = (await self._connection.execute(query)).scalar_one_or_none()
        return phase != BatchPhase.VALIDATING.value

    async def cleaned(self, batch_id: str, *, now: datetime) -> None:
        """Note that nothing of a batch is left at its provider."""
        await self._connection.execute(update(BATCH).where(BATCH.c.id == batch_id).values(cleaned_at=now))

    async def untracked(self, *, limit: int) -> list[str]:
        """Batches that have not ended and for which no job is waiting or running."""
        query = text(
            "SELECT b.id FROM batch b WHERE b.ended_at IS NULL AND NOT EXISTS ("
            " SELECT 1 FROM procrastinate_jobs j WHERE j.lock = b.id AND j.status IN ('todo', 'doing')) LIMIT :limit"
        )
        return [row.id for row in (await self._connection.execute(query, {"limit": limit})).all()]

    async def unclean(self, *, limit: int) -> list[str]:
        """Batches that have ended, of which something may be left, and for which no job is waiting or running."""
        query = text(
            "SELECT b.id FROM batch b WHERE b.ended_at IS NOT NULL AND b.cleaned_at IS NULL AND NOT EXISTS ("
            " SELECT 1 FROM procrastinate_jobs j WHERE j.lock = b.id || '/clean' AND j.status IN ('todo', 'doing'))"
            " LIMIT :limit"
        )
        return [row.id for row in (await self._connection.execute(query, {"limit": limit})).all()]

    async def reveal(self, file_ids: Sequence[str]) -> None:
        """Show internal files to their owner: they hold the answers of a batch that ends in this transaction."""
        await self._connection.execute(
            text("UPDATE file SET internal = false WHERE id = ANY(:ids) AND internal AND state = 'processed'"),
            {"ids": list(file_ids)},
        )


class BatchLookup:
    """Finds batches, many callers to a query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = Batched(self._load)

    async def get(self, who: Principal, batch_id: str) -> Batch | None:
        """A batch of the caller's."""
        batch = await self._batched.get(batch_id)
        return batch if batch is not None and who.sees(batch) else None

    async def _load(self, batch_ids: Sequence[str]) -> dict[str, Batch]:
        rows = await self._db.fetch(_FIND, {"ids": list(batch_ids)})
        return {row[0]: _batch(row) for row in rows}

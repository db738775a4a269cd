"""Copies of files in the database, one row for each account that has one or shall have one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, TextClause, any_, bindparam, delete, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.lifecycle import REPLICA_TRANSITIONS, FileState, ReplicaEvent, ReplicaState, advance
from mediagate.core.objects import Replica
from mediagate.store.tables import FileRow, ReplicaRow, table

FILE = table(FileRow)
REPLICA = table(ReplicaRow)
REPLICA_COLUMNS = (
    REPLICA.c.file_id,
    REPLICA.c.account,
    REPLICA.c.provider,
    REPLICA.c.ref,
    REPLICA.c.state,
    REPLICA.c.expires_at,
)
_REPLICA_LOCK = "file_replica.file_id || '/' || file_replica.account"
_AWAITED = text(
    "SELECT 1 FROM procrastinate_jobs"
    " WHERE lock = :lock AND (status = 'doing' OR (status = 'todo' AND priority > 0)) LIMIT 1"
)
_HALF = (ReplicaState.WRITING.value, ReplicaState.PENDING.value)


def one_of(column: Column[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """The condition that `column` is among `values`."""
    # One parameter in all: one for each value took a third of a sweep's processor time (measured).
    return column == any_(bindparam(None, list(values), ARRAY(TEXT)))


def no_job(lock: str) -> TextClause:
    """The condition that no job of this lock, an SQL expression, is waiting or running."""
    return text(
        "NOT EXISTS (SELECT 1 FROM procrastinate_jobs j"  # noqa: S608 (expressions of ours)
        f" WHERE j.lock = {lock} AND j.status IN ('todo', 'doing'))"
    )


def replica_of(row: Sequence[Any]) -> Replica:
    """A row of `REPLICA_COLUMNS`, which are in the order of Replica's members."""
    file_id, account, provider, ref, state, expires_at = row
    return Replica(file_id, account, provider, ref, ReplicaState(state), expires_at)


class ReplicaRepository:
    """Reads and writes replicas through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, replicas: Sequence[Replica], *, now: datetime) -> None:
        """The intent to write these; one that is there already stays as it is."""
        if replicas:
            await self._connection.execute(
                insert(REPLICA).on_conflict_do_nothing(),
                [
                    {
                        "file_id": replica.file_id,
                        "account": replica.account,
                        "provider": replica.provider,
                        "ref": replica.ref,
                        "state": replica.state.value,
                        "expires_at": replica.expires_at,
                        "seen_at": now,
                    }
                    for replica in replicas
                ],
            )

    async def settle(self, replica: Replica, *, now: datetime) -> bool:
        """Write down what became of a replica; False where it is gone by now."""
        result = await self._connection.execute(
            update(REPLICA)
            .where(REPLICA.c.file_id == replica.file_id, REPLICA.c.account == replica.account)
            .values(ref=replica.ref, state=replica.state.value, expires_at=replica.expires_at, seen_at=now)
        )
        return result.rowcount == 1

    async def move(self, file_id: str, account: str, before: ReplicaState, after: ReplicaState) -> bool:
        """Compare and set the state."""
        result = await self._connection.execute(
            update(REPLICA)
            .where(
                REPLICA.c.file_id == file_id,
                REPLICA.c.account == account,
                REPLICA.c.state == before.value,
            )
            .values(state=after.value)
        )
        return result.rowcount == 1

    async def lose(self, replica: Replica) -> bool:
        """Mark a copy that was found missing. False where it is marked already, or another by now: made anew meanwhile,
        of which who missed the old one knows nothing."""
        lost = advance(REPLICA_TRANSITIONS, replica.state, ReplicaEvent.MISSING)
        result = await self._connection.execute(
            update(REPLICA)
            .where(
                REPLICA.c.file_id == replica.file_id,
                REPLICA.c.account == replica.account,
                REPLICA.c.state == replica.state.value,
                REPLICA.c.ref.is_not_distinct_from(replica.ref),
                REPLICA.c.expires_at.is_not_distinct_from(replica.expires_at),
            )
            .values(state=lost.value)
        )
        return result.rowcount == 1

    async def of(self, file_id: str) -> list[Replica]:
        """Every copy of a file, whatever its state."""
        query = select(*REPLICA_COLUMNS).where(REPLICA.c.file_id == file_id).order_by(REPLICA.c.account)
        return [replica_of(row) for row in (await self._connection.execute(query)).all()]

    async def of_many(self, file_ids: Sequence[str]) -> Mapping[str, list[Replica]]:
        """The same for many files at once."""
        found: dict[str, list[Replica]] = {}
        if file_ids:
            query = select(*REPLICA_COLUMNS).where(one_of(REPLICA.c.file_id, file_ids))
            for row in (await self._connection.execute(query.order_by(REPLICA.c.account))).all():
                found.setdefault(row.file_id, []).append(replica_of(row))
        return found

    async def one(self, file_id: str, account: str) -> Replica | None:
        """One copy."""
        query = select(*REPLICA_COLUMNS).where(REPLICA.c.file_id == file_id, REPLICA.c.account == account)
        row = (await self._connection.execute(query)).first()
        return None if row is None else replica_of(row)

    async def of_readable(self, file_id: str, account: str) -> Replica | None:
        """One copy of a file that is readable, whatever the state of the copy."""
        query = (
            select(*REPLICA_COLUMNS)
            .join(FILE, FILE.c.id == REPLICA.c.file_id)
            .where(
                REPLICA.c.file_id == file_id,
                REPLICA.c.account == account,
                FILE.c.state == FileState.PROCESSED.value,
            )
        )
        row = (await self._connection.execute(query)).first()
        return None if row is None else replica_of(row)

    async def forget_half(self, file_id: str, account: str) -> None:
        """Forget a copy that was to be made, and was not."""
        await self._connection.execute(
            delete(REPLICA).where(
                REPLICA.c.file_id == file_id, REPLICA.c.account == account, REPLICA.c.state.in_(_HALF)
            )
        )

    async def is_awaited(self, lock: str) -> bool:
        """Whether a job of this lock runs, or waits with a priority."""
        found = await self._connection.execute(_AWAITED, {"lock": lock})
        return found.first() is not None

    async def remove(self, file_id: str, account: str) -> None:
        """Forget a copy that is gone."""
        await self._connection.execute(
            delete(REPLICA).where(REPLICA.c.file_id == file_id, REPLICA.c.account == account)
        )

    async def remove_many(self, account: str, file_ids: Sequence[str]) -> None:
        """Forget the copies of these files in one account."""
        await self._connection.execute(
            delete(REPLICA).where(REPLICA.c.account == account, one_of(REPLICA.c.file_id, file_ids))
        )

    async def expired(self, *, now: datetime, limit: int) -> list[Replica]:
        """Copies whose end has come, of readable files, and for which no job is waiting or running."""
        query = (
            select(*REPLICA_COLUMNS)
            .join(FILE, FILE.c.id == REPLICA.c.file_id)
            .where(REPLICA.c.expires_at <= now, FILE.c.state == FileState.PROCESSED.value, no_job(_REPLICA_LOCK))
            .order_by(REPLICA.c.expires_at)
            .limit(limit)
        )
        return [replica_of(row) for row in (await self._connection.execute(query)).all()]

    async def unfinished(self, *, limit: int) -> list[Replica]:
        """Copies of readable files that are to be made, or that their provider still works on, and for which no job is
        waiting or running."""
        query = (
            select(*REPLICA_COLUMNS)
            .join(FILE, FILE.c.id == REPLICA.c.file_id)
            .where(
                REPLICA.c.state.in_([ReplicaState.PENDING.value, ReplicaState.PROCESSING.value]),
                FILE.c.state == FileState.PROCESSED.value,
                no_job(_REPLICA_LOCK),
            )
            .limit(limit)
        )
        return [replica_of(row) for row in (await self._connection.execute(query)).all()]

    async def placed(self, account: str, found: Mapping[str, str], *, now: datetime) -> set[str]:
        """Note that a listing of `account` showed these objects, a `ref` for each with the file it claims to be of.
        Returns the refs that some row stands for: one that holds the ref, or one that is being written and may get it.

        The row may be another account's: two accounts with keys of one project see the same objects.
        """
        claimed = one_of(REPLICA.c.file_id, sorted(set(found.values())))
        query = (
            select(REPLICA.c.file_id, REPLICA.c.ref, REPLICA.c.state)
            .where(claimed, or_(one_of(REPLICA.c.ref, list(found)), REPLICA.c.state.in_(_HALF)))
            .with_for_update()
        )
        rows = (await self._connection.execute(query)).all()
        writing = {row.file_id for row in rows if row.state in _HALF}
        held = {row.ref for row in rows if row.ref is not None}
        if held:
            await self._connection.execute(
                update(REPLICA)
                .where(claimed, REPLICA.c.account == account, one_of(REPLICA.c.ref, sorted(held)))
                .values(seen_at=now)
            )
        return held | {ref for ref, file_id in found.items() if file_id in writing}

    async def unseen(self, account: str, *, before: datetime, after: str, limit: int) -> list[Replica]:
        """Ready copies that no listing has shown since `before`, behind the file `after`, in the order of files."""
        query = (
            select(*REPLICA_COLUMNS)
            .join(FILE, FILE.c.id == REPLICA.c.file_id)
            .where(
                FILE.c.state == FileState.PROCESSED.value,
                REPLICA.c.account == account,
                REPLICA.c.state == ReplicaState.READY.value,
                REPLICA.c.seen_at < before,
                REPLICA.c.file_id > after,
            )
            .order_by(REPLICA.c.file_id)
            .limit(limit)
        )
        return [replica_of(row) for row in (await self._connection.execute(query)).all()]

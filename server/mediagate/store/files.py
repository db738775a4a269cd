"""Files and their replicas in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam, delete, insert, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.core.objects import File, Page, Replica
from mediagate.store.batching import BatchedLookup
from mediagate.store.database import Database, compiled
from mediagate.store.tables import FileRow, ReplicaRow, table

FILE = table(FileRow)
REPLICA = table(ReplicaRow)
_COLUMNS = (
    FILE.c.id,
    FILE.c.owner_id,
    FILE.c.filename,
    FILE.c.purpose,
    FILE.c.size_bytes,
    FILE.c.sha256,
    FILE.c.content_type,
    FILE.c.state,
    FILE.c.created_at,
    FILE.c.expires_at,
)
_FIND = compiled(
    select(*_COLUMNS).where(
        FILE.c.id == any_(bindparam("ids", type_=ARRAY(TEXT))), FILE.c.state == literal_column("'processed'")
    )
)
_STATE = [column.name for column in _COLUMNS].index("state")


def _file(row: Sequence[Any]) -> File:
    """A row of `_COLUMNS`, which are in the order of File's members."""
    values: list[Any] = list(row)
    values[_STATE] = FileState(values[_STATE])
    return File(*values)


class FileRepository:
    """Reads and writes files through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(
        self, file_id: str, owner_id: str, *, now: datetime, lease_expires_at: datetime, internal: bool
    ) -> None:
        """The intent: committed before the first byte leaves, so that whatever is found later has a row."""
        await self._connection.execute(
            insert(FILE).values(
                id=file_id,
                owner_id=owner_id,
                state=FileState.RECEIVING.value,
                created_at=now,
                lease_expires_at=lease_expires_at,
                internal=internal,
                filename="",
                purpose="",
                size_bytes=0,
                sha256="",
                content_type="",
            )
        )

    async def add_replica(self, replica: Replica) -> None:
        """Record a copy that is complete."""
        await self._connection.execute(
            insert(REPLICA).values(
                file_id=replica.file_id, provider=replica.provider, ref=replica.ref, state=ReplicaState.READY.value
            )
        )

    async def finish(self, file: File) -> bool:
        """Turn a file that was being received into `file`; False where its lease ran out meanwhile."""
        result = await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file.id, FILE.c.state == FileState.RECEIVING.value)
            .values(
                filename=file.filename,
                purpose=file.purpose,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                content_type=file.content_type,
                state=file.state.value,
                created_at=file.created_at,
                expires_at=file.expires_at,
                lease_expires_at=None,
            )
        )
        return result.rowcount == 1

    async def extend_lease(self, file_id: str, until: datetime) -> None:
        """Say that the bytes are still coming."""
        await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.state == FileState.RECEIVING.value)
            .values(lease_expires_at=until)
        )

    async def is_being_received(self, file_id: str, *, now: datetime) -> bool:
        """Whether somebody holds the lease of a file that is not complete."""
        query = select(FILE.c.id).where(
            FILE.c.id == file_id, FILE.c.state == FileState.RECEIVING.value, FILE.c.lease_expires_at > now
        )
        return (await self._connection.execute(query)).first() is not None

    async def is_finished(self, file_id: str) -> bool:
        """Whether the file is readable, behind every transaction that is about to change that."""
        query = select(FILE.c.state).where(FILE.c.id == file_id).with_for_update()
        row = (await self._connection.execute(query)).first()
        return row is not None and row.state == FileState.PROCESSED.value

    async def known(self, file_ids: Sequence[str]) -> set[str]:
        """Those that have a row, in whatever state."""
        query = select(FILE.c.id).where(FILE.c.id.in_(file_ids))
        return {row.id for row in (await self._connection.execute(query)).all()}

    async def retract(self, file_id: str) -> None:
        """The tombstone for a file that its creator was never told of."""
        await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.state == FileState.PROCESSED.value)
            .values(state=FileState.DELETING.value)
        )

    async def discard(self, file_id: str) -> None:
        """Drop the row of a file that never came to be, or was retracted, once its bytes are gone."""
        await self._connection.execute(
            delete(FILE).where(
                FILE.c.id == file_id, FILE.c.state.in_([FileState.RECEIVING.value, FileState.DELETING.value])
            )
        )

    async def page(
        self, owner_id: str, *, after: str | None, limit: int, ascending: bool, purpose: str | None, now: datetime
    ) -> Page[File]:
        """The owner's readable files, ordered by id, which is by time."""
        conditions: list[ColumnElement[bool]] = [
            FILE.c.owner_id == owner_id,
            FILE.c.state == FileState.PROCESSED.value,
            ~FILE.c.internal,
            or_(FILE.c.expires_at.is_(None), FILE.c.expires_at > now),
        ]
        if purpose is not None:
            conditions.append(FILE.c.purpose == purpose)
        if after is not None:
            conditions.append(FILE.c.id > after if ascending else FILE.c.id < after)
        order = FILE.c.id.asc() if ascending else FILE.c.id.desc()
        query = select(*_COLUMNS).where(*conditions).order_by(order).limit(limit + 1)
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(_file(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def replicas(self, file_id: str) -> Sequence[Replica]:
        """Every copy of a file, whatever its state."""
        query = select(REPLICA.c.file_id, REPLICA.c.provider, REPLICA.c.ref).where(REPLICA.c.file_id == file_id)
        return [Replica(*row) for row in (await self._connection.execute(query)).all()]

    async def entomb(self, owner_id: str, file_id: str, *, now: datetime) -> bool:
        """The tombstone: from here on the file does not exist for anybody; its bytes still have to go."""
        result = await self._connection.execute(
            update(FILE)
            .where(
                FILE.c.id == file_id,
                FILE.c.owner_id == owner_id,
                FILE.c.state == FileState.PROCESSED.value,
                or_(FILE.c.expires_at.is_(None), FILE.c.expires_at > now),
            )
            .values(state=FileState.DELETING.value)
        )
        return result.rowcount == 1

    async def entomb_internal(self, file_id: str) -> bool:
        """The tombstone for an input of a video; a file that its owner uploaded is left alone."""
        result = await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.internal, FILE.c.state == FileState.PROCESSED.value)
            .values(state=FileState.DELETING.value)
        )
        return result.rowcount == 1

    async def entomb_expired(self, *, now: datetime, limit: int) -> list[str]:
        """Tombstones for up to `limit` files whose time is over; safe to run in many processes at once."""
        due = (
            select(FILE.c.id)
            .where(FILE.c.state == FileState.PROCESSED.value, FILE.c.expires_at <= now)
            .order_by(FILE.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = update(FILE).where(FILE.c.id.in_(due)).values(state=FileState.DELETING.value).returning(FILE.c.id)
        return [row.id for row in (await self._connection.execute(statement)).all()]

    async def leaseless(self, *, now: datetime, limit: int) -> list[str]:
        """Files whose bytes stopped coming: nobody holds their lease any more."""
        query = (
            select(FILE.c.id)
            .where(FILE.c.state == FileState.RECEIVING.value, FILE.c.lease_expires_at <= now)
            .limit(limit)
        )
        return [row.id for row in (await self._connection.execute(query)).all()]

    async def lock_leaseless(self, file_id: str, *, now: datetime) -> bool:
        """Hold the row of such a file until the transaction ends, so that a receiver that was only slow cannot finish
        it meanwhile; False where it has, or where another process holds the row."""
        query = (
            select(FILE.c.id)
            .where(FILE.c.id == file_id, FILE.c.state == FileState.RECEIVING.value, FILE.c.lease_expires_at <= now)
            .with_for_update(skip_locked=True)
        )
        return (await self._connection.execute(query)).first() is not None

    async def deleting(self, *, limit: int) -> list[str]:
        """Files with a tombstone whose bytes may still be there."""
        query = select(FILE.c.id).where(FILE.c.state == FileState.DELETING.value).limit(limit)
        return [row.id for row in (await self._connection.execute(query)).all()]

    async def purge(self, file_id: str) -> None:
        """Forget a file whose replicas are gone."""
        await self._connection.execute(
            delete(FILE).where(FILE.c.id == file_id, FILE.c.state == FileState.DELETING.value)
        )


class FileLookup:
    """Finds readable files, many callers to a query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = BatchedLookup(self._load)

    async def get(self, owner_id: str, file_id: str, *, now: datetime) -> File | None:
        """A file that its owner may read now."""
        file = await self._batched.get(file_id)
        if file is None or file.owner_id != owner_id or (file.expires_at is not None and file.expires_at <= now):
            return None
        return file

    async def _load(self, file_ids: Sequence[str]) -> dict[str, File]:
        rows = await self._db.fetch(_FIND, {"ids": list(file_ids)})
        return {row[0]: _file(row) for row in rows}

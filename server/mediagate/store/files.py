"""Files in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    any_,
    bindparam,
    delete,
    exists,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.lifecycle import FileState
from mediagate.core.objects import File, Page, Principal, Replica
from mediagate.core.storage import MadeBy
from mediagate.store.batching import Batched
from mediagate.store.database import Database, compiled
from mediagate.store.owners import visible_to
from mediagate.store.replicas import REPLICA, REPLICA_COLUMNS, ReplicaRepository, one_of, replica_of
from mediagate.store.tables import FileRow, table

FILE = table(FileRow)
VISIBLE = (FileState.PROCESSED.value, FileState.COPYING.value, FileState.FAILED.value)
"""States of files that their owner sees."""
UNFINISHED = (FileState.RECEIVING.value, FileState.COPYING.value)
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
    FILE.c.source,
    FILE.c.copied_bytes,
    FILE.c.failure,
    FILE.c.end_user,
    FILE.c.required,
)
_VISIBLE_SQL: ColumnElement[bool] = literal_column("file.state IN ('processed', 'copying', 'failed')")
# A file comes once for each of its replicas: one round trip, and one moment for both.
_FIND = compiled(
    select(*_COLUMNS, *REPLICA_COLUMNS)
    .outerjoin(REPLICA, REPLICA.c.file_id == FILE.c.id)
    .where(FILE.c.id == any_(bindparam("ids", type_=ARRAY(TEXT))), _VISIBLE_SQL)
    .order_by(FILE.c.id, REPLICA.c.account)
)
_STATE = [column.name for column in _COLUMNS].index("state")


def _file(row: Sequence[Any], replicas: Sequence[Replica] = ()) -> File:
    """A row of `_COLUMNS`, which are in the order of File's members."""
    values: list[Any] = [*row, tuple(replicas)]
    values[_STATE] = FileState(values[_STATE])
    return File(*values)


class FileRepository:
    """Reads and writes files through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(
        self,
        file_id: str,
        owner_id: str,
        made_by: MadeBy,
        *,
        now: datetime,
        lease_expires_at: datetime,
        internal: bool,
        reserved_bytes: int = 0,
        required: Mapping[str, str] | None = None,
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
                reserved_bytes=reserved_bytes,
                required=dict(required) if required else null(),
                **made_by.columns(),
            )
        )

    async def promise(
        self,
        file: File,
        made_by: MadeBy,
        options: Mapping[str, Any],
        *,
        lease_expires_at: datetime,
        reserved_bytes: int = 0,
        required: Mapping[str, str] | None = None,
    ) -> None:
        """A file that a job will copy; `options` are for the job."""
        await self._connection.execute(
            insert(FILE).values(
                id=file.id,
                owner_id=file.owner_id,
                filename=file.filename,
                purpose=file.purpose,
                size_bytes=file.size_bytes,
                sha256="",
                content_type=file.content_type,
                state=FileState.COPYING.value,
                created_at=file.created_at,
                expires_at=file.expires_at,
                internal=False,
                source=file.source,
                options=dict(options),
                copied_bytes=0,
                lease_expires_at=lease_expires_at,
                reserved_bytes=reserved_bytes,
                required=dict(required) if required else null(),
                **made_by.columns(),
            )
        )

    async def promised(self, file_id: str) -> tuple[File, dict[str, Any]] | None:
        """A file that is still to be copied, and what its job needs: its options, with `reserved_bytes` and `required`
        as the row has them."""
        query = select(*_COLUMNS, FILE.c.reserved_bytes, FILE.c.required, FILE.c.options).where(
            FILE.c.id == file_id, FILE.c.state == FileState.COPYING.value
        )
        row = (await self._connection.execute(query)).first()
        if row is None:
            return None
        *columns, reserved_bytes, required, options = row
        return _file(columns), {**(options or {}), "reserved_bytes": reserved_bytes, "required": required or {}}

    async def reserve(self, file_id: str, reserved_bytes: int) -> bool:
        """Note that so many bytes may come; False where none are taken any more."""
        result = await self._connection.execute(
            update(FILE).where(FILE.c.id == file_id, FILE.c.state.in_(UNFINISHED)).values(reserved_bytes=reserved_bytes)
        )
        return result.rowcount == 1

    async def required(self, file_id: str) -> dict[str, str]:
        """What the places of a file must be like, by label; nothing for one that is not there."""
        row = (await self._connection.execute(select(FILE.c.required).where(FILE.c.id == file_id))).first()
        return {} if row is None else dict(row.required or {})

    async def copied(self, file_id: str, copied_bytes: int) -> bool:
        """Say how far a copy is; False where nobody wants it any more."""
        result = await self._connection.execute(
            update(FILE).where(FILE.c.id == file_id, FILE.c.state.in_(UNFINISHED)).values(copied_bytes=copied_bytes)
        )
        return result.rowcount == 1

    async def fail(self, file_id: str, failure: str) -> bool:
        """Say why a promised copy cannot be made."""
        result = await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.state == FileState.COPYING.value)
            .values(state=FileState.FAILED.value, failure=failure, options=null(), lease_expires_at=None)
        )
        return result.rowcount == 1

    async def finish(self, file: File) -> bool:
        """Turn a file that was being received into `file`; False where its lease ran out meanwhile."""
        result = await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file.id, FILE.c.state.in_(UNFINISHED))
            .values(
                filename=file.filename,
                purpose=file.purpose,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                content_type=file.content_type,
                state=file.state.value,
                created_at=file.created_at,
                expires_at=file.expires_at,
                source=file.source,
                end_user=file.end_user,
                options=null(),
                copied_bytes=None,
                lease_expires_at=None,
                reserved_bytes=0,
            )
        )
        return result.rowcount == 1

    async def extend_leases(self, file_ids: Sequence[str], until: datetime) -> None:
        """Say that the bytes are still coming."""
        await self._connection.execute(
            update(FILE).where(FILE.c.id.in_(file_ids), FILE.c.state.in_(UNFINISHED)).values(lease_expires_at=until)
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

    async def hold(self, file_ids: Sequence[str]) -> None:
        """Let nobody else change these until the transaction ends. Whoever removes replicas does this first: the
        deletion of a file's row takes its replicas' rows with it, in this order."""
        query = select(FILE.c.id).where(one_of(FILE.c.id, file_ids)).order_by(FILE.c.id).with_for_update()
        await self._connection.execute(query)

    async def known(self, file_ids: Sequence[str]) -> set[str]:
        """Those that have a row, in whatever state."""
        query = select(FILE.c.id).where(FILE.c.id.in_(file_ids))
        return {row.id for row in (await self._connection.execute(query)).all()}

    async def withdraw(self, file_id: str) -> bool:
        """The tombstone for a promised copy that could not be made while its caller waited."""
        result = await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.state == FileState.COPYING.value)
            .values(state=FileState.DELETING.value)
        )
        return result.rowcount == 1

    async def retract(self, file_id: str) -> None:
        """The tombstone for a file that its creator was never told of, whole or half."""
        await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.state.in_([FileState.PROCESSED.value, FileState.RECEIVING.value]))
            .values(state=FileState.DELETING.value)
        )

    async def abandon(self, file_id: str) -> bool:
        """The tombstone for a file that is being received; False where there is none, or none any more."""
        result = await self._connection.execute(
            update(FILE)
            .where(FILE.c.id == file_id, FILE.c.state == FileState.RECEIVING.value)
            .values(state=FileState.DELETING.value)
        )
        return result.rowcount == 1

    async def discard(self, file_id: str) -> None:
        """Drop the row of a file that never came to be, or was retracted, once its bytes are gone."""
        await self._connection.execute(
            delete(FILE).where(
                FILE.c.id == file_id, FILE.c.state.in_([FileState.RECEIVING.value, FileState.DELETING.value])
            )
        )

    async def page(
        self, who: Principal, *, after: str | None, limit: int, ascending: bool, purpose: str | None, now: datetime
    ) -> Page[File]:
        """The caller's readable files, ordered by id, which is by time."""
        conditions: list[ColumnElement[bool]] = [
            *visible_to(who, FILE),
            _VISIBLE_SQL,
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
        replicas = await ReplicaRepository(self._connection).of_many([row.id for row in rows[:limit]])
        files = tuple(_file(row, replicas.get(row.id, ())) for row in rows[:limit])
        return Page(files, has_more=len(rows) > limit)

    async def entomb(self, who: Principal, file_id: str, *, now: datetime) -> bool:
        """The tombstone: from here on the file does not exist for anybody; its bytes still have to go."""
        result = await self._connection.execute(
            update(FILE)
            .where(
                FILE.c.id == file_id,
                *visible_to(who, FILE),
                FILE.c.state.in_(VISIBLE),
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

    async def purge(self, file_ids: Sequence[str]) -> None:
        """Forget those of these files that have a tombstone and no replica any more."""
        rest = exists().where(REPLICA.c.file_id == FILE.c.id)
        await self._connection.execute(
            delete(FILE).where(one_of(FILE.c.id, file_ids), FILE.c.state == FileState.DELETING.value, ~rest)
        )


class FileLookup:
    """Finds readable files, many callers to a query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = Batched(self._load)

    async def get(self, who: Principal, file_id: str, *, now: datetime) -> File | None:
        """A file that the caller may read now."""
        file = await self._batched.get(file_id)
        if file is None or not who.sees(file) or (file.expires_at is not None and file.expires_at <= now):
            return None
        return file

    async def any(self, file_id: str) -> File | None:
        """The same, for jobs, which have no owner."""
        return await self._batched.get(file_id)

    async def _load(self, file_ids: Sequence[str]) -> dict[str, File]:
        rows = await self._db.fetch(_FIND, {"ids": list(file_ids)})
        of_file = len(_COLUMNS)
        found: dict[str, tuple[Sequence[Any], list[Replica]]] = {}
        for row in rows:
            _, replicas = found.setdefault(row[0], (row[:of_file], []))
            if row[of_file] is not None:
                replicas.append(replica_of(row[of_file:]))
        return {file_id: _file(row, replicas) for file_id, (row, replicas) in found.items()}

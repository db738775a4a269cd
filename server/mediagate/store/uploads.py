"""Uploads and their parts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.lifecycle import UploadState
from mediagate.core.objects import Upload, UploadPart
from mediagate.store.tables import UploadPartRow, UploadRow, table

UPLOAD = table(UploadRow)
PART = table(UploadPartRow)


def _upload(row: Row[Any]) -> Upload:
    values = row._asdict()
    return Upload(**{**values, "state": UploadState(values["state"]), "part_ids": tuple(values["part_ids"] or ())})


class UploadRepository:
    """Reads and writes uploads through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, upload: Upload) -> None:
        """Insert a new upload."""
        await self._connection.execute(
            insert(UPLOAD).values(
                id=upload.id,
                owner_id=upload.owner_id,
                size_bytes=upload.size_bytes,
                filename=upload.filename,
                mime_type=upload.mime_type,
                purpose=upload.purpose,
                state=upload.state.value,
                created_at=upload.created_at,
                expires_at=upload.expires_at,
                file_expires_after_s=upload.file_expires_after_s,
            )
        )

    async def get(self, owner_id: str, upload_id: str, *, locked: bool = False) -> Upload | None:
        """An upload of its owner; `locked` holds its row until the transaction ends."""
        query = select(UPLOAD).where(UPLOAD.c.id == upload_id, UPLOAD.c.owner_id == owner_id)
        row = (await self._connection.execute(query.with_for_update() if locked else query)).first()
        return None if row is None else _upload(row)

    async def set_state(
        self, upload_id: str, state: UploadState, *, file_id: str | None = None, part_ids: Sequence[str] | None = None
    ) -> None:
        """Write the state that the life-cycle table gave."""
        values: dict[str, Any] = {"state": state.value}
        if file_id is not None:
            values["file_id"] = file_id
        if part_ids is not None:
            values["part_ids"] = list(part_ids)
        await self._connection.execute(update(UPLOAD).where(UPLOAD.c.id == upload_id).values(**values))

    async def add_part(self, part: UploadPart) -> None:
        """Record a part that is complete."""
        await self._connection.execute(
            insert(PART).values(
                id=part.id,
                upload_id=part.upload_id,
                size_bytes=part.size_bytes,
                ref=part.ref,
                created_at=part.created_at,
            )
        )

    async def parts(self, upload_id: str) -> Sequence[UploadPart]:
        """Every part of an upload, oldest first."""
        query = (
            select(PART.c.id, PART.c.upload_id, PART.c.size_bytes, PART.c.ref, PART.c.created_at)
            .where(PART.c.upload_id == upload_id)
            .order_by(PART.c.id)
        )
        return [UploadPart(*row) for row in (await self._connection.execute(query)).all()]

    async def drop_parts(self, upload_id: str) -> None:
        """Forget the parts of an upload whose bytes are gone."""
        await self._connection.execute(delete(PART).where(PART.c.upload_id == upload_id))

    async def expire(self, *, now: datetime, limit: int) -> list[str]:
        """Mark up to `limit` open uploads whose hour is over; safe to run in many processes at once."""
        due = (
            select(UPLOAD.c.id)
            .where(
                UPLOAD.c.state.in_([UploadState.PENDING.value, UploadState.COMPLETING.value]),
                UPLOAD.c.expires_at <= now,
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(UPLOAD).where(UPLOAD.c.id.in_(due)).values(state=UploadState.EXPIRED.value).returning(UPLOAD.c.id)
        )
        return [row.id for row in (await self._connection.execute(statement)).all()]

    async def with_leftover_parts(self, *, limit: int) -> list[str]:
        """Ended uploads that still have parts."""
        query = (
            select(UPLOAD.c.id)
            .where(
                UPLOAD.c.state.in_(
                    [UploadState.COMPLETED.value, UploadState.CANCELLED.value, UploadState.EXPIRED.value]
                ),
                select(PART.c.id).where(PART.c.upload_id == UPLOAD.c.id).exists(),
            )
            .limit(limit)
        )
        return [row.id for row in (await self._connection.execute(query)).all()]

"""Uploads and their parts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, insert, null, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.lifecycle import FileState, UploadState
from mediagate.core.objects import Principal, Upload, UploadPart
from mediagate.core.storage import MadeBy
from mediagate.store.owners import visible_to
from mediagate.store.tables import FileRow, UploadPartRow, UploadRow, table

UPLOAD = table(UploadRow)
PART = table(UploadPartRow)
FILE = table(FileRow)
RECEIVING = -1
"""Size of a part whose bytes are still on their way."""


_COLUMNS = tuple(UPLOAD.c[field.name] for field in fields(Upload))


def _upload(row: Row[Any]) -> Upload:
    values = row._asdict()
    return Upload(
        **{
            **values,
            "state": UploadState(values["state"]),
            "part_ids": tuple(values["part_ids"] or ()),
            "targets": tuple(values["targets"] or ()),
        }
    )


class UploadRepository:
    """Reads and writes uploads through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, upload: Upload, made_by: MadeBy) -> None:
        """Insert a new upload, which reserves its size for as long as it is open."""
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
                targets=list(upload.targets),
                keeps_partial=upload.keeps_partial,
                required=dict(upload.required) if upload.required else null(),
                reserved_bytes=upload.size_bytes,
                **made_by.columns(),
            )
        )

    async def get(self, who: Principal, upload_id: str, *, locked: bool = False) -> Upload | None:
        """An upload of the caller's; `locked` holds its row until the transaction ends."""
        query = select(*_COLUMNS).where(UPLOAD.c.id == upload_id, *visible_to(who, UPLOAD))
        row = (await self._connection.execute(query.with_for_update() if locked else query)).first()
        return None if row is None else _upload(row)

    async def made_by(self, upload_id: str) -> MadeBy:
        """Whom the upload counts for."""
        query = select(UPLOAD.c.key_id, UPLOAD.c.user_id, UPLOAD.c.team_id, UPLOAD.c.end_user)
        row = (await self._connection.execute(query.where(UPLOAD.c.id == upload_id))).first()
        return MadeBy() if row is None else MadeBy(*row)

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

    async def settle(self, upload_id: str, file_id: str, state: UploadState) -> bool:
        """End the making of a file; False where it was no longer this upload's to make."""
        result = await self._connection.execute(
            update(UPLOAD)
            .where(
                UPLOAD.c.id == upload_id,
                UPLOAD.c.file_id == file_id,
                UPLOAD.c.state == UploadState.COMPLETING.value,
            )
            .values(state=state.value)
        )
        return result.rowcount == 1

    async def begin_part(self, part_id: str, upload_id: str, ref: str, *, now: datetime) -> None:
        """The intent: committed before the first byte, so that what a crash leaves is dropped with the upload."""
        await self._connection.execute(
            insert(PART).values(id=part_id, upload_id=upload_id, size_bytes=RECEIVING, ref=ref, created_at=now)
        )

    async def finish_part(self, part: UploadPart) -> bool:
        """Record that a part is complete; False where it was dropped meanwhile."""
        result = await self._connection.execute(
            update(PART).where(PART.c.id == part.id).values(size_bytes=part.size_bytes, ref=part.ref)
        )
        return result.rowcount == 1

    async def discard_part(self, part_id: str) -> None:
        """Forget one part whose bytes are gone."""
        await self._connection.execute(delete(PART).where(PART.c.id == part_id))

    async def parts(self, upload_id: str, *, incoming: bool = False) -> Sequence[UploadPart]:
        """The parts of an upload, oldest first; with `incoming` also those whose bytes are still on their way."""
        query = (
            select(PART.c.id, PART.c.upload_id, PART.c.size_bytes, PART.c.ref, PART.c.created_at)
            .where(PART.c.upload_id == upload_id, PART.c.size_bytes >= (RECEIVING if incoming else 0))
            .order_by(PART.c.id)
        )
        return [UploadPart(*row) for row in (await self._connection.execute(query)).all()]

    async def whole_part(self, part_id: str) -> UploadPart | None:
        """One part, once its bytes have come."""
        query = select(PART.c.id, PART.c.upload_id, PART.c.size_bytes, PART.c.ref, PART.c.created_at).where(
            PART.c.id == part_id, PART.c.size_bytes > RECEIVING
        )
        row = (await self._connection.execute(query)).first()
        return None if row is None else UploadPart(*row)

    async def known_parts(self, part_ids: Sequence[str]) -> set[str]:
        """Those that have a row, whole or not."""
        query = select(PART.c.id).where(PART.c.id.in_(part_ids))
        return {row.id for row in (await self._connection.execute(query)).all()}

    async def drop_parts(self, upload_id: str) -> None:
        """Forget the parts of an upload whose bytes are gone."""
        await self._connection.execute(delete(PART).where(PART.c.upload_id == upload_id))

    async def expire(self, *, now: datetime, limit: int) -> list[str]:
        """Mark up to `limit` open uploads whose hour is over; safe to run in many processes at once.

        One whose file is being made is left alone: its maker was in time, and reads the parts.
        """
        being_made = (
            select(FILE.c.id)
            .where(
                FILE.c.id == UPLOAD.c.file_id,
                FILE.c.state == FileState.RECEIVING.value,
                FILE.c.lease_expires_at > now,
            )
            .exists()
        )
        due = (
            select(UPLOAD.c.id)
            .where(
                or_(
                    UPLOAD.c.state == UploadState.PENDING.value,
                    and_(UPLOAD.c.state == UploadState.COMPLETING.value, ~being_made),
                ),
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

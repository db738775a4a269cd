"""Files that nobody asks for any more, found a batch at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.lifecycle import FileState
from mediagate.store.files import FILE
from mediagate.store.replicas import no_job


def _no_replica_job() -> TextClause:
    return text(
        "NOT EXISTS (SELECT 1 FROM file_replica r JOIN procrastinate_jobs j ON j.lock = r.file_id || '/' || r.account"
        " WHERE r.file_id = file.id AND j.status IN ('todo', 'doing'))"
    )


class FileSweep:
    """Finds files through one connection; safe to run in many processes at once."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def entomb_expired(self, *, now: datetime, limit: int) -> list[str]:
        """Tombstones for up to `limit` files whose time is over. What is not processed has a job or an owner to
        end it."""
        due = (
            select(FILE.c.id)
            .where(FILE.c.state == FileState.PROCESSED.value, FILE.c.expires_at <= now)
            .order_by(FILE.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = update(FILE).where(FILE.c.id.in_(due)).values(state=FileState.DELETING.value).returning(FILE.c.id)
        return [row.id for row in (await self._connection.execute(statement)).all()]

    async def entomb_leaseless(self, *, now: datetime, limit: int) -> list[str]:
        """Tombstones for up to `limit` files whose bytes stopped coming: nobody holds their lease any more."""
        due = (
            select(FILE.c.id)
            .where(FILE.c.state == FileState.RECEIVING.value, FILE.c.lease_expires_at <= now)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = update(FILE).where(FILE.c.id.in_(due)).values(state=FileState.DELETING.value).returning(FILE.c.id)
        return [row.id for row in (await self._connection.execute(statement)).all()]

    async def deleting(self, *, limit: int) -> list[str]:
        """Files with a tombstone whose bytes may still be there, and for which no job is waiting or running."""
        query = (
            select(FILE.c.id)
            .where(FILE.c.state == FileState.DELETING.value, no_job("file.id"), _no_replica_job())
            .limit(limit)
        )
        return [row.id for row in (await self._connection.execute(query)).all()]

    async def adrift(self, *, now: datetime, limit: int) -> list[str]:
        """Promised files that nobody copies, and for which no job is waiting or running."""
        query = (
            select(FILE.c.id)
            .where(FILE.c.state == FileState.COPYING.value, FILE.c.lease_expires_at <= now, no_job("file.id"))
            .limit(limit)
        )
        return [row.id for row in (await self._connection.execute(query)).all()]

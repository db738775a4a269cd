"""Videos that wait for an account, and how many it has."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Whoever waits for a provider that asked for patience keeps nobody waiting. Of the others:
# a turn for each owner, oldest first, and those who have fewer videos with the account before those who have more.
_LINE = """
WITH live AS (
    SELECT id, owner_id, submit_started_at IS NULL AS waits FROM video
    WHERE account = :account AND ended_at IS NULL AND phase <> 'archiving'
      AND hold ->> 'reason' IS DISTINCT FROM 'provider_busy'
      AND NOT (deleted_at IS NOT NULL AND submit_started_at IS NULL)
), busy AS (
    SELECT owner_id, count(*) AS videos FROM live WHERE NOT waits GROUP BY owner_id
), turns AS (
    SELECT live.id, coalesce(busy.videos, 0) + row_number() OVER (PARTITION BY live.owner_id ORDER BY live.id) AS turn
    FROM live LEFT JOIN busy USING (owner_id) WHERE waits
)
SELECT id, row_number() OVER (ORDER BY turn, id) AS position FROM turns
"""
_BUSY = """
SELECT count(*) FROM video
WHERE account = :account AND ended_at IS NULL AND submit_started_at IS NOT NULL AND phase <> 'archiving'
"""


class VideoLine:
    """The line in front of one account, through one connection."""

    def __init__(self, connection: AsyncConnection, account: str) -> None:
        self._connection = connection
        self._account = account

    async def hold_others(self) -> None:
        """Let nobody else decide about this account before the transaction ends."""
        query = text("SELECT pg_advisory_xact_lock(hashtextextended('video_line:' || :account, 0))")
        await self._connection.execute(query, {"account": self._account})

    async def places(self) -> tuple[dict[str, int], int]:
        """The position of each video that waits, 1 for the next, and how many the account has."""
        rows = await self._connection.execute(text(_LINE), {"account": self._account})
        busy = await self._connection.execute(text(_BUSY), {"account": self._account})
        return {row.id: int(row.position) for row in rows.all()}, int(busy.scalar_one())

    async def first(self, count: int) -> list[str]:
        """The videos that go next."""
        query = text(f"SELECT id FROM ({_LINE}) AS line ORDER BY position LIMIT :count")  # noqa: S608
        rows = await self._connection.execute(query, {"account": self._account, "count": count})
        return [row.id for row in rows.all()]

    async def waiting(self) -> int:
        """How many wait."""
        query = text(f"SELECT count(*) FROM ({_LINE}) AS line")  # noqa: S608
        return int((await self._connection.execute(query, {"account": self._account})).scalar_one())

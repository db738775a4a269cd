"""Videos that wait for an account or for one deployment, and how many it has."""

from __future__ import annotations

from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Whoever waits for a provider that asked for patience keeps nobody waiting. Of the others:
# a turn for each owner, oldest first, and those who have fewer videos with the account before those who have more.
_LINE: Final = """
WITH live AS (
    SELECT id, owner_id, submit_started_at IS NULL AS waits FROM video
    WHERE {of} = :name AND ended_at IS NULL AND phase <> 'archiving'
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
_BUSY: Final = """
SELECT count(*) FROM video
WHERE {of} = :name AND ended_at IS NULL AND submit_started_at IS NOT NULL AND phase <> 'archiving'
"""


class VideoLine:
    """The line in front of one account or deployment, through one connection."""

    def __init__(self, connection: AsyncConnection, of: Literal["account", "deployment"], name: str) -> None:
        self._connection = connection
        self._given = {"name": name}
        self._lock = f"video_line:{name}" if of == "account" else f"video_line:{of}:{name}"
        self._line, self._busy = _LINE.format(of=of), _BUSY.format(of=of)

    async def hold_others(self) -> None:
        """Let nobody else decide about this line before the transaction ends."""
        query = text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))")
        await self._connection.execute(query, {"lock": self._lock})

    async def places(self) -> tuple[dict[str, int], int]:
        """The position of each video that waits, 1 for the next, and how many there are ahead of the line."""
        rows = await self._connection.execute(text(self._line), self._given)
        busy = await self._connection.execute(text(self._busy), self._given)
        return {row.id: int(row.position) for row in rows.all()}, int(busy.scalar_one())

    async def first(self, count: int) -> list[str]:
        """The videos that go next."""
        query = text(f"SELECT id FROM ({self._line}) AS line ORDER BY position LIMIT :count")  # noqa: S608
        rows = await self._connection.execute(query, {**self._given, "count": count})
        return [row.id for row in rows.all()]

    async def waiting(self) -> int:
        """How many wait."""
        query = text(f"SELECT count(*) FROM ({self._line}) AS line")  # noqa: S608
        return int((await self._connection.execute(query, self._given)).scalar_one())

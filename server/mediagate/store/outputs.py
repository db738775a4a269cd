"""What was made of a finished video here: its pictures."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.store.tables import VideoPictureRow, VideoRow, table

PICTURE = table(VideoPictureRow)
VIDEO = table(VideoRow)


class PictureRepository:
    """Reads and writes pictures of videos through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, video_id: str) -> dict[str, str]:
        """The file of each picture of a video, by its variant."""
        query = select(PICTURE.c.variant, PICTURE.c.file_id).where(PICTURE.c.video_id == video_id)
        return {row.variant: row.file_id for row in (await self._connection.execute(query)).all()}

    async def put(self, video_id: str, variant: str, file_id: str) -> bool:
        """Let this file be the picture, in the place of one that is gone; False where the video was deleted."""
        alive = select(VIDEO.c.id).where(VIDEO.c.id == video_id, VIDEO.c.deleted_at.is_(None))
        if (await self._connection.execute(alive.with_for_update(read=True))).first() is None:
            return False
        statement = insert(PICTURE).values(video_id=video_id, variant=variant, file_id=file_id)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[PICTURE.c.video_id, PICTURE.c.variant], set_={"file_id": file_id}
            )
        )
        return True

    async def lock(self, video_id: str) -> None:
        """Wait until nobody else makes pictures of the video, and keep others from it until the transaction ends."""
        query = text("SELECT pg_advisory_xact_lock(hashtextextended('video_picture ' || :video, 0))")
        await self._connection.execute(query, {"video": video_id})

"""List the caller's videos."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.objects import Page, Principal, Video
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository

LIMIT_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class ListVideos:
    """Return one page, by time of creation."""

    db: Database

    async def run(
        self, who: Principal, *, after: str | None = None, limit: int | None = None, ascending: bool = False
    ) -> Page[Video]:
        """`after` is the last id of the page before; it may have been deleted since.

        Raises `NotFound` where it is no id.
        """
        if after:
            ids.VIDEO.parse(after)
        async with self.db.reading() as connection:
            return await VideoRepository(connection).page(
                who.owner_id,
                after=after or None,
                limit=LIMIT_DEFAULT if limit is None else limit,
                ascending=ascending,
            )

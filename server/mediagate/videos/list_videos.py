"""List the caller's videos."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.end_users import settled_end_user
from mediagate.core.objects import Page, Principal, Video
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository

LIMIT_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class ListVideos:
    """Return one page, by time of creation."""

    db: Database

    async def run(
        self,
        who: Principal,
        *,
        after: str | None = None,
        limit: int | None = None,
        ascending: bool = False,
        end_user: str | None = None,
    ) -> Page[Video]:
        """`after` is the last id of the page before; it may have been deleted since. With an `end_user` only those of
        that one.

        Raises `NotFound` where it is no id, `InvalidField` for another end user than the caller acts for.
        """
        who = who.acting_for(settled_end_user(who, end_user))
        if after:
            ids.VIDEO.parse(after)
        async with self.db.reading() as connection:
            return await VideoRepository(connection).page(
                who,
                after=after or None,
                limit=LIMIT_DEFAULT if limit is None else limit,
                ascending=ascending,
            )

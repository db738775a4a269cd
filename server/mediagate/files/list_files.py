"""List the caller's files."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import settled_end_user
from mediagate.core.errors import NotFound
from mediagate.core.limits import echo
from mediagate.core.objects import File, Page, Principal
from mediagate.store.database import Database
from mediagate.store.files import FileRepository

LIMIT_DEFAULT = 10_000


@dataclass(frozen=True, slots=True)
class ListFiles:
    """Return one page, by time of creation."""

    db: Database
    clock: Clock

    async def run(
        self,
        who: Principal,
        *,
        after: str | None = None,
        limit: int | None = None,
        ascending: bool = False,
        purpose: str | None = None,
        end_user: str | None = None,
    ) -> Page[File]:
        """`after` is the last id of the page before; it may be deleted by now. With an `end_user` only those of that
        one. Raises `NotFound` where `after` is no id, `InvalidField` for another end user than the caller acts for."""
        who = who.acting_for(settled_end_user(who, end_user))
        if after and not ids.FILE.matches(after):
            raise NotFound(ids.FILE.not_found(after).message, param="after", id=echo(after))
        async with self.db.reading() as connection:
            return await FileRepository(connection).page(
                who,
                after=after or None,
                limit=limit or LIMIT_DEFAULT,
                ascending=ascending,
                purpose=purpose or None,
                now=self.clock.now(),
            )

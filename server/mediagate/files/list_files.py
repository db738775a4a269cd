"""List the caller's files."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
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
    ) -> Page[File]:
        """`after` is the last id of the page before; it may be deleted by now. Raises `NotFound` where it is no id."""
        if after and not ids.FILE.matches(after):
            raise NotFound(ids.FILE.not_found(after).message, param="after", id=echo(after))
        async with self.db.reading() as connection:
            return await FileRepository(connection).page(
                who.owner_id,
                after=after or None,
                limit=limit or LIMIT_DEFAULT,
                ascending=ascending,
                purpose=purpose or None,
                now=self.clock.now(),
            )

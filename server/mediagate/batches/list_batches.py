"""List the caller's batches."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.batches import Batch
from mediagate.core.end_users import settled_end_user
from mediagate.core.errors import NotFound
from mediagate.core.limits import echo
from mediagate.core.objects import Page, Principal
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database

LIMIT_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class ListBatches:
    """Return one page, newest first."""

    db: Database

    async def run(
        self, who: Principal, *, after: str | None = None, limit: int | None = None, end_user: str | None = None
    ) -> Page[Batch]:
        """`after` is the last id of the page before. With an `end_user` only those of that one. Raises `NotFound` where
        `after` is no id, `InvalidField` for another end user than the caller acts for."""
        who = who.acting_for(settled_end_user(who, end_user))
        if after and not ids.BATCH.matches(after):
            raise NotFound(ids.BATCH.not_found(after).message, param="after", id=echo(after))
        async with self.db.reading() as connection:
            return await BatchRepository(connection).page(who, after=after or None, limit=limit or LIMIT_DEFAULT)

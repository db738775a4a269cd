"""What was spent: an admin sees everything, everybody else what their own owner spent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediagate.core.objects import Page, Principal
from mediagate.core.spend import SpendFilter, SpendGroup, SpendRecord, SpendTotal
from mediagate.store.database import Database
from mediagate.store.spend_reports import SpendReports


@dataclass(frozen=True, slots=True)
class ListSpend:
    """Requests, the newest first."""

    db: Database

    async def run(self, who: Principal, wanted: SpendFilter, *, after: str | None, limit: int) -> Page[SpendRecord]:
        """At most `limit` of those behind the request `after`."""
        async with self.db.reading() as connection:
            return await SpendReports(connection).page(_visible(who, wanted), after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class TotalSpend:
    """Sums by key, model, user, team or provider, the dearest first; or by day, the newest first."""

    db: Database

    async def run(self, who: Principal, wanted: SpendFilter, group: SpendGroup, *, limit: int) -> list[SpendTotal]:
        """At most `limit` of them."""
        async with self.db.reading() as connection:
            return await SpendReports(connection).totals(_visible(who, wanted), group, limit=limit)


def _visible(who: Principal, wanted: SpendFilter) -> SpendFilter:
    return wanted if who.is_admin else replace(wanted, owner_id=who.owner_id)

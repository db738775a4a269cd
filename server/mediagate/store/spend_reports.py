"""What was spent, row by row and added up."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, literal_column, null, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.objects import Page
from mediagate.core.spend import SpendFilter, SpendGroup, SpendRecord, SpendState, SpendTotal
from mediagate.store.tables import table
from mediagate.store.tables_access import AccessUserRow, ApiKeyRow, TeamRow
from mediagate.store.tables_money import SpendRow

SPEND: Final = table(SpendRow)
KEY: Final = table(ApiKeyRow)
# Written out: a bound value would make the column that is shown another one than the column that is grouped by.
_DAY: Final = func.to_char(func.timezone(literal_column("'UTC'"), SPEND.c.reserved_at), literal_column("'YYYY-MM-DD'"))
_GROUPS: Final[dict[SpendGroup, tuple[ColumnElement[Any], Any]]] = {
    SpendGroup.KEYS: (SPEND.c.key_id, KEY),
    SpendGroup.MODELS: (SPEND.c.model, None),
    SpendGroup.USERS: (SPEND.c.user_id, table(AccessUserRow)),
    SpendGroup.TEAMS: (SPEND.c.team_id, table(TeamRow)),
    SpendGroup.PROVIDERS: (SPEND.c.provider, None),
    SpendGroup.DAYS: (_DAY, None),
}
_EQUAL: Final = ("ref", "owner_id", "key_id", "user_id", "team_id", "end_user", "model", "provider", "state")


class SpendReports:
    """Reads through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, wanted: SpendFilter, *, after: str | None, limit: int) -> Page[SpendRecord]:
        """The newest requests first, behind the one with the id `after`."""
        conditions = _conditions(wanted)
        if after is not None:
            # Ids of one kind sort by time, those of several do not.
            before = select(SPEND.c.reserved_at, SPEND.c.ref).where(SPEND.c.ref == after).scalar_subquery()
            conditions.append(tuple_(SPEND.c.reserved_at, SPEND.c.ref) < before)
        query = (
            select(SPEND, KEY.c.alias.label("key_alias"))
            .outerjoin(KEY, KEY.c.id == SPEND.c.key_id)
            .where(*conditions)
            .order_by(SPEND.c.reserved_at.desc(), SPEND.c.ref.desc())
            .limit(limit + 1)
        )
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(_record(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def totals(self, wanted: SpendFilter, group: SpendGroup, *, limit: int) -> list[SpendTotal]:
        """The dearest first, days the newest first. What has no key, user or team is one of them, without an id."""
        column, named = _GROUPS[group]
        spent = func.sum(SPEND.c.charged_usd)
        days = group is SpendGroup.DAYS
        sums = (
            select(
                column.label("id"),
                spent.label("usd"),
                func.sum(SPEND.c.held_usd).label("held"),
                func.count().label("requests"),
            )
            .where(*_conditions(wanted))
            .group_by(column)
            .order_by(*([column.desc()] if days else [spent.desc(), column]))
            .limit(limit)
            .subquery()
        )
        alias: Any = null() if named is None else named.c.alias
        order = (sums.c.id.desc(),) if days else (sums.c.usd.desc(), sums.c.id)
        query: Select[Any] = select(sums, alias.label("alias")).order_by(*order)
        if named is not None:
            query = query.select_from(sums.outerjoin(named, named.c.id == sums.c.id))
        rows = (await self._connection.execute(query)).all()
        return [SpendTotal(row.id, row.usd, row.held, row.requests, row.alias) for row in rows]


def _conditions(wanted: SpendFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        SPEND.c[name] == value for name in _EQUAL if (value := getattr(wanted, name)) is not None
    ]
    if wanted.since is not None:
        found.append(SPEND.c.reserved_at >= wanted.since)
    if wanted.until is not None:
        found.append(SPEND.c.reserved_at < wanted.until)
    return found


def _record(row: Any) -> SpendRecord:
    return SpendRecord(
        ref=row.ref,
        owner_id=row.owner_id,
        key_id=row.key_id,
        user_id=row.user_id,
        team_id=row.team_id,
        end_user=row.end_user,
        model=row.model,
        deployment=row.deployment,
        provider=row.provider,
        account=row.account,
        state=SpendState(row.state),
        usd=row.charged_usd,
        held_usd=row.held_usd,
        estimate_usd=row.estimate_usd,
        reason=row.reason,
        reserved_at=row.reserved_at,
        settled_at=row.settled_at,
        key_alias=row.key_alias,
    )

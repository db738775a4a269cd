"""The ledger: what is held and spent, by request, and the sums that budgets are judged by.

Whoever moves money locks, in one order, the rows of all for whom it counts (`move`). Until its transaction ends nobody
else moves money for any of them, so what it reads behind these locks is exact, and two of them never wait for each
other. The windows of budgets are sums over `spend` that are kept: one that is missing is summed up anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.access import Policy, Scope, ScopeKind
from mediagate.core.periods import Window
from mediagate.core.spend import ZERO, Budget, BudgetKind, Charge, Held, Limit, Payer

# In the order of the arrays: rows of one INSERT are locked one after the other.
_LOCK: Final = text(
    "INSERT INTO budget_scope AS scope (kind, id, reserved_usd, spent_usd)"
    " SELECT moved.kind, moved.id, moved.held, moved.spent"
    " FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:held AS numeric[]), CAST(:spent AS numeric[]))"
    " WITH ORDINALITY AS moved(kind, id, held, spent, place) ORDER BY moved.place"
    " ON CONFLICT (kind, id) DO UPDATE SET"
    " reserved_usd = scope.reserved_usd + excluded.reserved_usd, spent_usd = scope.spent_usd + excluded.spent_usd"
    " RETURNING clock_timestamp() AS time"
)
_WINDOW_COLUMNS: Final = (
    "budget.kind, budget.id, budget.period, budget.starts_at, budget.ends_at,"
    " budget.spent_usd - budget.forgiven_usd AS spent_usd, budget.reserved_usd, budget.soft_limit_at"
)
_MOVE: Final = text(
    "UPDATE budget_window AS budget"  # noqa: S608 (names of columns)
    " SET reserved_usd = budget.reserved_usd + moved.held, spent_usd = budget.spent_usd + moved.spent"
    " FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[]), CAST(:held AS numeric[]), CAST(:spent AS numeric[]))"
    " AS moved(kind, id, held, spent)"
    " WHERE budget.kind = moved.kind AND budget.id = moved.id"
    " AND budget.starts_at <= :at AND (budget.ends_at IS NULL OR budget.ends_at > :at)"
    f" RETURNING {_WINDOW_COLUMNS}"
)
_MOVE_EACH: Final = text(
    "UPDATE budget_window AS budget"
    " SET reserved_usd = budget.reserved_usd + sums.held, spent_usd = budget.spent_usd + sums.spent"
    " FROM (SELECT found.kind, found.id, found.period, found.starts_at, sum(moved.held) AS held,"
    " sum(moved.spent) AS spent FROM budget_window AS found JOIN unnest(CAST(:kinds AS text[]), CAST(:ids AS text[]),"
    " CAST(:held AS numeric[]), CAST(:spent AS numeric[]), CAST(:times AS timestamptz[]))"
    " AS moved(kind, id, held, spent, time) ON found.kind = moved.kind AND found.id = moved.id"
    " AND found.starts_at <= moved.time AND (found.ends_at IS NULL OR found.ends_at > moved.time)"
    " GROUP BY found.kind, found.id, found.period, found.starts_at) AS sums"
    " WHERE budget.kind = sums.kind AND budget.id = sums.id AND budget.period = sums.period"
    " AND budget.starts_at = sums.starts_at"
)
_OWN: Final = {
    BudgetKind.TEAM: "spend.team_id = :id",
    BudgetKind.USER: "spend.user_id = :id",
    BudgetKind.KEY: "spend.key_id = :id",
    BudgetKind.PROVIDER: "spend.provider = :id AND spend.provider_counts",
}
# What was charged before a reset is forgiven, whatever window it is looked at through.
_SUMS: Final = (
    "SELECT coalesce(sum(spend.charged_usd), 0) AS spent, coalesce(sum(spend.held_usd), 0) AS held,"
    " coalesce(sum(spend.charged_usd) FILTER (WHERE spend.settled_at <= ("
    " SELECT max(reset.time) FROM budget_reset AS reset WHERE reset.kind = :kind AND reset.id = :id)), 0) AS forgiven"
    " FROM spend WHERE {own} AND spend.reserved_at >= :starts_at"
    " AND (CAST(:ends_at AS timestamptz) IS NULL OR spend.reserved_at < :ends_at)"
)
_OPEN: Final = (
    "INSERT INTO budget_window AS budget"  # noqa: S608 (names of columns)
    " (kind, id, period, starts_at, ends_at, spent_usd, reserved_usd, forgiven_usd)"
    " SELECT :kind, :id, :period, :starts_at, :ends_at, sums.spent + :spent, sums.held + :held, sums.forgiven"
    " FROM ({sums}) AS sums"
    f" RETURNING {_WINDOW_COLUMNS}"
)
_KNOWN: Final = text("SELECT ref FROM spend WHERE ref = ANY(CAST(:refs AS text[]))")
_TEXTS: Final = (
    *("ref", "owner_id", "key_id", "user_id", "team_id", "end_user"),
    *("model", "deployment", "provider", "account"),
)
_RESERVE: Final = text(
    # Names of columns alone.
    "WITH made AS (INSERT INTO spend"  # noqa: S608
    f" ({', '.join(_TEXTS)}, state, estimate_usd, held_usd, charged_usd, provider_counts, reason, entries, reserved_at)"
    f" SELECT {', '.join(f'one.{name}' for name in _TEXTS)}, 'reserved', one.estimate, coalesce(one.estimate, 0), 0,"
    " one.counts, 'created', 1, coalesce(:at, clock_timestamp())"
    f" FROM unnest({', '.join(f'CAST(:{name} AS text[])' for name in _TEXTS)}, CAST(:estimate AS numeric[]),"
    f" CAST(:counts AS boolean[])) AS one({', '.join(_TEXTS)}, estimate, counts)"
    " RETURNING ref, held_usd, reason, provider, reserved_at)"
    " INSERT INTO ledger_entry (ref, seq, kind, held_usd, spent_usd, reason, provider, time)"
    " SELECT ref, 1, 'reserved', held_usd, 0, reason, provider, reserved_at FROM made"
)
_RECORD: Final = text(
    # Names of columns alone.
    "WITH made AS (INSERT INTO spend"  # noqa: S608
    f" ({', '.join(_TEXTS)}, state, estimate_usd, held_usd, charged_usd, provider_counts, reason, entries,"
    " reserved_at, settled_at)"
    f" SELECT {', '.join(f'one.{name}' for name in _TEXTS)}, CASE WHEN one.usd > 0 THEN 'charged' ELSE 'released' END,"
    " one.estimate, 0, one.usd, one.counts, one.reason, 1, coalesce(:at, clock_timestamp()),"
    " coalesce(:at, clock_timestamp())"
    f" FROM unnest({', '.join(f'CAST(:{name} AS text[])' for name in _TEXTS)}, CAST(:estimate AS numeric[]),"
    " CAST(:usd AS numeric[]), CAST(:counts AS boolean[]), CAST(:reason AS text[]))"
    f" AS one({', '.join(_TEXTS)}, estimate, usd, counts, reason) ON CONFLICT (ref) DO NOTHING"
    " RETURNING ref, state, charged_usd, reason, provider, settled_at)"
    " INSERT INTO ledger_entry (ref, seq, kind, held_usd, spent_usd, reason, provider, time)"
    " SELECT ref, 1, state, 0, charged_usd, reason, provider, settled_at FROM made"
)
_HELD: Final = text(
    "SELECT ref, owner_id, key_id, user_id, team_id, end_user, model, deployment, provider, account, estimate_usd,"
    " held_usd, provider_counts, reserved_at FROM spend WHERE ref = ANY(CAST(:refs AS text[])) AND state = 'reserved'"
    " ORDER BY ref FOR UPDATE"
)
_SETTLE: Final = text(
    "WITH settled AS (UPDATE spend SET state = CASE WHEN one.usd > 0 THEN 'charged' ELSE 'released' END,"
    " charged_usd = one.usd, held_usd = 0, reason = one.reason, entries = entries + 1, settled_at = clock_timestamp()"
    " FROM unnest(CAST(:refs AS text[]), CAST(:usd AS numeric[]), CAST(:held AS numeric[]), CAST(:reasons AS text[]))"
    " AS one(ref, usd, held, reason) WHERE spend.ref = one.ref"
    " RETURNING spend.ref, entries, state, one.held AS held, one.usd AS usd, spend.reason, provider, settled_at)"
    " INSERT INTO ledger_entry (ref, seq, kind, held_usd, spent_usd, reason, provider, time)"
    " SELECT ref, entries, state, -held, usd, reason, provider, settled_at FROM settled"
)
_ADJUST: Final = text(
    "WITH adjusted AS (UPDATE spend SET model = :model, deployment = :deployment, provider = :provider,"
    " account = :account, estimate_usd = :usd, held_usd = :held, provider_counts = :provider_counts, reason = :reason,"
    " entries = entries + 1 WHERE ref = :ref RETURNING ref, entries, reason, provider)"
    " INSERT INTO ledger_entry (ref, seq, kind, held_usd, spent_usd, reason, provider, time)"
    " SELECT ref, entries, 'adjusted', CAST(:held AS numeric) - :before, 0, reason, provider, clock_timestamp()"
    " FROM adjusted"
)
_SOFT: Final = text(
    "UPDATE budget_window SET soft_limit_at = :at WHERE kind = :kind AND id = :id AND period = :period"
    " AND starts_at = :starts_at"
)
_RESET: Final = text(
    "UPDATE budget_window SET forgiven_usd = spent_usd, soft_limit_at = NULL"
    " WHERE kind = :kind AND id = :id AND starts_at <= :at AND (ends_at IS NULL OR ends_at > :at)"
)
_FORGIVE: Final = text(
    "INSERT INTO budget_reset (kind, id, usd, actor_key_id, time) VALUES (:kind, :id, :usd, :actor, :at)"
)
_POLICIES: Final = text(
    "SELECT 'team' AS kind, id, policy FROM team WHERE id = :team_id"
    " UNION ALL SELECT 'user', id, policy FROM access_user WHERE id = :user_id"
    " UNION ALL SELECT 'key', id, policy FROM api_key WHERE id = :key_id"
)


@dataclass(frozen=True, slots=True)
class Movement:
    """By how much what is held and what is spent for one payer goes up or down."""

    payer: Payer
    held_usd: Decimal = ZERO
    spent_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Reserved:
    """A request for which its `usd` is held."""

    charge: Charge
    counts_for_provider: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """A request that is over and for which nothing was held."""

    charge: Charge
    usd: Decimal
    reason: str
    counts_for_provider: bool


class LedgerRepository:
    """Moves money through one connection; all of it is true together with the rest of its transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, movements: Sequence[Movement]) -> datetime:
        """Lock the payers, who stand in the order of `BudgetKind` and then of their ids, and move their sums over all
        time. Returns the database's time behind the last lock."""
        rows = (await self._connection.execute(_LOCK, _arrays(movements))).all()
        times: list[datetime] = [row.time for row in rows]
        return max(times)

    async def now(self) -> datetime:
        """The database's time."""
        moment: datetime = (await self._connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return moment

    async def move(self, movements: Sequence[Movement], at: datetime, limits: Sequence[Limit]) -> list[Budget]:
        """Move the sums of every window that holds `at`, of payers who are locked. Returns the budgets that `limits`
        are about, with what is used now; their windows are opened where they are missing."""
        rows = (await self._connection.execute(_MOVE, {**_arrays(movements), "at": at})).all()
        found = {(row.kind, row.id, row.period): row for row in rows}
        moved = {movement.payer: movement for movement in movements}
        budgets = []
        for limit in limits:
            row = found.get((limit.payer.kind.value, limit.payer.id, limit.period.text))
            if row is None:
                row = await self._opened(limit, limit.period.window(at), moved[limit.payer])
            budgets.append(_budget(limit, row))
        return budgets

    async def move_each(self, movements: Sequence[tuple[Movement, datetime]]) -> None:
        """Move the sums of every window that holds the time beside a movement, of payers who are locked."""
        values = _arrays([movement for movement, _ in movements])
        await self._connection.execute(_MOVE_EACH, {**values, "times": [at for _, at in movements]})

    async def _opened(self, limit: Limit, window: Window, movement: Movement) -> Any:
        statement = text(_OPEN.format(sums=_SUMS.format(own=_OWN[limit.payer.kind])))
        values = {**_window(limit, window), "held": movement.held_usd, "spent": movement.spent_usd}
        return (await self._connection.execute(statement, values)).one()

    async def passed_soft(self, budget: Budget, at: datetime) -> None:
        """Remember when a soft limit was passed, so that it is told once."""
        values = _window(budget.limit, Window(budget.starts_at, budget.resets_at))
        await self._connection.execute(_SOFT, {**values, "at": at})

    async def reserve(self, requests: Sequence[Reserved], at: datetime | None) -> None:
        """Write down what is held for requests, from now on where `at` is None. A `ref` that has a row raises."""
        charges = [one.charge for one in requests]
        counts = [one.counts_for_provider for one in requests]
        await self._connection.execute(_RESERVE, {**_columns(charges), "counts": counts, "at": at})

    async def known(self, refs: Sequence[str]) -> set[str]:
        """Those of these requests that have a row."""
        return set((await self._connection.execute(_KNOWN, {"refs": list(refs)})).scalars())

    async def record(self, requests: Sequence[Settled], at: datetime | None) -> None:
        """Write down requests that are over, as of `at`, now where that is None. The sums of their payers have been
        moved."""
        values = _columns([one.charge for one in requests])
        values |= {
            "usd": [one.usd for one in requests],
            "counts": [one.counts_for_provider for one in requests],
            "reason": [one.reason for one in requests],
            "at": at,
        }
        await self._connection.execute(_RECORD, values)

    async def held(self, refs: Sequence[str]) -> list[Held]:
        """What is reserved for requests, locked; not of those that are settled, or were never reserved."""
        rows = (await self._connection.execute(_HELD, {"refs": list(refs)})).all()
        return [
            Held(
                Charge(**{name: getattr(row, name) for name in _TEXTS}, usd=row.estimate_usd),
                row.held_usd,
                row.provider_counts,
                row.reserved_at,
            )
            for row in rows
        ]

    async def settle(self, requests: Sequence[tuple[Held, Decimal, str]]) -> None:
        """Write down what requests came to, and why, once."""
        values = {
            "refs": [held.charge.ref for held, _, _ in requests],
            "usd": [usd for _, usd, _ in requests],
            "held": [held.usd for held, _, _ in requests],
            "reasons": [reason for _, _, reason in requests],
        }
        await self._connection.execute(_SETTLE, values)

    async def adjust(self, held: Held, charge: Charge, reason: str, *, counts_for_provider: bool) -> None:
        """Write down what is held for a request from now on."""
        values = {
            **_charged(charge),
            "held": charge.usd or ZERO,
            "before": held.usd,
            "provider_counts": counts_for_provider,
            "reason": reason,
        }
        await self._connection.execute(_ADJUST, values)

    async def scopes(self, charge: Charge) -> list[Scope]:
        """The policies that those have by now for whom a request counts; a deleted key has none."""
        values = {"team_id": charge.team_id, "user_id": charge.user_id, "key_id": charge.key_id}
        rows = (await self._connection.execute(_POLICIES, values)).all()
        return [Scope(ScopeKind(row.kind), row.id, Policy.of(row.policy)) for row in rows]

    async def policy(self, payer: Payer) -> Policy | None:
        """The policy of a team, a user or a key; None where there is no such."""
        values = {kind: payer.id if payer.kind == kind else None for kind in ("team", "user", "key")}
        row = (await self._connection.execute(_POLICIES, {f"{kind}_id": id_ for kind, id_ in values.items()})).first()
        return None if row is None else Policy.of(row.policy)

    async def budget(self, limit: Limit, at: datetime) -> Budget:
        """How far a budget is used. Locks nothing and opens no window."""
        window = limit.period.window(at)
        values = _window(limit, window)
        query = text(
            f"SELECT {_WINDOW_COLUMNS} FROM budget_window AS budget WHERE kind = :kind AND id = :id"  # noqa: S608
            " AND period = :period AND starts_at = :starts_at"
        )
        row = (await self._connection.execute(query, values)).first()
        if row is not None:
            return _budget(limit, row)
        sums = (await self._connection.execute(text(_SUMS.format(own=_OWN[limit.payer.kind])), values)).one()
        return Budget(limit, sums.spent - sums.forgiven, sums.held, window.starts_at, window.ends_at)

    async def reset(self, budget: Budget, at: datetime, actor_key_id: str | None) -> None:
        """Let what is spent by now no longer count, for a payer who is locked."""
        payer = budget.limit.payer
        values = {"kind": payer.kind.value, "id": payer.id, "at": at}
        await self._connection.execute(_RESET, values)
        await self._connection.execute(_FORGIVE, {**values, "usd": budget.spent_usd, "actor": actor_key_id})


def _arrays(movements: Sequence[Movement]) -> dict[str, Any]:
    return {
        "kinds": [movement.payer.kind.value for movement in movements],
        "ids": [movement.payer.id for movement in movements],
        "held": [movement.held_usd for movement in movements],
        "spent": [movement.spent_usd for movement in movements],
    }


def _columns(charges: Sequence[Charge]) -> dict[str, Any]:
    values: dict[str, Any] = {name: [getattr(charge, name) for charge in charges] for name in _TEXTS}
    return {**values, "estimate": [charge.usd for charge in charges]}


def _charged(charge: Charge) -> dict[str, Any]:
    return {name: getattr(charge, name) for name in Charge.__slots__}


def _window(limit: Limit, window: Window) -> dict[str, Any]:
    return {
        "kind": limit.payer.kind.value,
        "id": limit.payer.id,
        "period": limit.period.text,
        "starts_at": window.starts_at,
        "ends_at": window.ends_at,
    }


def _budget(limit: Limit, row: Any) -> Budget:
    return Budget(limit, row.spent_usd, row.reserved_usd, row.starts_at, row.ends_at, row.soft_limit_at)

"""What tests of the ledger share: requests of made-up keys, and the audit that every one of them ends with."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from mediagate.core.access import Policy, Scope, ScopeKind
from mediagate.core.objects import Principal
from mediagate.core.spend import BudgetKind, Charge, Limit, Payer
from mediagate.spend.adjust import AdjustSpend
from mediagate.spend.get_budget import GetBudgets
from mediagate.spend.limits import BudgetRules, limit_of
from mediagate.spend.reserve import ReserveSpend
from mediagate.spend.reset_budget import ResetBudget
from mediagate.spend.settle import SettleSpend
from mediagate.store.database import Database

ADMIN = Principal("master", is_admin=True)
# By the ledger alone: what everybody has spent and holds must be the sum of its lines.
UNBALANCED = """
WITH lines AS (
    SELECT ref, sum(held_usd) AS held, sum(spent_usd) AS spent, count(*) AS lines,
        count(*) FILTER (WHERE kind IN ('charged', 'released')) AS ends
    FROM ledger_entry GROUP BY ref
), payers AS (
    SELECT 'team' AS kind, team_id AS id, * FROM spend WHERE team_id IS NOT NULL
    UNION ALL SELECT 'user', user_id, * FROM spend WHERE user_id IS NOT NULL
    UNION ALL SELECT 'key', key_id, * FROM spend WHERE key_id IS NOT NULL
    UNION ALL SELECT 'provider', provider, * FROM spend WHERE provider_counts
), summed AS (
    SELECT kind, id, sum(held) AS held, sum(spent) AS spent FROM payers JOIN lines USING (ref) GROUP BY kind, id
)
SELECT 'request ' || ref FROM spend FULL JOIN lines USING (ref)
WHERE lines.held IS DISTINCT FROM spend.held_usd OR lines.spent IS DISTINCT FROM spend.charged_usd
    OR lines.lines IS DISTINCT FROM spend.entries OR (spend.state = 'reserved') IS DISTINCT FROM (lines.ends = 0)
    OR (spend.state <> 'reserved' AND spend.held_usd <> 0)
UNION ALL
SELECT 'scope ' || kind || ' ' || id FROM budget_scope FULL JOIN summed USING (kind, id)
WHERE coalesce(summed.held, 0) IS DISTINCT FROM reserved_usd OR coalesce(summed.spent, 0) IS DISTINCT FROM spent_usd
UNION ALL
SELECT 'window ' || budget.kind || ' ' || budget.id || ' ' || period FROM budget_window AS budget
WHERE ROW(trim_scale(spent_usd), trim_scale(reserved_usd)) IS DISTINCT FROM (
    SELECT ROW(trim_scale(coalesce(sum(spent), 0)), trim_scale(coalesce(sum(held), 0)))
    FROM payers JOIN lines USING (ref)
    WHERE payers.kind = budget.kind AND payers.id = budget.id
        AND payers.reserved_at >= budget.starts_at AND (budget.ends_at IS NULL OR payers.reserved_at < budget.ends_at)
)
"""


def unique(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(8)}"


async def audit(db: Database) -> None:
    """The ledger is balanced: of requests, of payers, and of every window of every budget."""
    async with db.reading() as connection:
        assert [row[0] for row in (await connection.execute(text(UNBALANCED))).all()] == []


@dataclass
class Books:
    """One team, its users and keys, and what is done for them, each in a transaction of its own."""

    db: Database
    policies: Mapping[str, Policy] = field(default_factory=dict)
    providers: Mapping[str, Limit] = field(default_factory=dict)
    team: str = field(default_factory=lambda: unique("team"))
    user: str = field(default_factory=lambda: unique("user"))
    key: str = field(default_factory=lambda: unique("key"))
    allows_unpriced: bool = False

    @property
    def rules(self) -> BudgetRules:
        return BudgetRules(self.providers, self.allows_unpriced)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        named = ((ScopeKind.TEAM, self.team), (ScopeKind.USER, self.user), (ScopeKind.KEY, self.key))
        return tuple(Scope(kind, id_, self.policies.get(kind.value, Policy())) for kind, id_ in named)

    def limit(self, kind: str) -> Limit:
        scope = next(scope for scope in self.scopes if scope.kind == kind)
        return limit_of(Payer(BudgetKind(kind), scope.id), scope.policy)

    def charge(self, usd: str | None, ref: str | None = None, **more: Any) -> Charge:
        given = {
            "owner_id": f"team:{self.team}",
            "model": "m",
            "deployment": "d",
            "provider": "p",
            "account": "a",
            "key_id": self.key,
            "user_id": self.user,
            "team_id": self.team,
            **more,
        }
        return Charge(ref or unique("video"), usd=None if usd is None else Decimal(usd), **given)

    async def reserve(self, usd: str | None, ref: str | None = None, **more: Any) -> str:
        charge = self.charge(usd, ref, **more)
        async with self.db.transaction() as tx:
            await ReserveSpend(self.rules).run(tx, charge, self.scopes)
        return charge.ref

    async def settle(self, ref: str, usd: str | float, reason: str = "measured") -> bool:
        async with self.db.transaction() as tx:
            return await SettleSpend().run(tx, ref, float(usd), reason)

    async def adjust(self, ref: str, usd: str | None, provider: str = "p") -> bool:
        async with self.db.transaction() as tx:
            return await AdjustSpend(self.rules).run(
                tx, ref, None if usd is None else Decimal(usd), deployment="d2", provider=provider, account="a2"
            )

    async def reset(self, kind: str) -> None:
        await ResetBudget(self.db).run(ADMIN, self.limit(kind).payer)

    async def used(self, kind: str) -> tuple[float, float]:
        """What is spent and what is held of the budget of a kind."""
        budgets = await GetBudgets(self.db, self.rules).run(self.scopes)
        found = next(budget for budget in budgets if budget.limit.payer.kind == kind)
        return float(found.spent_usd), float(found.reserved_usd)

    def under(self, **policies: Policy) -> Books:
        """The same people under other policies."""
        return replace(self, policies=policies)

    async def write_policies(self) -> None:
        """Make the rows of the people, for what reads their policies from there."""
        async with self.db.transaction() as tx:
            for table, id_, kind in (("team", self.team, "team"), ("access_user", self.user, "user")):
                await tx.connection.execute(
                    text(
                        f"INSERT INTO {table} (id, is_blocked, policy, info, created_at, updated_at, version)"
                        " VALUES (:id, false, CAST(:policy AS jsonb), '{}', now(), now(), 1) ON CONFLICT DO NOTHING"
                    ),
                    {"id": id_, "policy": _json(self.policies.get(kind, Policy()))},
                )
            await tx.connection.execute(
                text(
                    "INSERT INTO api_key (id, hash, hint, user_id, team_id, is_admin, uses_providers, is_blocked,"
                    " policy, info, created_at, updated_at, version) VALUES (:id, :hash, 'hint', :user, :team, false,"
                    " false, false, CAST(:policy AS jsonb), '{}', now(), now(), 1)"
                ),
                {
                    "id": self.key,
                    "hash": secrets.token_bytes(32),
                    "user": self.user,
                    "team": self.team,
                    "policy": _json(self.policies.get("key", Policy())),
                },
            )


def _json(policy: Policy) -> str:
    return json.dumps(policy.stored())

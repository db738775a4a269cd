"""The budgets that bound a request: those of its key, user and team, and that of its provider."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import structlog

from mediagate.core.access import Policy, Scope
from mediagate.core.errors import InvalidField
from mediagate.core.periods import NEVER, Period, parse_period
from mediagate.core.spend import BUDGET_USD_MAX, ZERO, BudgetKind, Limit, Payer

log = structlog.get_logger(__name__)
_MOST: Final = Decimal(BUDGET_USD_MAX)


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """What the configuration says of budgets. `providers` holds the limits of providers by their names;
    `allows_unpriced` lets a request under a hard budget pass whose price nobody knows, as if it cost nothing."""

    providers: Mapping[str, Limit] = field(default_factory=dict)
    allows_unpriced: bool = False

    def limits(self, scopes: Sequence[Scope], provider: str) -> list[Limit]:
        """In the order in which they are locked and judged; payers without any limit are left out."""
        found = [limit_of(Payer(BudgetKind(scope.kind.value), scope.id), scope.policy) for scope in scopes]
        if provider in self.providers:
            found.append(self.providers[provider])
        return [limit for limit in found if limit.max_usd is not None or limit.soft_usd is not None]


def limit_of(payer: Payer, policy: Policy) -> Limit:
    """The budget in a policy, however it came there: what is no amount is 0, and what is no period never ends."""
    return Limit(
        payer,
        _bound(payer, policy.max_budget_usd),
        _bound(payer, policy.soft_budget_usd),
        _period(payer, policy.budget_period),
    )


def _bound(payer: Payer, usd: object) -> Decimal | None:
    if usd is None:
        return None
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not math.isfinite(usd) or usd < 0:
        log.warning("budget_unreadable", kind=payer.kind.value, id=payer.id)
        return ZERO
    return min(Decimal(str(usd)), _MOST)


def _period(payer: Payer, text: object) -> Period:
    try:
        return parse_period(text if isinstance(text, str) or text is None else "")
    except InvalidField:
        log.warning("budget_period_unreadable", kind=payer.kind.value, id=payer.id)
        return NEVER

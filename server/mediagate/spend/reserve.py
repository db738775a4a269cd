"""Hold the money for a request, in the transaction in which it comes to be and before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import structlog

from mediagate.core.access import Scope
from mediagate.core.errors import InsufficientQuota, InvalidField
from mediagate.core.spend import ZERO, Budget, BudgetKind, Charge, Limit
from mediagate.core.webhooks import BUDGET_SOFT_LIMIT_REACHED
from mediagate.spend.limits import BudgetRules
from mediagate.spend.together import Together
from mediagate.store.database import Transaction
from mediagate.store.ledger import LedgerRepository, Movement, Reserved
from mediagate.webhooks.emit import Occurrence, emit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hold:
    """What is to be held for a request. `scopes` are the policies whose budgets count."""

    charge: Charge
    scopes: Sequence[Scope]


@dataclass(frozen=True, slots=True)
class ReserveSpend:
    """Reserves once for each `ref`, and never more than a budget has left, whoever else reserves meanwhile.
    `price_keys` is what an operator has to say of a model without a price."""

    rules: BudgetRules = field(default_factory=BudgetRules)
    price_keys: str = "'output_cost_per_second'"

    async def run(self, tx: Transaction, charge: Charge, scopes: Sequence[Scope]) -> None:
        """Call it last in a transaction: until this ends, others who share a budget wait.

        Raises `InsufficientQuota` where a hard budget does not have so much left, and `InvalidField` with the code
        `price_unknown` where nobody knows the price and there is a hard budget; `tx` must then be rolled back.
        """
        await self.run_all(tx, [Hold(charge, scopes)])

    async def run_all(self, tx: Transaction, holds: Sequence[Hold]) -> None:
        """The same for several requests, of which all are held or, where that raises, none: who knows which of them
        there is room for has to ask for each."""
        ledger, together = LedgerRepository(tx.connection), Together(self.rules)
        reserved = []
        for hold in holds:
            charge = hold.charge
            self.require_price(charge, self.rules.limits(hold.scopes, charge.provider))
            counts_for_provider = together.add(charge, charge.usd or ZERO, hold.scopes)
            reserved.append(Reserved(charge, counts_for_provider))
        at = None
        if together.usd:
            movements = [Movement(payer, held_usd=together.usd[payer]) for payer in together.payers]
            at = await ledger.lock(movements)
            budgets = await ledger.move(movements, at, together.budgets)
            for budget in budgets:
                require_within(together.charge_of(budget.limit.payer), [budget])
            for budget in budgets:
                await tell_soft(tx, ledger, together.charge_of(budget.limit.payer), [budget], at)
        await ledger.reserve(reserved, at)

    def require_price(self, charge: Charge, limits: Sequence[Limit]) -> None:
        """Raises `InvalidField` where a hard budget could not be kept."""
        hard = next((limit for limit in limits if limit.max_usd is not None), None)
        if charge.usd is not None or hard is None or self.rules.allows_unpriced:
            return
        raise InvalidField(
            f"No price is known for the model '{charge.model}', so the budget of this {hard.payer.kind.value} cannot "
            f"be kept. The gateway's operator can set one: {self.price_keys} in the model's 'model_info', 0 "
            "for one that costs nothing.",
            param="model",
            code="price_unknown",
            model=charge.model,
        )


def require_within(charge: Charge, budgets: Sequence[Budget]) -> None:
    """`budgets` have the charge in them. What costs nothing is always within. Raises `InsufficientQuota`."""
    if not charge.usd:
        return
    for budget in budgets:
        most = budget.limit.max_usd
        if most is not None and budget.used_usd > most:
            raise _used_up(charge, budget)


async def tell_soft(
    tx: Transaction, ledger: LedgerRepository, charge: Charge, budgets: Sequence[Budget], at: datetime
) -> None:
    """Say once in a window that a soft limit is passed: in the log, and to the owner's webhooks."""
    for budget in budgets:
        if not budget.is_above_soft or budget.soft_limit_at is not None:
            continue
        await ledger.passed_soft(budget, at)
        payer, soft = budget.limit.payer, budget.limit.soft_usd or ZERO
        log.warning(
            "budget_soft_limit_reached", kind=payer.kind.value, id=payer.id, soft_usd=soft, used_usd=budget.used_usd
        )
        if payer.kind is BudgetKind.PROVIDER:
            # It is all owners' together and none of theirs.
            continue
        data = {
            "kind": payer.kind.value,
            "soft_budget": float(soft),
            "used": float(budget.used_usd),
            "resets_at": None if budget.resets_at is None else int(budget.resets_at.timestamp()),
        }
        await emit(tx, charge.owner_id, [Occurrence(BUDGET_SOFT_LIMIT_REACHED, payer.id, data)], now=at)


def _used_up(charge: Charge, budget: Budget) -> InsufficientQuota:
    kind, most = budget.limit.payer.kind.value, budget.limit.max_usd or ZERO
    cost = charge.usd or ZERO
    resets = "It is not reset by itself; ask the gateway's operator to raise it."
    if budget.resets_at is not None:
        resets = f"It is reset at {budget.resets_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}."
    whose = f"the provider '{charge.provider}'" if kind == BudgetKind.PROVIDER else f"this {kind}"
    left = max(ZERO, most - (budget.used_usd - cost))
    return InsufficientQuota(
        f"The budget of {whose} is {_plain(most)} US dollars, of which {_plain(left)} are left; this request would "
        f"cost about {_plain(cost)}. {resets} Nothing was sent.",
        budget=kind,
        max_budget_usd=_plain(most),
        remaining_usd=_plain(left),
        estimate_usd=_plain(cost),
        resets_at="" if budget.resets_at is None else int(budget.resets_at.timestamp()),
    )


def _plain(usd: Decimal) -> str:
    return f"{usd:.9f}".rstrip("0").rstrip(".")

"""Hold another amount for a request that another deployment will serve."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from mediagate.core.spend import ZERO, BudgetKind, Charge, Held, Payer
from mediagate.spend.limits import BudgetRules
from mediagate.spend.reserve import ReserveSpend, require_within, tell_soft
from mediagate.store.database import Transaction
from mediagate.store.ledger import LedgerRepository, Movement


@dataclass(frozen=True, slots=True)
class AdjustSpend:
    """Moves a reservation; who calls need not be there, the budgets are those of the key, user and team by now."""

    rules: BudgetRules = field(default_factory=BudgetRules)
    price_keys: str = "'output_cost_per_second'"

    async def run(
        self,
        tx: Transaction,
        ref: str,
        usd: Decimal | None,
        *,
        deployment: str,
        provider: str,
        account: str,
        model: str | None = None,
    ) -> bool:
        """Hold `usd` (None: nobody knows a price) in the window in which the request was reserved.

        False where the request is settled, or never reserved anything: then nothing changes. Raises as `ReserveSpend`
        does where more is held than before, or another provider's budget does not have so much; `tx` must then be
        rolled back, and the request stay where it was.
        """
        ledger = LedgerRepository(tx.connection)
        found = await ledger.held([ref])
        if not found:
            return False
        (held,) = found
        charge = replace(
            held.charge,
            usd=usd,
            model=model or held.charge.model,
            deployment=deployment,
            provider=provider,
            account=account,
        )
        counts_for_provider = provider in self.rules.providers
        limits = self.rules.limits(await ledger.scopes(charge), provider)
        ReserveSpend(self.rules, self.price_keys).require_price(charge, limits)
        movements = _movements(held, charge, counts_for_provider=counts_for_provider)
        if movements:
            await ledger.lock(movements)
            grown = {movement.payer for movement in movements if movement.held_usd > 0}
            budgets = await ledger.move(
                movements, held.reserved_at, [limit for limit in limits if limit.payer in grown]
            )
            require_within(charge, budgets)
            await tell_soft(tx, ledger, charge, budgets, held.reserved_at)
        await ledger.adjust(held, charge, "rerouted", counts_for_provider=counts_for_provider)
        return True


def _movements(held: Held, charge: Charge, *, counts_for_provider: bool) -> list[Movement]:
    """In the order in which payers are locked."""
    new_usd = charge.usd or ZERO
    providers: dict[str, Decimal] = {}
    if held.counts_for_provider:
        providers[held.charge.provider] = -held.usd
    if counts_for_provider:
        providers[charge.provider] = providers.get(charge.provider, ZERO) + new_usd
    return [
        *(Movement(payer, new_usd - held.usd) for payer in charge.payers),
        *(Movement(Payer(BudgetKind.PROVIDER, name), usd) for name, usd in sorted(providers.items())),
    ]

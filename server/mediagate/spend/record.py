"""Write down what requests came to for which nothing was held, because no hard budget is about them: many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from mediagate.core.access import Scope
from mediagate.core.spend import Charge
from mediagate.spend.limits import BudgetRules
from mediagate.spend.reserve import tell_soft
from mediagate.spend.together import Together
from mediagate.store.database import Transaction
from mediagate.store.ledger import LedgerRepository, Movement, Settled


@dataclass(frozen=True, slots=True)
class Spent:
    """One request that is over. `charge.usd` is what it was expected to come to, `usd` what it came to; `scopes` are
    the policies whose soft limits are looked at."""

    charge: Charge
    usd: Decimal
    reason: str
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordSpend:
    """Charges in full, whatever a budget has left by now."""

    rules: BudgetRules = field(default_factory=BudgetRules)

    async def run(self, tx: Transaction, requests: Sequence[Spent]) -> None:
        """Call it last in a transaction. One with a `ref` that is in the ledger already is passed over."""
        ledger = LedgerRepository(tx.connection)
        known = await ledger.known([one.charge.ref for one in requests])
        fresh = list({one.charge.ref: one for one in requests if one.charge.ref not in known}.values())
        if not fresh:
            return
        together = Together(self.rules)
        settled = []
        for one in fresh:
            counts = together.add(one.charge, one.usd, one.scopes)
            settled.append(Settled(one.charge, one.usd, one.reason, counts))
        at = None
        if together.usd:
            movements = [Movement(payer, spent_usd=together.usd[payer]) for payer in together.payers]
            at = await ledger.lock(movements)
            for budget in await ledger.move(movements, at, together.budgets):
                await tell_soft(tx, ledger, together.charge_of(budget.limit.payer), [budget], at)
        await ledger.record(settled, at)

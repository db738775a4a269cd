"""Let what is spent by now no longer count for a budget."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from mediagate.core.errors import NotFound
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.core.spend import Budget, BudgetKind, Limit, Payer
from mediagate.spend.limits import BudgetRules, limit_of
from mediagate.store.database import Database
from mediagate.store.ledger import LedgerRepository, Movement

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResetBudget:
    """What is held goes on counting, and is charged after the reset. The ledger keeps everything."""

    db: Database
    rules: BudgetRules = field(default_factory=BudgetRules)

    async def run(self, who: Principal, payer: Payer) -> Budget:
        """The budget as it is behind the reset; whoever calls this has made sure that `who` is an admin. Raises
        `NotFound` for a key, user or team that does not exist, and for a provider without a budget."""
        async with self.db.transaction() as tx:
            ledger = LedgerRepository(tx.connection)
            limit = await self._limit(ledger, payer)
            # Of nothing: it locks the payer.
            at = await ledger.lock([Movement(payer)])
            before = await ledger.budget(limit, at)
            await ledger.reset(before, at, who.key_id)
            after = await ledger.budget(limit, at)
        log.info("budget_reset", kind=payer.kind.value, id=payer.id, forgiven_usd=before.spent_usd, actor=who.key_id)
        return after

    async def _limit(self, ledger: LedgerRepository, payer: Payer) -> Limit:
        if payer.kind is BudgetKind.PROVIDER:
            limit = self.rules.providers.get(payer.id)
        else:
            policy = await ledger.policy(payer)
            limit = None if policy is None else limit_of(payer, policy)
        if limit is None:
            shown = echo(payer.id)
            raise NotFound(f"No such budget: {payer.kind.value} {shown}", param="id", id=shown)
        return limit

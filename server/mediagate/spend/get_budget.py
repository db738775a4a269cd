"""How far budgets are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mediagate.core.access import Scope
from mediagate.core.spend import Budget, BudgetKind, Limit, Payer
from mediagate.spend.limits import BudgetRules, limit_of
from mediagate.store.database import Database
from mediagate.store.ledger import LedgerRepository


@dataclass(frozen=True, slots=True)
class GetBudgets:
    """Reads budgets by the database's clock; locks nothing."""

    db: Database
    rules: BudgetRules = field(default_factory=BudgetRules)

    async def run(self, scopes: Sequence[Scope]) -> list[Budget]:
        """Of each scope, with or without a limit: without one it tells what was spent since its last reset."""
        return await self._read(
            [limit_of(Payer(BudgetKind(scope.kind.value), scope.id), scope.policy) for scope in scopes]
        )

    async def of_providers(self) -> list[Budget]:
        """Of each provider that has one."""
        return await self._read(list(self.rules.providers.values()))

    async def _read(self, limits: Sequence[Limit]) -> list[Budget]:
        async with self.db.reading() as connection:
            ledger = LedgerRepository(connection)
            at = await ledger.now()
            return [await ledger.budget(limit, at) for limit in limits]

"""What several requests come to for those who pay for them, so that each payer is locked once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from mediagate.core.access import Scope
from mediagate.core.spend import ZERO, BudgetKind, Charge, Limit, Payer
from mediagate.spend.limits import BudgetRules

_ORDER: Final = {kind: place for place, kind in enumerate(BudgetKind)}


@dataclass(slots=True)
class Together:
    """Sums by payer. `first` is one request of each payer, `limits` the budgets that are looked at: of requests that
    came with different ones for the same payer, the last."""

    rules: BudgetRules
    usd: dict[Payer, Decimal] = field(default_factory=dict)
    limits: dict[Payer, Limit] = field(default_factory=dict)
    first: dict[Payer, Charge] = field(default_factory=dict)

    def add(self, charge: Charge, usd: Decimal, scopes: Sequence[Scope]) -> bool:
        """Count one request of so much. Returns whether it counts for its provider's budget."""
        counts_for_provider = charge.provider in self.rules.providers
        provider = (Payer(BudgetKind.PROVIDER, charge.provider),) if counts_for_provider else ()
        for payer in (*charge.payers, *provider):
            self.usd[payer] = self.usd.get(payer, ZERO) + usd
            self.first.setdefault(payer, charge)
        self.limits |= {limit.payer: limit for limit in self.rules.limits(scopes, charge.provider)}
        return counts_for_provider

    def charge_of(self, payer: Payer) -> Charge:
        """One request that stands for all of a payer's."""
        return replace(self.first[payer], usd=self.usd[payer])

    @property
    def payers(self) -> list[Payer]:
        """In the order in which they are locked."""
        return in_order(self.usd)

    @property
    def budgets(self) -> list[Limit]:
        """The limits of the payers, in that order."""
        return [self.limits[payer] for payer in self.payers if payer in self.limits]


def in_order(payers: Iterable[Payer]) -> list[Payer]:
    """The order in which everybody locks payers, so that two never wait for each other."""
    return sorted(payers, key=lambda payer: (_ORDER[payer.kind], payer.id))

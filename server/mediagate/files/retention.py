"""Keep the life-cycle rules of buckets as the configuration says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from mediagate.providers.files import KeepsRetention, RetentionPlan
from mediagate.routing.stores import FileStores

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """One rule of ours in each bucket; foreign rules stay as they are. Accounts whose store has no such rules need
    none: their files have an end of their own, and the sweep."""

    stores: FileStores

    async def plan(self) -> AsyncIterator[tuple[str, RetentionPlan]]:
        """Yield what would change, by account. Raises what a provider raises."""
        for account, provider in self._keepers():
            yield account, await provider.plan_retention()

    async def apply(self) -> AsyncIterator[tuple[str, RetentionPlan]]:
        """The same, and change it."""
        for account, provider in self._keepers():
            yield account, await provider.apply_retention()

    async def run(self) -> None:
        """Apply all; one account that fails keeps no other from its rule."""
        for account, provider in self._keepers():
            try:
                plan = await provider.apply_retention()
            except Exception as error:
                log.warning("retention_not_applied", account=account, error=type(error).__name__)
            else:
                if plan.rules is not None:
                    log.info("retention_applied", account=account, days=plan.days)

    def _keepers(self) -> list[tuple[str, KeepsRetention]]:
        """The accounts whose store keeps rules, and that say something about them. One without a retention period is
        left out: its bucket may be looked after by others, and reading rules needs a right of its own."""
        found: list[tuple[str, KeepsRetention]] = []
        for account in self.stores.accounts.values():
            if account.retention_days is not None:
                provider = self.stores.account(account.id)
                if isinstance(provider, KeepsRetention):
                    found.append((account.id, provider))
        return found

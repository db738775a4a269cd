"""Keep the life-cycle rules of buckets as the configuration says."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from mediagate.providers.account import Account
from mediagate.providers.files import KeepsRetention, RetentionPlan
from mediagate.providers.registry import file_spec
from mediagate.routing.stores import FileStores

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """One rule of ours in each bucket; foreign rules stay as they are. Accounts whose store has no such rules need
    none: their files have an end of their own, and the sweep."""

    stores: FileStores

    def accounts(self) -> list[str]:
        """The accounts whose store keeps rules. One without a retention period is among them, because a rule of ours
        may be left in its bucket, unless another account looks after the same place."""
        keepers = [account for account in self.stores.accounts.values() if file_spec(account.provider).lifecycle]
        kept = {_place(account) for account in keepers if account.retention_days is not None}
        return [item.id for item in keepers if item.retention_days is not None or _place(item) not in kept]

    async def plan(self, account: str) -> RetentionPlan:
        """What would change in the account's bucket. Raises what its provider raises."""
        return await self._keeper(account).plan_retention()

    async def apply(self, account: str) -> RetentionPlan:
        """The same, and change it."""
        return await self._keeper(account).apply_retention()

    async def run(self) -> None:
        """Apply all that the configuration says something about; one account that fails keeps no other from its rule.

        An account without a retention period is left out: its bucket may be looked after by others, and reading rules
        needs a right of its own.
        """
        for account in self.accounts():
            if self.stores.accounts[account].retention_days is None:
                continue
            try:
                plan = await self.apply(account)
            except Exception as error:
                log.warning("retention_not_applied", account=account, error=type(error).__name__)
            else:
                if plan.rules is not None:
                    log.info("retention_applied", account=account, days=plan.days)

    def _keeper(self, account: str) -> KeepsRetention:
        provider = self.stores.account(account)
        assert isinstance(provider, KeepsRetention)
        return provider


def _place(account: Account) -> tuple[str, str | None, str]:
    return account.provider, account.bucket_name, account.prefix

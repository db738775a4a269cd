"""Remove what a batch that has ended has left at its provider. Run by jobs; every step may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from mediagate.core.batches import Batch
from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, ProviderRefused
from mediagate.providers.batches import BatchProvider, LeavesCopies
from mediagate.routing.batch_accounts import BatchAccounts
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database

log = structlog.get_logger(__name__)
# Then it is left to the provider's own expiry: batches are gone there after a month.
PATIENCE: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """The input of the job is a file of ours, which went with the batch's end."""

    db: Database
    accounts: BatchAccounts
    clock: Clock

    async def run(self, batch_id: str) -> None:
        """What is already gone counts as removed; raises what the provider raises."""
        async with self.db.reading() as connection:
            batch = await BatchRepository(connection).find(batch_id)
        if batch is None:
            return
        if batch.account is not None:
            try:
                await self._remove(batch, self.accounts[batch.account])
            except (MediagateError, KeyError) as error:
                if not isinstance(error, KeyError | ProviderRefused) and self.clock.now() < batch.expires_at + PATIENCE:
                    raise
                log.warning("batch_leftovers_stay", batch_id=batch_id, error=type(error).__name__)
        async with self.db.transaction() as tx:
            await BatchRepository(tx.connection).cleaned(batch_id, now=self.clock.now())

    async def _remove(self, batch: Batch, provider: BatchProvider) -> None:
        if batch.provider_ref is not None:
            await provider.delete(batch.provider_ref)
        elif batch.attempts and isinstance(provider, LeavesCopies):
            await provider.forget(batch.id)

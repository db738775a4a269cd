"""Stop a batch that has not ended."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.batches.get_batch import GetBatch
from mediagate.batches.tasks import WAKE_CHANNEL
from mediagate.core.batches import Batch
from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import batch_status_of
from mediagate.core.objects import Principal
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database


@dataclass(frozen=True, slots=True)
class CancelBatch:
    """Write down that it shall stop; the job that tracks the batch tells the provider, and fetches what was answered by
    then."""

    db: Database
    get_batch: GetBatch
    clock: Clock

    async def run(self, who: Principal, batch_id: str) -> Batch:
        """Raises `NotFound`, or `StateConflict` where the provider has ended it."""
        await self.get_batch.run(who, batch_id)
        async with self.db.transaction() as tx:
            accepted = await BatchRepository(tx.connection).request_cancel(batch_id, now=self.clock.now())
            await tx.notify(WAKE_CHANNEL, batch_id)
        batch = await self.get_batch.run(who, batch_id)
        if not accepted:
            status = batch_status_of(batch.phase)
            raise StateConflict(
                f"Batch {batch_id} is already {status}; it cannot be cancelled.", param="batch_id", status=status
            )
        return batch

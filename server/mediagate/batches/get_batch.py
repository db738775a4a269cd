"""Find one batch of the caller."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.batches import Batch
from mediagate.core.objects import Principal
from mediagate.store.batches import BatchLookup


@dataclass(frozen=True, slots=True)
class GetBatch:
    """Return a batch as it is now."""

    batches: BatchLookup

    async def run(self, who: Principal, batch_id: str) -> Batch:
        """Raises `NotFound` for an id that is malformed, unknown or somebody else's."""
        ids.BATCH.parse(batch_id)
        batch = await self.batches.get(who, batch_id)
        if batch is None:
            raise ids.BATCH.not_found(batch_id)
        return batch

"""Add up what changed, so that few rows have to be read to know what a scope holds."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.store.database import Database
from mediagate.store.storage import FOLD_BATCH, StorageRepository


@dataclass(frozen=True, slots=True)
class FoldUsage:
    """Changes nothing of any sum. One at a time in the whole cluster."""

    db: Database

    async def run(self) -> None:
        """Go on until little is left."""
        folded = FOLD_BATCH
        while folded == FOLD_BATCH:
            async with self.db.transaction() as tx:
                folded = await StorageRepository(tx.connection).fold()

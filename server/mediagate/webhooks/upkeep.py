"""Look after webhooks: forget what is old, and give what waits its job back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.store.database import Database
from mediagate.store.webhook_deliveries import DeliveryRepository
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.emit import enqueue_deliveries

BATCH = 1000
# Far longer than a job takes to be fetched.
OVERDUE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SweepEvents:
    """Forget events, with their deliveries and logs, when they are `kept` old."""

    db: Database
    clock: Clock
    kept: timedelta

    async def run(self) -> int:
        """Handle one batch; returns how many there were, so that the caller can go on until there are none."""
        before = ids.EVENT.first_of(self.clock.now() - self.kept)
        async with self.db.transaction() as tx:
            return await WebhookRepository(tx.connection).sweep(before_id=before, limit=BATCH)


@dataclass(frozen=True, slots=True)
class ResumeDeliveries:
    """Enqueue a job for each endpoint at which something has been due for long."""

    db: Database
    clock: Clock

    async def run(self) -> None:
        """Handle one batch."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            for endpoint_id in await DeliveryRepository(tx.connection).stuck(
                before=now - OVERDUE, now=now, limit=BATCH
            ):
                await enqueue_deliveries(tx, endpoint_id)

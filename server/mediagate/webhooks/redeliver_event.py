"""Send an event to a webhook endpoint again."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.objects import Principal
from mediagate.core.webhooks import Delivery
from mediagate.store.database import Database
from mediagate.store.webhook_deliveries import DeliveryRepository
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.emit import enqueue_deliveries
from mediagate.webhooks.get_endpoint import held_endpoint


@dataclass(frozen=True, slots=True)
class RedeliverEvent:
    """Begin a delivery anew: the event's own id and bytes, whatever became of it before."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, endpoint_id: str, event_id: str) -> Delivery:
        """Raises `NotFound` for no endpoint or event of the caller's, `StateConflict` for a disabled endpoint."""
        async with self.db.transaction() as tx:
            endpoint = await held_endpoint(tx, who, endpoint_id)
            ids.EVENT.parse(event_id)
            if await WebhookRepository(tx.connection).event(who.owner_id, event_id) is None:
                raise ids.EVENT.not_found(event_id)
            if endpoint.disabled_reason is not None:
                raise StateConflict(
                    "The webhook endpoint is disabled. Enable it first.", code="webhook_endpoint_disabled"
                )
            deliveries = DeliveryRepository(tx.connection)
            await deliveries.restart(endpoint_id, event_id, now=self.clock.now())
            await enqueue_deliveries(tx, endpoint_id)
            delivery = await deliveries.get(endpoint_id, event_id)
        assert delivery is not None
        return delivery

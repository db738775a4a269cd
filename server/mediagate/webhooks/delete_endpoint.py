"""Delete a webhook endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.objects import Principal
from mediagate.store.database import Database
from mediagate.store.webhooks import WebhookRepository


@dataclass(frozen=True, slots=True)
class DeleteWebhookEndpoint:
    """Delete an endpoint, its secrets and its deliveries; nothing is sent to it from here on."""

    db: Database

    async def run(self, who: Principal, endpoint_id: str) -> None:
        """Raises `NotFound`, also for an endpoint that was deleted before."""
        ids.WEBHOOK_ENDPOINT.parse(endpoint_id)
        async with self.db.transaction() as tx:
            if not await WebhookRepository(tx.connection).remove(who.owner_id, endpoint_id):
                raise ids.WEBHOOK_ENDPOINT.not_found(endpoint_id)

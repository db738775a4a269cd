"""List what was sent to a webhook endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.objects import Page, Principal
from mediagate.core.webhooks import Delivery
from mediagate.store.webhook_deliveries import DeliveryRepository
from mediagate.webhooks.get_endpoint import GetWebhookEndpoint, check_cursor
from mediagate.webhooks.rules import LIMIT_DEFAULT


@dataclass(frozen=True, slots=True)
class ListWebhookDeliveries:
    """Return one page of an endpoint's deliveries, newest event first."""

    get_endpoint: GetWebhookEndpoint

    async def run(
        self, who: Principal, endpoint_id: str, *, after: str | None, limit: int | None, state: str | None
    ) -> Page[Delivery]:
        """Raises `NotFound` for no endpoint of the caller's, and for an `after` that is no event's id."""
        endpoint = await self.get_endpoint.run(who, endpoint_id)
        cursor = check_cursor(ids.EVENT, after)
        async with self.get_endpoint.db.reading() as connection:
            return await DeliveryRepository(connection).page(
                endpoint.id, after=cursor, limit=limit or LIMIT_DEFAULT, state=state
            )

"""Make a webhook endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.objects import Principal
from mediagate.core.webhooks import WebhookEndpoint
from mediagate.net.webhooks import WebhookSender
from mediagate.store.database import Database
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.rules import PROGRESS_INTERVAL_S, check_event_types
from mediagate.webhooks.sign import new_secret


@dataclass(frozen=True, slots=True)
class CreateWebhookEndpoint:
    """Keep a URL with a secret of its own; an owner may have `endpoints_max` of them."""

    db: Database
    sender: WebhookSender
    clock: Clock
    endpoints_max: int

    async def run(
        self,
        who: Principal,
        *,
        name: str,
        url: str,
        event_types: Sequence[str],
        progress_interval_s: float | None = None,
        endpoint_id: str | None = None,
    ) -> WebhookEndpoint:
        """`endpoint_id` is for an endpoint whose id was reserved. Raises `InvalidField` for an unknown type and for a
        URL that leads to no public address, `StateConflict` where there are too many."""
        types = check_event_types(event_types)
        await self.sender.check(url, param="url")
        now = self.clock.now()
        endpoint = WebhookEndpoint(
            id=endpoint_id or ids.WEBHOOK_ENDPOINT.new(),
            owner_id=who.owner_id,
            name=name,
            url=url,
            event_types=types,
            secret=new_secret(),
            old_secrets=(),
            progress_interval_s=PROGRESS_INTERVAL_S if progress_interval_s is None else progress_interval_s,
            failures=0,
            disabled_reason=None,
            created_at=now,
            updated_at=now,
        )
        async with self.db.transaction() as tx:
            if not await WebhookRepository(tx.connection).add(endpoint, most=self.endpoints_max):
                raise StateConflict(
                    f"There are {self.endpoints_max} webhook endpoints, which is the most. Delete one first.",
                    code="too_many_webhook_endpoints",
                    limit=self.endpoints_max,
                )
        return endpoint

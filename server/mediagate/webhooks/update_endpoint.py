"""Change a webhook endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mediagate.core.clock import Clock
from mediagate.core.objects import Principal
from mediagate.core.webhooks import WebhookEndpoint
from mediagate.net.webhooks import WebhookSender
from mediagate.store.database import Database
from mediagate.store.webhook_deliveries import DeliveryRepository
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.get_endpoint import held_endpoint
from mediagate.webhooks.rules import check_event_types

REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class UpdateWebhookEndpoint:
    """Change what is given, and leave the rest."""

    db: Database
    sender: WebhookSender
    clock: Clock

    async def run(
        self,
        who: Principal,
        endpoint_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        event_types: Sequence[str] = (),
        progress_interval_s: float | None = None,
        enabled: bool | None = None,
    ) -> WebhookEndpoint:
        """What waits to be sent goes to the new URL; a disabled endpoint's deliveries are given up. Raises `NotFound`,
        and `InvalidField` as for a new endpoint."""
        types = check_event_types(event_types)
        if url is not None:
            await self.sender.check(url, param="url")
        async with self.db.transaction() as tx:
            before = await held_endpoint(tx, who, endpoint_id)
            after = replace(
                before,
                name=before.name if name is None else name,
                url=before.url if url is None else url,
                event_types=types or before.event_types,
                progress_interval_s=before.progress_interval_s if progress_interval_s is None else progress_interval_s,
            )
            if enabled is not None and enabled is not (before.disabled_reason is None):
                after = replace(after, disabled_reason=None if enabled else REQUESTED, failures=0)
            if after == before:
                return before
            after = replace(after, updated_at=self.clock.now())
            await WebhookRepository(tx.connection).save(after)
            if after.disabled_reason is not None:
                await DeliveryRepository(tx.connection).give_up(endpoint_id)
        return after

"""Give a webhook endpoint a new secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from mediagate.core.clock import Clock
from mediagate.core.objects import Principal
from mediagate.core.webhooks import SECRETS_MAX, OldSecret, WebhookEndpoint
from mediagate.store.database import Database
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.get_endpoint import held_endpoint
from mediagate.webhooks.sign import new_secret

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RotateWebhookSecret:
    """Make a new secret; the old one may go on signing beside it for a day."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, endpoint_id: str, *, keep_old: bool) -> WebhookEndpoint:
        """Without `keep_old` every older secret ends now. Every secret that was kept signs for its whole day, also
        where there are more of them: a call that is repeated takes nothing from receivers. Raises `NotFound`."""
        async with self.db.transaction() as tx:
            before = await held_endpoint(tx, who, endpoint_id)
            now = self.clock.now()
            kept = [old for old in before.old_secrets if old.expires_at > now]
            old = (OldSecret(before.secret, now + KEPT), *kept)[: SECRETS_MAX - 1] if keep_old else ()
            after = replace(before, secret=new_secret(), old_secrets=old, updated_at=now)
            await WebhookRepository(tx.connection).save(after)
        return after

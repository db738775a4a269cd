"""Find webhook endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.errors import NotFound
from mediagate.core.ids import IdKind
from mediagate.core.limits import echo
from mediagate.core.objects import Page, Principal
from mediagate.core.webhooks import WebhookEndpoint
from mediagate.store.database import Database, Transaction
from mediagate.store.webhooks import WebhookRepository
from mediagate.webhooks.rules import LIMIT_DEFAULT


@dataclass(frozen=True, slots=True)
class GetWebhookEndpoint:
    """Return one endpoint of its owner."""

    db: Database

    async def run(self, who: Principal, endpoint_id: str) -> WebhookEndpoint:
        """Raises `NotFound`, also for another owner's endpoint."""
        ids.WEBHOOK_ENDPOINT.parse(endpoint_id)
        async with self.db.reading() as connection:
            endpoint = await WebhookRepository(connection).get(who.owner_id, endpoint_id)
        if endpoint is None:
            raise ids.WEBHOOK_ENDPOINT.not_found(endpoint_id)
        return endpoint


@dataclass(frozen=True, slots=True)
class ListWebhookEndpoints:
    """Return one page, newest first."""

    db: Database

    async def run(self, who: Principal, *, after: str | None, limit: int | None) -> Page[WebhookEndpoint]:
        """`after` is the last id of the page before; it may be deleted by now. Raises `NotFound` where it is no id."""
        cursor = check_cursor(ids.WEBHOOK_ENDPOINT, after)
        async with self.db.reading() as connection:
            return await WebhookRepository(connection).page(who.owner_id, after=cursor, limit=limit or LIMIT_DEFAULT)


async def held_endpoint(tx: Transaction, who: Principal, endpoint_id: str) -> WebhookEndpoint:
    """An endpoint of its owner, which nobody else changes until the transaction ends. Raises `NotFound`."""
    ids.WEBHOOK_ENDPOINT.parse(endpoint_id)
    endpoint = await WebhookRepository(tx.connection).get(who.owner_id, endpoint_id, locked=True)
    if endpoint is None:
        raise ids.WEBHOOK_ENDPOINT.not_found(endpoint_id)
    return endpoint


def check_cursor(kind: IdKind, after: str | None) -> str | None:
    """A cursor, None for the first page. Raises `NotFound` where it has not the form of an id."""
    if after and not kind.matches(after):
        raise NotFound(kind.not_found(after).message, param="after", id=echo(after))
    return after or None

"""Send a sample event to a webhook endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidRequest
from mediagate.core.objects import Principal
from mediagate.core.webhooks import body_of
from mediagate.net.webhooks import NOT_ALLOWED, NOT_REACHABLE, TIMEOUT, WebhookSender
from mediagate.webhooks.get_endpoint import GetWebhookEndpoint
from mediagate.webhooks.rules import check_event_types
from mediagate.webhooks.sign import signed_headers

_KINDS = {"video": ids.VIDEO, "file": ids.FILE, "batch": ids.IdKind("batch_", "Batch")}
_WHY = {
    NOT_ALLOWED: "its URL leads to an address that is not on the public internet",
    NOT_REACHABLE: "nothing answers at its URL",
    TIMEOUT: "it took too long to answer",
}


@dataclass(frozen=True, slots=True)
class SendSample:
    """Send an event about an object that does not exist, once, and say what the endpoint answered."""

    get_endpoint: GetWebhookEndpoint
    sender: WebhookSender
    clock: Clock

    async def run(self, who: Principal, endpoint_id: str, event_type: str) -> int:
        """Returns the HTTP status. Raises `NotFound`, `InvalidField` for an unknown type, and `InvalidRequest` with the
        code `webhook_not_delivered` where there was no answer."""
        check_event_types([event_type], param="event_type")
        endpoint = await self.get_endpoint.run(who, endpoint_id)
        now = self.clock.now()
        event_id = ids.new_event_id()
        body = body_of(event_id, event_type, _KINDS[event_type.partition(".")[0]].new(), {}, now)
        headers = signed_headers(event_id, body, endpoint.valid_secrets(now), now)
        answer = await self.sender.post(endpoint.url, headers, body)
        if answer.status_code is None:
            why = _WHY.get(answer.error or "", "there was no answer")
            raise InvalidRequest(f"The event could not be delivered: {why}.", code="webhook_not_delivered")
        return answer.status_code

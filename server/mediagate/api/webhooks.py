"""WebhookService: translate, call, translate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mediagate._gen.mediagate.v1 import webhooks_pb2 as pb
from mediagate._gen.mediagate.v1 import webhooks_pb2_grpc
from mediagate.api.call import Call
from mediagate.api.convert import given, number_or_null, text_or_null, unix
from mediagate.core.clock import Clock
from mediagate.core.errors import NotFound
from mediagate.core.webhooks import EMITTED, Attempt, Delivery, WebhookEndpoint
from mediagate.webhooks.create_endpoint import CreateWebhookEndpoint
from mediagate.webhooks.delete_endpoint import DeleteWebhookEndpoint
from mediagate.webhooks.get_endpoint import GetWebhookEndpoint, ListWebhookEndpoints
from mediagate.webhooks.list_deliveries import ListWebhookDeliveries
from mediagate.webhooks.redeliver_event import RedeliverEvent
from mediagate.webhooks.rotate_secret import RotateWebhookSecret
from mediagate.webhooks.send_sample import SendSample
from mediagate.webhooks.sign import hint_of
from mediagate.webhooks.update_endpoint import UpdateWebhookEndpoint


@dataclass(frozen=True, slots=True)
class WebhookServicer(webhooks_pb2_grpc.WebhookServiceServicer):
    """Serves `mediagate.v1.WebhookService`."""

    create_endpoint: CreateWebhookEndpoint
    list_endpoints: ListWebhookEndpoints
    get_endpoint: GetWebhookEndpoint
    update_endpoint: UpdateWebhookEndpoint
    delete_endpoint: DeleteWebhookEndpoint
    rotate_secret: RotateWebhookSecret
    send_sample: SendSample
    list_deliveries: ListWebhookDeliveries
    redeliver_event: RedeliverEvent
    clock: Clock

    async def CreateWebhookEndpoint(self, request: pb.CreateWebhookEndpointRequest, call: Call) -> pb.WebhookEndpoint:
        endpoint = await self.create_endpoint.run(
            call.principal,
            name=request.name,
            url=request.url,
            event_types=request.event_types,
            progress_interval_s=given(request, "progress_interval_s"),
            endpoint_id=call.object_id,
        )
        return self._endpoint(endpoint, shows_secret=True)

    async def ListWebhookEndpoints(
        self, request: pb.ListWebhookEndpointsRequest, call: Call
    ) -> pb.ListWebhookEndpointsResponse:
        page = await self.list_endpoints.run(
            call.principal, after=given(request, "after"), limit=given(request, "limit")
        )
        return pb.ListWebhookEndpointsResponse(
            object="list",
            data=[self._endpoint(endpoint) for endpoint in page.items],
            first_id=text_or_null(page.items[0].id if page.items else None),
            last_id=text_or_null(page.items[-1].id if page.items else None),
            has_more=page.has_more,
        )

    async def GetWebhookEndpoint(self, request: pb.GetWebhookEndpointRequest, call: Call) -> pb.WebhookEndpoint:
        return self._endpoint(await self.get_endpoint.run(call.principal, request.webhook_endpoint_id))

    async def UpdateWebhookEndpoint(self, request: pb.UpdateWebhookEndpointRequest, call: Call) -> pb.WebhookEndpoint:
        endpoint = await self.update_endpoint.run(
            call.principal,
            request.webhook_endpoint_id,
            name=given(request, "name"),
            url=given(request, "url"),
            event_types=request.event_types,
            progress_interval_s=given(request, "progress_interval_s"),
            enabled=given(request, "enabled"),
        )
        return self._endpoint(endpoint)

    async def DeleteWebhookEndpoint(
        self, request: pb.DeleteWebhookEndpointRequest, call: Call
    ) -> pb.DeleteWebhookEndpointResponse:
        await self.delete_endpoint.run(call.principal, request.webhook_endpoint_id)
        return _deleted(request.webhook_endpoint_id)

    async def RotateWebhookSecret(self, request: pb.RotateWebhookSecretRequest, call: Call) -> pb.WebhookEndpoint:
        endpoint = await self.rotate_secret.run(
            call.principal, request.webhook_endpoint_id, keep_old=request.keep_old_secret_active_for_24_hours
        )
        return self._endpoint(endpoint, shows_secret=True)

    async def TestWebhookEndpoint(
        self, request: pb.TestWebhookEndpointRequest, call: Call
    ) -> pb.TestWebhookEndpointResponse:
        status = await self.send_sample.run(call.principal, request.webhook_endpoint_id, request.event_type)
        return pb.TestWebhookEndpointResponse(
            object="webhook_endpoint.test",
            event_type=request.event_type,
            status_code=status,
            success=True,
            webhook_endpoint_id=request.webhook_endpoint_id,
        )

    async def ListWebhookEventTypes(
        self, _request: pb.ListWebhookEventTypesRequest, _call: Call
    ) -> pb.ListWebhookEventTypesResponse:
        return pb.ListWebhookEventTypesResponse(object="list", data=EMITTED)

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, call: Call
    ) -> pb.ListWebhookDeliveriesResponse:
        page = await self.list_deliveries.run(
            call.principal,
            request.webhook_endpoint_id,
            after=given(request, "after"),
            limit=given(request, "limit"),
            state=given(request, "state"),
        )
        return pb.ListWebhookDeliveriesResponse(
            object="list",
            data=[_delivery(delivery) for delivery in page.items],
            first_id=text_or_null(page.items[0].event_id if page.items else None),
            last_id=text_or_null(page.items[-1].event_id if page.items else None),
            has_more=page.has_more,
        )

    async def RedeliverWebhookEvent(self, request: pb.RedeliverWebhookEventRequest, call: Call) -> pb.WebhookDelivery:
        return _delivery(await self.redeliver_event.run(call.principal, request.webhook_endpoint_id, request.event_id))

    async def made(self, endpoint_id: str, _request: Any, call: Call) -> pb.WebhookEndpoint:
        """What a lost call made, as it would have answered. Raises `NotFound` where it made nothing."""
        return self._endpoint(await self.get_endpoint.run(call.principal, endpoint_id), shows_secret=True)

    async def deleted(self, _: str, request: Any, call: Call) -> pb.DeleteWebhookEndpointResponse | None:
        """The answer to a lost call, where the endpoint is gone."""
        try:
            await self.get_endpoint.run(call.principal, request.webhook_endpoint_id)
        except NotFound:
            return _deleted(request.webhook_endpoint_id)
        return None

    def _endpoint(self, endpoint: WebhookEndpoint, *, shows_secret: bool = False) -> pb.WebhookEndpoint:
        return pb.WebhookEndpoint(
            id=endpoint.id,
            object="webhook_endpoint",
            name=endpoint.name,
            url=endpoint.url,
            event_types=endpoint.event_types,
            created_at=unix(endpoint.created_at),
            updated_at=unix(endpoint.updated_at),
            signing_secret_hint=hint_of(endpoint.secret),
            signing_secret=endpoint.secret if shows_secret else None,
            mediagate=pb.WebhookEndpointDetails(
                enabled=endpoint.disabled_reason is None,
                disabled_reason=endpoint.disabled_reason,
                failures=endpoint.failures,
                progress_interval_s=endpoint.progress_interval_s,
                valid_secrets=len(endpoint.valid_secrets(self.clock.now())),
            ),
        )


def _deleted(endpoint_id: str) -> pb.DeleteWebhookEndpointResponse:
    return pb.DeleteWebhookEndpointResponse(id=endpoint_id, object="webhook_endpoint.deleted", deleted=True)


def _delivery(delivery: Delivery) -> pb.WebhookDelivery:
    return pb.WebhookDelivery(
        id=delivery.event_id,
        object="webhook_delivery",
        webhook_endpoint_id=delivery.endpoint_id,
        event_type=delivery.event_type,
        data_id=delivery.data_id,
        state=delivery.state.value,
        attempts=delivery.attempts,
        created_at=unix(delivery.created_at),
        next_attempt_at=number_or_null(delivery.next_attempt_at),
        log=[_attempt(attempt) for attempt in delivery.log],
    )


def _attempt(attempt: Attempt) -> pb.WebhookAttempt:
    return pb.WebhookAttempt(
        started_at=attempt.started_at.timestamp(),
        duration_ms=attempt.duration_ms,
        status_code=attempt.status_code,
        error=attempt.error,
        response=attempt.response,
    )

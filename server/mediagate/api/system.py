"""SystemService and DiagnosticsService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from google.api.httpbody_pb2 import HttpBody

from mediagate._gen.mediagate.v1 import system_pb2, system_pb2_grpc
from mediagate.access.authenticate import Authenticate, require_admin
from mediagate.api.call import Call
from mediagate.api.content import http_body
from mediagate.core.errors import Unsupported
from mediagate.core.objects import Principal
from mediagate.routing.health import Fares, ReadHealth
from mediagate.telemetry.exposition import CONTENT_TYPE, MetricsPage

ZEROS = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class SystemServicer(system_pb2_grpc.SystemServiceServicer):
    """Serves `mediagate.v1.SystemService`. `require_ready` raises `Unavailable` where requests cannot be served;
    `metrics_by` knows the admins that alone may see metrics, None where everybody may."""

    require_ready: Callable[[], Awaitable[None]]
    health: ReadHealth
    metrics: MetricsPage | None = None
    metrics_by: Authenticate | None = None

    async def GetReadiness(
        self, _request: system_pb2.GetReadinessRequest, _call: Call
    ) -> system_pb2.GetReadinessResponse:
        await self.require_ready()
        return system_pb2.GetReadinessResponse(status="ready")

    async def GetMetrics(self, _request: system_pb2.GetMetricsRequest, call: Call) -> bytes:
        if self.metrics_by is not None:
            call.principal = await self.metrics_by.run(call.header("authorization"), call.header("api-key"))
            require_admin(call.principal)
        if self.metrics is None:
            raise Unsupported("This server has no metrics.")
        return http_body(await self.metrics.render(), CONTENT_TYPE)

    async def GetLiveliness(self, _request: system_pb2.GetLivelinessRequest, _call: Call) -> bytes:
        return http_body(b'"I\'m alive!"', "application/json")

    async def GetHealth(self, request: system_pb2.GetHealthRequest, call: Call) -> system_pb2.GetHealthResponse:
        fares = [
            one
            for name, found in (await self.health.by_model()).items()
            if call.principal.may_use_model(name) and request.model in ("", name)
            for one in found
        ]
        healthy = [_endpoint(one, call.principal) for one in fares if one.is_healthy]
        unhealthy = [_endpoint(one, call.principal) for one in fares if not one.is_healthy]
        return system_pb2.GetHealthResponse(
            healthy_endpoints=healthy,
            unhealthy_endpoints=unhealthy,
            healthy_count=len(healthy),
            unhealthy_count=len(unhealthy),
        )


def _endpoint(fares: Fares, who: Principal) -> system_pb2.DeploymentHealth:
    deployment = fares.deployment
    shown = system_pb2.DeploymentHealth(model_name=deployment.model_name)
    if who.is_admin:
        shown.deployment, shown.account = deployment.id, deployment.model_account
        shown.model = f"{deployment.provider}/{deployment.provider_model}"
        shown.failures, shown.cooling_seconds = fares.standing.failures, round(fares.standing.cooling_s, 3)
        if fares.reason is not None:
            shown.reason = fares.reason
    return shown


class DiagnosticsServicer(system_pb2_grpc.DiagnosticsServiceServicer):
    """Serves `mediagate.v1.DiagnosticsService`."""

    async def Ping(self, _request: system_pb2.PingRequest, _call: Call) -> system_pb2.PingResponse:
        return system_pb2.PingResponse()

    async def CountBytes(self, bodies: AsyncIterator[HttpBody], _call: Call) -> system_pb2.CountBytesResponse:
        total = 0
        async for body in bodies:
            total += len(body.data)
        return system_pb2.CountBytesResponse(bytes=total)

    async def StreamZeros(self, request: system_pb2.StreamZerosRequest, call: Call) -> AsyncIterator[bytes]:
        left = int(request.bytes)
        call.respond([("x-content-length", str(left))])
        yield http_body(b"", "application/octet-stream")
        while left > 0:
            chunk = ZEROS if left >= len(ZEROS) else ZEROS[:left]
            left -= len(chunk)
            yield http_body(chunk, "")

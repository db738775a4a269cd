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
from mediagate.telemetry.exposition import CONTENT_TYPE, MetricsPage

ZEROS = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class SystemServicer(system_pb2_grpc.SystemServiceServicer):
    """Serves `mediagate.v1.SystemService`. `require_ready` raises `Unavailable` where requests cannot be served;
    `metrics_by` knows the admins that alone may see metrics, None where everybody may."""

    require_ready: Callable[[], Awaitable[None]]
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

"""SystemService and DiagnosticsService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from google.api.httpbody_pb2 import HttpBody

from mediagate._gen.mediagate.v1 import system_pb2, system_pb2_grpc
from mediagate.api.call import Call
from mediagate.api.content import http_body

ZEROS = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class SystemServicer(system_pb2_grpc.SystemServiceServicer):
    """Serves `mediagate.v1.SystemService`. `require_ready` raises `Unavailable` where requests cannot be served."""

    require_ready: Callable[[], Awaitable[None]]

    async def GetReadiness(
        self, _request: system_pb2.GetReadinessRequest, _call: Call
    ) -> system_pb2.GetReadinessResponse:
        await self.require_ready()
        return system_pb2.GetReadinessResponse(status="ready")


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

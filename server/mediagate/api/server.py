"""The gRPC server: every service behind one pipeline, with health and reflection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from envoy.service.auth.v3 import external_auth_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mediagate._gen.mediagate.v1 import (
    admin_pb2_grpc,
    batches_pb2_grpc,
    chat_pb2_grpc,
    files_pb2_grpc,
    models_pb2_grpc,
    pages_pb2_grpc,
    spend_pb2_grpc,
    system_pb2_grpc,
    tokens_pb2_grpc,
    uploads_pb2_grpc,
    usage_pb2_grpc,
    videos_pb2_grpc,
    webhooks_pb2_grpc,
)
from mediagate.api.decision import ContentDecision
from mediagate.api.pipeline import HandlerCollector, Pipeline

# Without a fixed window a slow store makes gRPC buffer some 70 MiB of one upload; with it 7 to 16 MiB (measured).
OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 1 << 20),
    ("grpc.max_receive_message_length", 32 << 20),
    ("grpc.max_send_message_length", 32 << 20),
    ("grpc.max_concurrent_streams", 1 << 16),
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_ADDERS: dict[str, Callable[[Any, Any], None]] = {
    "mediagate.v1.FileService": files_pb2_grpc.add_FileServiceServicer_to_server,
    "mediagate.v1.UploadService": uploads_pb2_grpc.add_UploadServiceServicer_to_server,
    "mediagate.v1.VideoService": videos_pb2_grpc.add_VideoServiceServicer_to_server,
    "mediagate.v1.ChatService": chat_pb2_grpc.add_ChatServiceServicer_to_server,
    "mediagate.v1.BatchService": batches_pb2_grpc.add_BatchServiceServicer_to_server,
    "mediagate.v1.WebhookService": webhooks_pb2_grpc.add_WebhookServiceServicer_to_server,
    "mediagate.v1.AdminService": admin_pb2_grpc.add_AdminServiceServicer_to_server,
    "mediagate.v1.SpendService": spend_pb2_grpc.add_SpendServiceServicer_to_server,
    "mediagate.v1.TokenService": tokens_pb2_grpc.add_TokenServiceServicer_to_server,
    "mediagate.v1.ModelService": models_pb2_grpc.add_ModelServiceServicer_to_server,
    "mediagate.v1.UsageService": usage_pb2_grpc.add_UsageServiceServicer_to_server,
    "mediagate.v1.PagesService": pages_pb2_grpc.add_PagesServiceServicer_to_server,
    "mediagate.v1.SystemService": system_pb2_grpc.add_SystemServiceServicer_to_server,
    "mediagate.v1.DiagnosticsService": system_pb2_grpc.add_DiagnosticsServiceServicer_to_server,
}


class ApiServer:
    """One listening gRPC server."""

    def __init__(self, servicers: dict[str, Any], pipeline: Pipeline, decision: ContentDecision | None = None) -> None:
        """`servicers` by full service name; each is one of the services of `mediagate.v1`. `decision` is for the edge
        alone, so no reflection shows it."""
        self._server = grpc.aio.server(options=OPTIONS)
        collector = HandlerCollector()
        for name, servicer in servicers.items():
            _ADDERS[name](servicer, collector)
        for service, handlers in collector.services.items():
            wrapped = {name: pipeline.wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))
            self._server.add_registered_method_handlers(service, wrapped)
        if decision is not None:
            external_auth_pb2_grpc.add_AuthorizationServicer_to_server(decision, self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*servicers, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.draining = False

    async def start(self, address: str) -> None:
        """Listen on `unix:PATH` or `HOST:PORT` and answer health checks with SERVING."""
        self._server.add_insecure_port(address)
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Answer health checks with NOT_SERVING; calls are still taken."""
        self.draining = True
        await self._health.enter_graceful_shutdown()

    async def stop(self, *, grace_s: float) -> None:
        """Take no more calls, let the running ones finish for `grace_s` seconds, cancel the rest."""
        await self._server.stop(grace_s)

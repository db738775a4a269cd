"""A receiver of traces that speaks OTLP over gRPC, as a collector does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from mediagate._gen.opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from mediagate.telemetry.otlp_exporter import METHOD


@dataclass(frozen=True)
class Seen:
    """A span as it arrived. Ids are hexadecimal."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool


@dataclass
class Collector:
    """What arrived."""

    port: int = 0
    raw: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def Export(self, request: Any, context: Any) -> Any:
        with self._lock:
            self.raw.append(str(request))
            self.metadata.append(dict(context.invocation_metadata()))
            for resource in request.resource_spans:
                known = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [_seen(known.get("service.name", ""), span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def of(self, trace_id: str) -> list[Seen]:
        """The spans of one trace."""
        with self._lock:
            return [span for span in self.spans if span.trace_id == trace_id]


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        {pair.key: pair.value.string_value for pair in span.attributes},
        span.status.code == 2,
    )


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.unary_unary_rpc_method_handler(
        found.Export,
        trace_service_pb2.ExportTraceServiceRequest.FromString,
        trace_service_pb2.ExportTraceServiceResponse.SerializeToString,
    )
    service, _, method = METHOD.strip("/").partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    found.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield found
    finally:
        server.stop(1).wait()

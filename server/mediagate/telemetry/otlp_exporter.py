"""Spans on their way to a receiver, as OTLP over gRPC: https://opentelemetry.io/docs/specs/otlp/.

OpenTelemetry's own exporter needs the package `opentelemetry-proto`, and `xds-protos` overwrites a part of that with an
older version, so the messages are generated here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from mediagate._gen.opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from mediagate._gen.opentelemetry.proto.common.v1 import common_pb2
from mediagate._gen.opentelemetry.proto.resource.v1 import resource_pb2
from mediagate._gen.opentelemetry.proto.trace.v1 import trace_pb2

log = structlog.get_logger(__name__)
METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ATTEMPTS_MAX: Final = 3
BACK_OFF_S: Final = 0.5
# Those that the protocol says may be repeated.
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class OtlpExporter(SpanExporter):
    """Sends batches, each at most `ATTEMPTS_MAX` times; runs in the thread of the SDK's batch processor."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout_s: float) -> None:
        """`endpoint` is `http://HOST:PORT`, or `https://` for TLS."""
        url = urlsplit(endpoint)
        target = f"{url.hostname}:{url.port or 4317}"
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials())
            if url.scheme == "https"
            else grpc.insecure_channel(target)
        )
        self._send = self._channel.unary_unary(
            METHOD,
            request_serializer=trace_service_pb2.ExportTraceServiceRequest.SerializeToString,
            response_deserializer=trace_service_pb2.ExportTraceServiceResponse.FromString,
        )
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._timeout_s = timeout_s
        self._stopped = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; what no attempt delivers is dropped."""
        request = trace_service_pb2.ExportTraceServiceRequest(resource_spans=_by_resource(spans))
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                self._send(request, timeout=self._timeout_s, metadata=self._metadata)
            except grpc.RpcError as error:
                if error.code() not in _PASSING or attempt == ATTEMPTS_MAX or self._stopped.is_set():
                    log.warning("spans_dropped", spans=len(spans), code=error.code().name)
                    return SpanExportResult.FAILURE
                self._stopped.wait(BACK_OFF_S * attempt)
            else:
                break
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Wait for nothing any more."""
        self._stopped.set()
        self._channel.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


def _by_resource(spans: Sequence[ReadableSpan]) -> list[trace_pb2.ResourceSpans]:
    found: dict[Resource, dict[Any, list[trace_pb2.Span]]] = {}
    for span in spans:
        found.setdefault(span.resource, {}).setdefault(span.instrumentation_scope, []).append(_span(span))
    return [
        trace_pb2.ResourceSpans(
            resource=resource_pb2.Resource(attributes=_attributes(resource.attributes)),
            scope_spans=[
                trace_pb2.ScopeSpans(
                    scope=None
                    if scope is None
                    else common_pb2.InstrumentationScope(name=scope.name, version=scope.version),
                    spans=made,
                )
                for scope, made in scopes.items()
            ],
        )
        for resource, scopes in found.items()
    ]


def _span(span: ReadableSpan) -> trace_pb2.Span:
    context = span.get_span_context()
    assert context is not None
    parent = b"" if span.parent is None else span.parent.span_id.to_bytes(8, "big")
    return trace_pb2.Span(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        trace_state=context.trace_state.to_header(),
        parent_span_id=parent,
        flags=int(context.trace_flags),
        name=span.name,
        kind=f"SPAN_KIND_{span.kind.name}",
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
        attributes=_attributes(span.attributes or {}),
        status=trace_pb2.Status(
            code=f"STATUS_CODE_{span.status.status_code.name}",
            message=span.status.description or "",
        ),
    )


def _attributes(values: Mapping[str, Any]) -> list[common_pb2.KeyValue]:
    return [common_pb2.KeyValue(key=name, value=_value(value)) for name, value in values.items()]


def _value(value: Any) -> common_pb2.AnyValue:
    match value:
        case bool():
            return common_pb2.AnyValue(bool_value=value)
        case int():
            return common_pb2.AnyValue(int_value=value)
        case float():
            return common_pb2.AnyValue(double_value=value)
        case str():
            return common_pb2.AnyValue(string_value=value)
    return common_pb2.AnyValue(array_value=common_pb2.ArrayValue(values=[_value(item) for item in value]))

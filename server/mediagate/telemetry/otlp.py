"""Traces over OTLP/gRPC, by OpenTelemetry's SDK. Imported only where somebody asked for traces.

Spans carry names, codes and accounts. No exception is recorded and no URL is noted: both may hold what a caller sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mediagate.telemetry.otlp_exporter import OtlpExporter
from mediagate.telemetry.traces import NO_SPAN, Span

SERVICE: Final = "mediagate"
EXPORT_S: Final = 5.0
FLUSH_MS: Final = 3_000
_W3C: Final = TraceContextTextMapPropagator()


class OtlpTracer:
    """Sends spans to one receiver."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], share: float, process: str, version: str) -> None:
        self._provider = TracerProvider(
            resource=Resource.create(
                {
                    "service.name": os.environ.get("OTEL_SERVICE_NAME", SERVICE),
                    "service.version": version,
                    "service.instance.id": f"{process}-{os.getpid()}",
                }
            ),
            sampler=ParentBased(TraceIdRatioBased(share)),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OtlpExporter(endpoint, headers, EXPORT_S)))
        self._tracer = self._provider.get_tracer(SERVICE, version)

    def server(self, rpc: str, traceparent: str | None) -> Span:
        """A call that came in."""
        service, _, method = rpc.partition("/")
        span = self._tracer.start_span(
            rpc,
            context=_of(traceparent),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": f"mediagate.v1.{service}", "rpc.method": method},
        )
        # Not taken back: the task is this call's alone.
        contexts.attach(trace.set_span_in_context(span))
        return _Span(span)

    def client(self, backend: str, op: str) -> AbstractContextManager[Span]:
        """A call to a provider, where it is part of something."""
        if not trace.get_current_span().get_span_context().is_valid:
            return nullcontext(NO_SPAN)
        return self._within(
            f"{backend} {op}", SpanKind.CLIENT, None, {"mediagate.backend": backend, "mediagate.op": op}
        )

    def job(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:
        """A job, or a look of one."""
        return self._within(name, SpanKind.CONSUMER, _of(traceparent), {"mediagate.job": name})

    def traceparent(self) -> str | None:
        """What continues the current span elsewhere."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get("traceparent")

    def close(self) -> None:
        """Send what was collected."""
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()

    @contextmanager
    def _within(
        self, name: str, kind: SpanKind, context: contexts.Context | None, attributes: dict[str, str]
    ) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
            end_on_exit=False,
        ) as span:
            own = _Span(span)
            try:
                yield own
            finally:
                own.end("")


class _Span:
    """One span; it ends once."""

    __slots__ = ("_is_over", "_span")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._is_over = False

    def note(self, name: str, value: str | int | None) -> None:
        """An attribute; nothing where there is no value."""
        if value is not None:
            self._span.set_attribute(name, value)

    def end(self, outcome: str, *, is_error: bool = False) -> None:
        """It is over."""
        if self._is_over:
            return
        self._is_over = True
        if outcome:
            self._span.set_attribute("mediagate.outcome", outcome)
        if is_error:
            self._span.set_status(Status(StatusCode.ERROR, outcome))
        self._span.end()


def _of(traceparent: str | None) -> contexts.Context:
    """Only that: what happens to be current here is no parent."""
    return _W3C.extract({"traceparent": traceparent} if traceparent else {}, context=contexts.Context())

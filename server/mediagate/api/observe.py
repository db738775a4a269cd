"""What a call leaves behind: its line in the log, its place in the metrics, its span."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mediagate.api.call import Call
from mediagate.api.paths import ORIGINAL_PATH
from mediagate.core.errors import InsufficientQuota, MediagateError, RateLimited, StorageQuotaExceeded
from mediagate.telemetry import metrics
from mediagate.telemetry.requests import CANCELLED, CURRENT, OK, RequestLog, RequestRecord
from mediagate.telemetry.traces import NO_SPAN, Span, server_span

_GIVES_CONTENT: Final = re.compile(r".*/(Get\w+ContentHttp|Download\w+)")
LOCAL: Final = "local"
UNSUPPORTED_STATUS: Final = 501
CLIENT_CLOSED: Final = 499
# Its case is fixed: https://www.w3.org/TR/trace-context/#traceparent-header-field-values
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
REQUEST_ID_CHARS_MAX: Final = 128


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace that a W3C `traceparent` names; None where it is none."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return match[1] if match else None


def short_name(method: str) -> str:
    """`/mediagate.v1.FileService/GetFile` is written `FileService/GetFile`."""
    return method.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Observer:
    """Begins an observation for every call. Without a log it only counts."""

    log: RequestLog | None = None

    def of(self, method: str) -> MethodObserver:
        """For one method, by its full name."""
        rpc = short_name(method)
        return MethodObserver(rpc, self.log, _GIVES_CONTENT.fullmatch(rpc) is not None)


@dataclass(frozen=True, slots=True)
class MethodObserver:
    """Observes the calls of one method."""

    rpc: str
    log: RequestLog | None
    gives_content: bool

    def begin(self, context: Any, size_bytes: int = 0) -> Observation:
        """A call has come, with a request of this size so far."""
        call = Call(context, context.invocation_metadata() or ())
        request_id = call.header("x-request-id")
        if request_id is not None and len(request_id) > REQUEST_ID_CHARS_MAX:
            request_id = None
        traceparent = call.header("traceparent")
        record = RequestRecord(self.rpc, request_id, trace_id_of(traceparent), size_bytes)
        CURRENT.set(record)
        return Observation(self, call, record, server_span(self.rpc, traceparent))


@dataclass(slots=True)
class Observation:
    """One call while it runs. Exactly one of `succeeded`, `failed` and `cancelled` ends it."""

    method: MethodObserver
    call: Call
    record: RequestRecord
    span: Span = NO_SPAN

    def received(self, size_bytes: int) -> None:
        """One more message of the request."""
        self.record.bytes_in += size_bytes

    def sent(self, size_bytes: int) -> None:
        """One more message of the answer."""
        self.record.bytes_out += size_bytes

    def succeeded(self) -> None:
        """The answer is complete."""
        self._end(OK, self.call.http_status)

    def failed(self, failure: MediagateError) -> None:
        """The call ends with a failure."""
        is_fault = failure.http_status >= 500 and failure.http_status != UNSUPPORTED_STATUS
        limit = _limit_of(failure)
        if limit is not None:
            metrics.limited(*limit)
        self._end(failure.grpc_code, failure.http_status, error=failure.code or failure.reason, is_fault=is_fault)

    def cancelled(self) -> None:
        """The caller went away, or its time was over."""
        self._end(CANCELLED, CLIENT_CLOSED)

    def _end(self, code: str, http_status: int, *, error: str | None = None, is_fault: bool = False) -> None:
        record, method = self.record, self.method
        spent_s = time.perf_counter() - record.started
        metrics.rpc_ended(method.rpc, code, spent_s)
        if method.gives_content:
            metrics.downloaded(record.served_by or LOCAL, record.bytes_out)
        _end_span(self.span, record, code, error, is_fault=is_fault)
        if method.log is None:
            return
        who = self.call.principal
        record.project_id, record.key_id = who.owner_id or None, who.key_id
        is_rest = self.call.header(ORIGINAL_PATH) is not None
        method.log.write(record, code, http_status if is_rest else None, spent_s, error=error, is_fault=is_fault)


@dataclass(slots=True)
class DecisionObservation:
    """A decision about content. It leaves a line where no method is called after it."""

    log: RequestLog | None
    rpc: str
    headers: Mapping[str, str]
    context: Any = None
    record: RequestRecord = field(init=False)
    span: Span = field(init=False, default=NO_SPAN)

    def __post_init__(self) -> None:
        # The edge's own call for this decision, of which the request knows nothing.
        asked = dict(self.context.invocation_metadata() or ()) if self.context is not None else {}
        traceparent = asked.get("traceparent") or self.headers.get("traceparent")
        self.record = RequestRecord(self.rpc, self.headers.get("x-request-id"), trace_id_of(traceparent))
        CURRENT.set(self.record)
        self.span = server_span("Authorization/Check", traceparent)

    def left_to_method(self) -> None:
        """The method is called after this, and leaves the line."""
        self.span.end(OK)

    def ended(
        self, code: str, http_status: int, *, error: str | None = None, is_fault: bool = False, attempt: int = 1
    ) -> None:
        """It is decided, and Envoy answers by itself."""
        spent_s = time.perf_counter() - self.record.started
        metrics.rpc_ended("Authorization/Check", code, spent_s)
        _end_span(self.span, self.record, code, error, is_fault=is_fault)
        if code == OK and self.record.backend is not None:
            metrics.downloaded(self.record.backend, self.record.bytes_out, by_edge=True)
        if self.log is not None:
            self.log.write(
                self.record,
                code,
                http_status,
                spent_s,
                event="content_decision",
                error=error,
                is_fault=is_fault,
                attempt=attempt,
            )


def _limit_of(failure: MediagateError) -> tuple[str, str] | None:
    """The limit of ours that a call met, and whose it is; None for any other failure, such as a provider's pause."""
    told = failure.metadata
    match failure:
        case RateLimited() if "measure" in told:
            return told["measure"], told.get("scope", "")
        case StorageQuotaExceeded():
            return "storage", told.get("scope", "")
        case InsufficientQuota():
            return "budget", told.get("budget", "")
    return None


def _end_span(span: Span, record: RequestRecord, code: str, error: str | None, *, is_fault: bool) -> None:
    if span is NO_SPAN:
        return
    for name, value in (
        ("mediagate.request_id", record.request_id),
        ("mediagate.backend", record.served_by),
        ("mediagate.model", record.model),
        ("mediagate.error", error),
    ):
        span.note(name, value)
    span.end(code, is_error=is_fault)

"""What is known of the call that runs, and the one line that it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from json.encoder import encode_basestring_ascii as quoted
from typing import Final

from mediagate.telemetry.writer import LineWriter

OK: Final = "OK"
CANCELLED: Final = "CANCELLED"
QUIET: Final = frozenset({"SystemService/GetReadiness", "SystemService/GetMetrics", "DiagnosticsService/Ping"})
"""Calls of machines, of which nobody wants to read while they go well."""


class RequestRecord:
    """One call. Whoever serves it notes what it served with; counts are of bytes of messages."""

    __slots__ = (
        "backend",
        "bytes_in",
        "bytes_out",
        "called",
        "key_id",
        "model",
        "project_id",
        "request_id",
        "rpc",
        "started",
        "trace_id",
    )

    def __init__(self, rpc: str, request_id: str | None = None, trace_id: str | None = None, bytes_in: int = 0) -> None:
        self.rpc = rpc
        self.request_id = request_id
        self.trace_id = trace_id
        self.project_id: str | None = None
        self.key_id: str | None = None
        self.bytes_in = bytes_in
        self.bytes_out = 0
        self.backend: str | None = None
        self.called: str | None = None
        self.model: str | None = None
        self.started = time.perf_counter()

    @property
    def served_by(self) -> str | None:
        """The account or deployment that served: what was noted, else whose API was called last."""
        return self.backend or self.called


CURRENT: Final[ContextVar[RequestRecord | None]] = ContextVar("mediagate_request", default=None)
"""The call that this task works for; None in a job."""


def note_backend(account: str) -> None:
    """Say which account or deployment serves the call that runs, if one does."""
    record = CURRENT.get()
    if record is not None:
        record.backend = account


def note_call(account: str) -> None:
    """Say that an account's API is called, which counts where nobody says who serves."""
    record = CURRENT.get()
    if record is not None:
        record.called = account


def note_model(model: str) -> None:
    """Say which public model the call that runs is for. Only for a name that the configuration has."""
    record = CURRENT.get()
    if record is not None:
        record.model = model


class RequestLog:
    """Writes the lines of requests: JSON, one object a line, or a short one for people. `also` gets every line as JSON,
    whatever the log's level and format."""

    def __init__(
        self,
        writer: LineWriter,
        *,
        process: str = "api",
        is_json: bool = True,
        info: bool = True,
        debug: bool = False,
        warning: bool = True,
        also: Callable[[str], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._tail = f',"process":{quoted(process)}}}'
        self._is_json = is_json
        self._wanted = {"debug": debug, "info": info, "warning": warning}
        self._also = also
        self._now = now
        self._second = -1
        self._prefix = ""

    def write(
        self,
        record: RequestRecord,
        code: str,
        http_status: int | None,
        duration_s: float,
        *,
        event: str = "request",
        error: str | None = None,
        is_fault: bool = False,
        attempt: int = 1,
    ) -> None:
        """One call has ended. `http_status` is for REST alone; `error` is the code of a failure, never its text;
        `is_fault` tells one that is not the caller's."""
        level = "warning" if is_fault else "debug" if code == OK and record.rpc in QUIET else "info"
        wanted = self._wanted[level]
        if not wanted and (self._also is None or level == "debug"):
            return
        line = self._line(record, level, event, code, http_status, duration_s, error, attempt)
        if wanted:
            shown = line if self._is_json else self._short(record, level, code, http_status, duration_s, error)
            self._writer.write(shown, urgent=level == "warning")
        if self._also is not None and level != "debug":
            self._also(line)

    def _line(
        self,
        record: RequestRecord,
        level: str,
        event: str,
        code: str,
        http_status: int | None,
        duration_s: float,
        error: str | None,
        attempt: int,
    ) -> str:
        # By hand, because every call pays for it: a third of what json.dumps takes (measured).
        more = ""
        if record.model is not None:
            more += f',"model":{quoted(record.model)}'
        if error is not None:
            more += f',"error":{quoted(error)}'
        if attempt > 1:
            more += f',"attempt":{attempt}'
        return (
            f'{{"ts":"{self._time()}","level":"{level}","event":"{event}",'
            f'"request_id":{_text(record.request_id)},"trace_id":{_text(record.trace_id)},'
            f'"project_id":{_text(record.project_id)},"key_id":{_text(record.key_id)},'
            f'"rpc":"{record.rpc}","code":"{code}","http_status":{"null" if http_status is None else http_status},'
            f'"duration_ms":{duration_s * 1000:.2f},"bytes_in":{record.bytes_in},"bytes_out":{record.bytes_out},'
            f'"backend":{_text(record.served_by)}{more}{self._tail}'
        )

    def _short(
        self,
        record: RequestRecord,
        level: str,
        code: str,
        http_status: int | None,
        duration_s: float,
        error: str | None,
    ) -> str:
        said = " ".join(str(part) for part in (code, http_status, error) if part is not None)
        return f"{self._time()} [{level}] {record.rpc} {said} {duration_s * 1000:.1f} ms request_id={record.request_id}"

    def _time(self) -> str:
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._prefix}.{int((now - second) * 1000):03d}Z"


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)

"""Logs: one line per event on standard error, JSON or for people, without secrets.

Lines are written by a thread, so that nobody waits for whoever reads them. Standard `logging` goes the same way. An
exception leaves its types and where it was raised, and not its text, which may quote what a caller sent.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final, Literal

import structlog

from mediagate.telemetry.redaction import HIDDEN, redact, redacted
from mediagate.telemetry.requests import CURRENT, RequestLog
from mediagate.telemetry.writer import LineWriter

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LEVEL_VARIABLE: Final = "MEDIAGATE_LOG_LEVEL"
CAUSES_MAX: Final = 5
FRAMES_MAX: Final = 30
TEXT_CHARS_MAX: Final = 500

Format = Literal["json", "console"]
Event = MutableMapping[str, Any]
WRITER: Final = LineWriter()


def configure_logs(
    process: str, *, level: str = "info", format: Format = "json", exception_texts: bool = False
) -> None:
    """Log from `level` up; the environment's `MEDIAGATE_LOG_LEVEL` beats it. Every line carries `process`, a level, a
    time and, in a call, its request id. May be called again. `exception_texts` writes down what exceptions say."""
    least = level_of(level)
    last: list[Any] = (
        [structlog.processors.JSONRenderer(separators=(",", ":"))]
        if format == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _add_request,
        _Exceptions(exception_texts),
        redact,
    ]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=_Lines(),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(process=process)
    _adopt_standard_logging(process, [*shared[1:], *last])
    sys.excepthook = _uncaught


def level_of(configured: str) -> int:
    """The least level that is logged, as standard `logging` counts."""
    return LEVELS.get(os.environ.get(LEVEL_VARIABLE, "").lower(), LEVELS.get(configured, logging.INFO))


def request_log(
    *, level: str = "info", format: Format = "json", also: Callable[[str], None] | None = None
) -> RequestLog:
    """What writes the lines of requests, beside these."""
    least = level_of(level)
    return RequestLog(
        WRITER,
        is_json=format == "json",
        debug=least <= logging.DEBUG,
        info=least <= logging.INFO,
        warning=least <= logging.WARNING,
        also=also,
    )


def flush_logs() -> None:
    """Write what waits; for a process that ends without ceremony."""
    WRITER.flush()


class _Lines:
    """Makes structlog's loggers, which are all the same one."""

    def __call__(self, *_: Any) -> _Lines:
        return self

    def debug(self, line: str) -> None:
        WRITER.write(line)

    info = msg = debug

    def warning(self, line: str) -> None:
        WRITER.write(line, urgent=True)

    error = critical = fatal = exception = warn = failure = warning


class _Exceptions:
    """Turns `exc_info` into `exception`."""

    def __init__(self, with_texts: bool) -> None:
        self._with_texts = with_texts

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        info = event.pop("exc_info", None)
        error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else None)
        if error is None and info:
            error = sys.exc_info()[1]
        if error is not None:
            event["exception"] = "\n".join(described(error, with_text=self._with_texts))
        return event


def described(error: BaseException, *, with_text: bool = False) -> Iterator[str]:
    """An exception and what it came from: types and places, newest last in each, and the texts only where wanted."""
    link: BaseException | None = error
    for number in range(CAUSES_MAX):
        if link is None:
            return
        name = f"{type(link).__module__}.{type(link).__qualname__}".removeprefix("builtins.")
        text = f": {redacted(str(link))[:TEXT_CHARS_MAX]}" if with_text else ""
        yield f"{'caused by ' if number else ''}{name}{text}"
        for frame in traceback.extract_tb(link.__traceback__)[-FRAMES_MAX:]:
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _add_request(_logger: Any, _method: str, event: Event) -> Event:
    record = CURRENT.get()
    if record is not None and record.request_id is not None:
        event.setdefault("request_id", record.request_id)
        if record.trace_id is not None:
            event.setdefault("trace_id", record.trace_id)
    return event


class _Standard(logging.Handler):
    """Lines of libraries. What they interpolate is redacted by its shape; an event may hold no more than that."""

    def __init__(self, process: str, processors: list[Any]) -> None:
        super().__init__()
        self._process = process
        self._processors = processors

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Any = {
                "event": record.getMessage()[:TEXT_CHARS_MAX],
                "logger": record.name,
                "level": record.levelname.lower(),
                "process": self._process,
                "exc_info": record.exc_info,
            }
            for processor in self._processors:
                event = processor(None, record.levelname.lower(), event)
            WRITER.write(event, urgent=True)
        except Exception:
            self.handleError(record)


def _adopt_standard_logging(process: str, processors: list[Any]) -> None:
    handler = _Standard(process, processors)
    handler.addFilter(_is_safe)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _is_safe(record: logging.LogRecord) -> bool:
    """gRPC writes down every header that is not UTF-8, a mistyped key among them. The job engine writes down what its
    jobs are called with, and only ids are, which is all right."""
    return not (record.name.startswith("grpc") and str(record.msg).startswith("Invalid encoding"))


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    text = "; ".join(line.strip() for line in described(error) if not line.startswith("  "))
    structlog.get_logger(__name__).critical(
        "process_failed", error=text or HIDDEN, exc_info=error.with_traceback(trace)
    )
    flush_logs()

"""Traces, for as long as nobody asked for any: spans that are none. `telemetry.otlp` takes their place.

Nothing of OpenTelemetry is imported here, so a process without an OTLP endpoint pays neither time nor memory for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol


class Span(Protocol):
    """Something that lasts. Attributes hold names and codes, never what callers or providers sent."""

    def end(self, outcome: str, *, is_error: bool = False) -> None:
        """It is over, with this outcome."""
        ...

    def note(self, name: str, value: str | int | None) -> None:
        """An attribute."""
        ...


class Tracer(Protocol):
    """Makes spans."""

    def server(self, rpc: str, traceparent: str | None) -> Span:
        """A call that came in, as a child of the caller's span. It stays current in this task until it ends."""
        ...

    def client(self, backend: str, op: str) -> AbstractContextManager[Span]:
        """A call to a provider, within what runs."""
        ...

    def job(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:
        """A job, or a look of one."""
        ...

    def traceparent(self) -> str | None:
        """What continues the current span elsewhere."""
        ...

    def close(self) -> None:
        """Send what was collected."""
        ...


class _NoSpan:
    __slots__ = ()

    def end(self, outcome: str, *, is_error: bool = False) -> None:
        """Nothing."""

    def note(self, name: str, value: str | int | None) -> None:
        """Nothing."""


class _NoContext:
    __slots__ = ()

    def __enter__(self) -> Span:
        return NO_SPAN

    def __exit__(self, *_: object) -> None:
        return None


NO_SPAN: Final[Span] = _NoSpan()
_NO_CONTEXT: Final = _NoContext()
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Trace from now on; None stops it."""
    global _tracer
    _tracer = tracer


def server_span(rpc: str, traceparent: str | None) -> Span:
    """A call that came in."""
    return NO_SPAN if _tracer is None else _tracer.server(rpc, traceparent)


def client_span(backend: str, op: str) -> AbstractContextManager[Span]:
    """A call to a provider."""
    return _NO_CONTEXT if _tracer is None else _tracer.client(backend, op)


@contextmanager
def job_span(name: str, traceparent: str | None = None) -> Iterator[Span]:
    """A job. What is raised inside makes it a failure."""
    if _tracer is None:
        yield NO_SPAN
        return
    with _tracer.job(name, traceparent) as span:
        try:
            yield span
        except Exception as error:
            span.end(type(error).__name__, is_error=True)
            raise


def continued_span(name: str, traceparent: str | None) -> AbstractContextManager[Span]:
    """A part of what somebody else began; nothing where that is not traced."""
    return _NO_CONTEXT if _tracer is None or traceparent is None else job_span(name, traceparent)


def current_traceparent() -> str | None:
    """What continues the current span elsewhere, as W3C's `traceparent`; None where nothing is traced."""
    return None if _tracer is None else _tracer.traceparent()


def carried() -> dict[str, Any]:
    """The same as arguments of a job that shall continue it; none where nothing is traced."""
    traceparent = current_traceparent()
    return {} if traceparent is None else {"traceparent": traceparent}


def close() -> None:
    """Send what was collected, and trace no more."""
    if _tracer is not None:
        _tracer.close()
        use(None)

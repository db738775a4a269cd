"""One request to a backend, seen from outside: counted, timed, in the caller's line and in its trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from mediagate.telemetry import metrics, traces
from mediagate.telemetry.requests import note_call

OK: Final = "ok"
NOT_FOUND: Final = "not_found"
REFUSED: Final = "refused"
REJECTED: Final = "rejected"
RATE_LIMITED: Final = "rate_limited"
FAILED: Final = "failed"
TIMEOUT: Final = "timeout"
UNREACHABLE: Final = "unreachable"
BROKEN: Final = "broken"
CANCELLED: Final = "cancelled"

_account: ContextVar[str | None] = ContextVar("mediagate_account", default=None)


@contextmanager
def of_account(account: str) -> Iterator[None]:
    """Whatever is built inside calls this account."""
    token = _account.set(account)
    try:
        yield
    finally:
        _account.reset(token)


def account_or(name: str) -> str:
    """The account that is being built for; `name` where none is."""
    return _account.get() or name


def outcome_of(status: int) -> str:
    """What a status means, in a word."""
    if status < 400:
        return OK
    if status in (404, 410):
        return NOT_FOUND
    if status in (401, 403):
        return REFUSED
    if status == 429:
        return RATE_LIMITED
    return REJECTED if status < 500 else FAILED


class BackendCall:
    """One attempt. Its outcome is what was said last; an exception that says nothing more is a broken connection."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome: str | None = None

    def answered(self, status: int) -> None:
        """The backend answered."""
        self.outcome = outcome_of(status)


@contextmanager
def backend_call(backend: str, op: str) -> Iterator[BackendCall]:
    """Around one attempt at an account, up to the head of its answer. `op` is the HTTP method or the operation's name:
    never a path, which may hold anything."""
    note_call(backend)
    call, began = BackendCall(), time.perf_counter()
    with traces.client_span(backend, op) as span:
        try:
            yield call
        except Exception:
            call.outcome = call.outcome or BROKEN
            raise
        except BaseException:
            call.outcome = call.outcome or CANCELLED
            raise
        finally:
            outcome = call.outcome or OK
            span.end(outcome, is_error=outcome not in (OK, NOT_FOUND))
            metrics.backend_called(backend, op, outcome, time.perf_counter() - began)

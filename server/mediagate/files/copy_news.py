"""What becomes of copies, heard in every process: whoever waits for one need not ask the database again and again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from mediagate.core.errors import InvalidField, MediagateError, ProviderFailed, ProviderRefused, RateLimited
from mediagate.files.tasks import COPY_CHANNEL
from mediagate.store.database import Database, Transaction

log = structlog.get_logger(__name__)
# PostgreSQL takes 8,000 bytes in all.
_MESSAGE_CHARS_MAX = 1000


async def tell(
    tx: Transaction, file_id: str, account: str | None = None, failure: MediagateError | None = None
) -> None:
    """Say, once this transaction commits, that something became of a file, or of its copy in `account`; `failure` is
    why it was not made."""
    told: dict[str, object] = {"file": file_id, "account": account}
    if failure is not None:
        told["failure"] = {
            "status": failure.http_status,
            "code": failure.code,
            "message": failure.message[:_MESSAGE_CHARS_MAX],
            "retryable": failure.retryable,
            "retry_after_s": failure.retry_after_s,
        }
    await tx.notify(COPY_CHANNEL, json.dumps(told))


class Heard:
    """What is heard of one file, and of its copy in one account."""

    def __init__(self, account: str | None) -> None:
        self._account = account
        self._failure: MediagateError | None = None
        self._something = asyncio.Event()

    def take(self, account: str | None, failure: MediagateError | None) -> None:
        """Something was said."""
        if account in (None, self._account):
            self._failure = failure
        self._something.set()

    async def next(self, within_s: float) -> MediagateError | None:
        """Wait until something is heard, or for so long. Returns why the copy was not made, where that was said."""
        try:
            await asyncio.wait_for(self._something.wait(), max(0.0, within_s))
        except TimeoutError:
            return None
        self._something.clear()
        failure, self._failure = self._failure, None
        return failure


class CopyNews:
    """Listens from the first question on, until it is closed."""

    def __init__(self, db: Database) -> None:
        self._listener = db.listener(COPY_CHANNEL, on_payload=self._take, on_reconnect=self._take_all)
        self._starting: asyncio.Task[None] | None = None
        self._waiting: dict[str, set[Heard]] = {}

    @asynccontextmanager
    async def of(self, file_id: str, account: str | None = None) -> AsyncIterator[Heard]:
        """What is said from here on until the context ends."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._listener.start())
        # Deaf it would still be right, only later.
        await asyncio.wait([self._starting], timeout=1.0)
        heard = Heard(account)
        self._waiting.setdefault(file_id, set()).add(heard)
        try:
            yield heard
        finally:
            waiting = self._waiting[file_id]
            waiting.discard(heard)
            if not waiting:
                del self._waiting[file_id]

    async def close(self) -> None:
        """Listen no more."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._listener.close()

    def _take(self, payload: str) -> None:
        try:
            told = json.loads(payload)
            account, given = told["account"], told.get("failure")
            waiting = self._waiting.get(told["file"], ())
        except (ValueError, TypeError, KeyError):
            log.warning("copy_news_garbled")
            return
        for heard in waiting:
            heard.take(account, None if given is None else _failure(given))

    async def _take_all(self) -> None:
        for waiting in self._waiting.values():
            for heard in waiting:
                heard.take(None, None)


def _failure(told: dict[str, object]) -> MediagateError:
    """What another process raised, as far as it concerns a caller."""
    status, message, code = told["status"], str(told["message"]), str(told["code"])
    wait = told.get("retry_after_s")
    retry_after_s = float(wait) if isinstance(wait, int | float) else None
    if status == RateLimited.http_status:
        return RateLimited(message, code=code, retry_after_s=retry_after_s)
    if isinstance(status, int) and status < 500:
        return InvalidField(message, code=code)
    kind = ProviderFailed if told.get("retryable") else ProviderRefused
    return kind(message, code=code, retry_after_s=retry_after_s)

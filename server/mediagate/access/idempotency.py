"""Calls that a caller may repeat: the key is claimed before any work, and the answer is kept for a day.

A claim is a lease that its holder renews. Whoever finds the lease out takes the call over as its next attempt; from
then on whatever the earlier attempt writes here is refused. The parameters' fingerprint is written down before the
object that they describe can be: where a lost call has none, it made nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import IdempotencyInProgress, IdempotencyKeyReused
from mediagate.core.idempotency import KeyedCall, Reply
from mediagate.core.objects import Principal
from mediagate.store.database import Database
from mediagate.store.idempotency import IdempotencyLookup, IdempotencyRepository

log = structlog.get_logger(__name__)
KEPT = timedelta(hours=24)
# How long a retry waits for a process that died: long enough for one that is only busy to say that it lives.
LEASE = timedelta(seconds=5)
RENEW_S = 1.5
# Less than the edge gives a call, and than a body may stand still.
WAIT_S = 45.0
POLL_S_MIN, POLL_S_MAX = 0.05, 0.5
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Gives every key of an owner, or of one of its end users, to one call at a time."""

    db: Database
    calls: IdempotencyLookup
    clock: Clock
    wait_s: float = WAIT_S
    renew_s: float = RENEW_S

    async def claim(
        self, who: Principal, key: str, method: str, object_id: str | None, fingerprint: bytes | None = None
    ) -> KeyedCall:
        """The call that `key` stands for: one with a reply has been answered, any other is now the caller's to run.

        Waits while another holds it, without a claim on anything. `object_id` is reserved for what a new call makes;
        `fingerprint` may be given later by `seal`. Raises `IdempotencyKeyReused`, and `IdempotencyInProgress` where it
        takes longer than a call may wait.
        """
        now = self.clock.now()
        new = KeyedCall(who.acts_as, key, method, object_id, 1, fingerprint, None, now + LEASE, now + KEPT)
        waited_s, pause_s = 0.0, POLL_S_MIN
        while True:
            async with self.db.reading() as connection:
                if await IdempotencyRepository(connection).claim(new, now=now):
                    return new
            while (found := await self.calls.get(who.acts_as, key)) is not None:
                now = self.clock.now()
                if found.expires_at <= now and (found.reply is not None or found.lease_expires_at <= now):
                    await self._forget(found, now)
                    continue
                _check_same(found, method, fingerprint)
                if found.reply is not None:
                    return found
                if found.lease_expires_at <= now and (taken := await self._take_over(found, now)):
                    return taken
                if waited_s >= self.wait_s:
                    raise IdempotencyInProgress
                await asyncio.sleep(pause_s)
                waited_s, pause_s = waited_s + pause_s, min(POLL_S_MAX, pause_s * 1.5)
            now = self.clock.now()
            new = replace(new, lease_expires_at=now + LEASE, expires_at=now + KEPT)

    async def _forget(self, call: KeyedCall, now: datetime) -> None:
        async with self.db.reading() as connection:
            await IdempotencyRepository(connection).forget(call.owner_id, call.key, now=now)

    async def _take_over(self, call: KeyedCall, now: datetime) -> KeyedCall | None:
        until = now + LEASE
        async with self.db.reading() as connection:
            if not await IdempotencyRepository(connection).take_over(call, now=now, until=until):
                return None
        log.info("keyed_call_taken_over", method=call.method, attempt=call.attempt + 1)
        return replace(call, attempt=call.attempt + 1, lease_expires_at=until)

    @asynccontextmanager
    async def holding(self, call: KeyedCall) -> AsyncIterator[None]:
        """Renew the lease of a claimed call while the block works on it.

        Where another attempt has the call by now, the block is cancelled and this raises `IdempotencyInProgress`.
        """
        holder = asyncio.current_task()
        assert holder is not None
        renewal = asyncio.create_task(self._renew(call, holder), name="renew idempotency lease")
        try:
            try:
                yield
            finally:
                renewal.cancel()
                await asyncio.wait([renewal])
        except asyncio.CancelledError:
            if not renewal.cancelled() and holder.uncancel() == 0:
                raise IdempotencyInProgress from None
            raise

    async def _renew(self, call: KeyedCall, holder: asyncio.Task[Any]) -> None:
        held = True
        while held:
            await asyncio.sleep(self.renew_s)
            try:
                held = await self._change(call, lease_expires_at=self.clock.now() + LEASE)
            except Exception as error:
                log.warning("lease_not_renewed", method=call.method, error=type(error).__name__)
        holder.cancel()

    async def seal(self, call: KeyedCall, fingerprint: bytes) -> None:
        """Write the parameters down; to be called before anything becomes true. Raises `IdempotencyKeyReused` where an
        earlier attempt had others, `IdempotencyInProgress` where another attempt has the call by now."""
        if call.fingerprint not in (None, fingerprint):
            raise IdempotencyKeyReused
        if not await self._change(call, fingerprint=fingerprint):
            raise IdempotencyInProgress

    async def reserve(self, call: KeyedCall, object_id: str) -> KeyedCall:
        """Give a call another id for what it makes. Raises `IdempotencyInProgress` as `seal` does."""
        if not await self._change(call, object_id=object_id):
            raise IdempotencyInProgress
        return replace(call, object_id=object_id)

    async def _change(self, call: KeyedCall, **values: object) -> bool:
        async with self.db.reading() as connection:
            return await IdempotencyRepository(connection).change(call, **values)

    async def finish(self, call: KeyedCall, fingerprint: bytes, reply: Reply) -> None:
        """Keep the answer. Where another attempt has the call by now, that one finds what this one made."""
        async with self.db.reading() as connection:
            await IdempotencyRepository(connection).finish(call, fingerprint, reply)

    async def release(self, call: KeyedCall) -> None:
        """Free the key: the call failed and left nothing."""
        async with self.db.reading() as connection:
            await IdempotencyRepository(connection).release(call)

    async def let_go(self, call: KeyedCall) -> None:
        """End the lease of a call of which nobody knows whether it took effect: the next attempt looks."""
        await self._change(call, lease_expires_at=self.clock.now())


def _check_same(found: KeyedCall, method: str, fingerprint: bytes | None) -> None:
    if found.method != method:
        raise IdempotencyKeyReused
    if fingerprint is not None and found.fingerprint not in (None, fingerprint):
        raise IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class SweepKeys:
    """Forget keys whose day is over."""

    db: Database
    clock: Clock

    async def run(self) -> int:
        """Handle one batch; returns how many there were, so that the caller can go on until there are none."""
        async with self.db.reading() as connection:
            return await IdempotencyRepository(connection).sweep(now=self.clock.now(), limit=BATCH)

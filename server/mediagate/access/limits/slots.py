"""How many calls of one scope run at once, over all processes.

A process writes down how many slots it holds, as a number and not as a difference, so that whatever was lost heals with
the next write. A process that does not say every second that it lives holds nothing once five have passed. Under a
small limit a slot is given back as soon as it is free; under a large one some stay here for the next call.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import structlog

from mediagate.access.limits.exchange import NOBODY, Exchange, Proposal
from mediagate.access.limits.refusals import Measure, parallel_refusal
from mediagate.store.limits import StateKey

log = structlog.get_logger(__name__)
WAIT_S: Final = 0.3
"""How long a call waits for a slot: one that has just been freed may not be known everywhere."""
POLL_S: Final = 0.05
SPARE: Final = 20
"""At most this part of the limit stays here unused."""
TRIM_S: Final = 2.0
RENEW_S: Final = 1.0
LEASE_S: Final = 5.0
WAITING_MAX: Final = 1000


class Holder:
    """This process, as the others see it."""

    def __init__(self, exchange: Exchange, on_lapse: Callable[[], None]) -> None:
        """`on_lapse` is to write down again what is held: the others may have taken it for free."""
        self.id = uuid.uuid4().hex
        self._exchange = exchange
        self._on_lapse = on_lapse
        self._renewed = -LEASE_S
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to live, where that has not begun; to be awaited before anything is held."""
        if self._task is None:
            await self._renew()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="limit holder")

    async def _renew(self) -> None:
        await self._exchange.states.renew(self.id, LEASE_S)
        now = self._exchange.monotonic()
        if now - self._renewed > LEASE_S - RENEW_S:
            self._on_lapse()
        self._renewed = now

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._renew()
            except Exception as error:
                log.warning("limit_holder_not_renewed", error=type(error).__name__)

    async def close(self) -> None:
        """Give everything back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            try:
                await self._exchange.states.leave(self.id)
            except Exception as error:
                log.warning("limit_holder_not_gone", error=type(error).__name__)


class SlotMeter:
    """The slots of one scope."""

    def __init__(self, key: StateKey, limit: int, exchange: Exchange, holder: Holder) -> None:
        self.key = key
        self.limit = limit
        self._exchange = exchange
        self._holder = holder
        self._in_use = 0
        self._granted = 0
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._needed = 0
        self._spare = 0
        self._proposed = 0
        self._idle_least = 0
        self._trims = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost with it."""
        return not (self._in_use or self._granted or self._waiting or self._trims)

    @property
    def in_use(self) -> int:
        """Calls of this process that hold a slot."""
        return self._in_use

    @property
    def has_free(self) -> bool:
        """Whether a slot is held here that no call has."""
        return self._in_use < self._granted and not self._waiting

    def use(self) -> None:
        """Take such a slot."""
        self._in_use += 1
        idle = self._granted - self._in_use
        if idle < self._idle_least:
            self._idle_least = idle

    def take(self) -> asyncio.Future[None] | None:
        """Hold a slot: at once, or when the future is done. It may be refused with `RateLimited`."""
        if self.has_free:
            self.use()
            return None
        if len(self._waiting) >= WAITING_MAX:
            raise self._refusal()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, self._exchange.monotonic() + WAIT_S))
        self._exchange.mark(self)
        return future

    def release(self) -> None:
        """Hold one slot less."""
        self._in_use -= 1
        self._hand_out()
        idle = self._granted - self._in_use
        if idle > self._spare_most:
            self._exchange.mark(self)
        elif idle > 0 and not self._trims:
            self._trims, self._idle_least = True, idle
            asyncio.get_running_loop().call_later(TRIM_S, self._trim)

    def assert_again(self) -> None:
        """Write down what is held, where anything is, whatever was written before."""
        if self._in_use:
            self._exchange.forget(self.key)
            self._exchange.mark(self)

    @property
    def _spare_most(self) -> int:
        return max(0, self.limit) // SPARE

    def _trim(self) -> None:
        """Give back what nobody needed for a while."""
        self._trims = False
        if self._granted > self._in_use:
            self._exchange.mark(self)

    def _hand_out(self) -> None:
        while self._waiting and self._in_use < self._granted:
            future, _ = self._waiting.popleft()
            if not future.done():
                self.use()
                future.set_result(None)

    def begin(self) -> None:
        self._waiting = deque(entry for entry in self._waiting if not entry[0].done())
        idle = self._granted - self._in_use
        # More are taken than are waited for where many come.
        ahead = max(1, self._in_use) if self._waiting else idle - max(0, self._idle_least)
        self._needed = self._in_use + len(self._waiting)
        self._spare = max(0, min(ahead, self._spare_most))
        # Until it is settled, nothing that may be given back is given out.
        self._granted = self._in_use

    def propose(self, stored: Mapping[str, Any] | None, now_s: float, gone: Collection[str]) -> Proposal:
        written: Mapping[str, int] = (stored or {}).get("held", {})
        others = {name: count for name, count in written.items() if name != self._holder.id and name not in gone}
        free = max(0, self.limit) - sum(others.values())
        self._proposed = max(self._in_use, min(self._needed + self._spare, free))
        held = {**others, self._holder.id: self._proposed} if self._proposed else others
        is_short = self._proposed < self._needed
        return Proposal(
            {"held": held} if held != written else None, is_short, frozenset(others) if is_short else NOBODY
        )

    def settle(self, now_s: float) -> None:
        self._granted = self._proposed
        self._hand_out()
        self._refuse_late()
        if self._waiting:
            self._exchange.later(self, POLL_S)
        idle = self._granted - self._in_use
        self._idle_least = idle
        if idle > self._spare_most:
            self._exchange.mark(self)
        elif idle > 0 and not self._trims:
            self._trims = True
            asyncio.get_running_loop().call_later(TRIM_S, self._trim)

    def _refuse_late(self) -> None:
        now = self._exchange.monotonic()
        while self._waiting and (self._waiting[0][1] <= now or self.limit <= 0):
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._refusal())

    def fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(error)
        # What was written is not known, so it is written again.
        self._exchange.later(self, RENEW_S)

    def _refusal(self) -> Exception:
        return parallel_refusal(Measure(self.key[1]), self.key[0], self.limit)

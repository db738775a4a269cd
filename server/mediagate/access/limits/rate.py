"""What one scope may take in a minute: requests, uploads or bytes.

A chunk that was taken ahead counts as if it were used at the end of the second for which it may be, so no 60 seconds
ever have more than the limit. What is left of it goes back. Small limits are taken one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mediagate.access.limits.exchange import Exchange, Proposal
from mediagate.access.limits.refusals import Measure, rate_refusal
from mediagate.core.errors import RateLimited
from mediagate.core.rates import Piece, Window
from mediagate.store.limits import StateKey

LEASE_S: Final = 1.0
PATIENCE_S: Final = 0.2
CHUNKS: Final = 50
"""A chunk is at most this part of the limit: below it nothing is taken ahead."""
REFUSED_S: Final = 0.25
"""For how long a refusal is repeated without a look."""
RETRY_S: Final = 1.0

Pieces = tuple[Piece, ...]


@dataclass(slots=True)
class _Ask:
    amount: int
    answer: asyncio.Future[Pieces]


@dataclass(slots=True)
class _Batch:
    """What is being settled."""

    asks: list[_Ask]
    debt: int
    returns: list[tuple[Pieces, int]]
    ahead: int


@dataclass(slots=True)
class _Plan:
    """What the last proposal would make of it."""

    granted: list[Pieces] = field(default_factory=list)
    lease: Pieces = ()
    leased: int = 0
    room: int = 0
    room_at_s: float = 0.0
    full_at_s: float = 0.0


class Pace:
    """How many units are taken in the time of a lease, by the last two such times."""

    def __init__(self) -> None:
        self._time = self._before = self._now = 0

    def note(self, amount: int, now_s: float) -> None:
        """So many were asked for."""
        self._turn(now_s)
        self._now += amount

    def expected(self, now_s: float) -> int:
        """How many there may be until the lease is over. Who comes once in a while is expected with one call alone."""
        self._turn(now_s)
        return max(self._before, self._now)

    def _turn(self, now_s: float) -> None:
        time = int(now_s / LEASE_S)
        if time != self._time:
            self._before = self._now if time == self._time + 1 else 0
            self._time, self._now = time, 0


class RateMeter:
    """One measure of one scope."""

    def __init__(self, key: StateKey, limit: int, exchange: Exchange) -> None:
        self.key = key
        self.limit = limit
        self._exchange = exchange
        self._asks: list[_Ask] = []
        self._debt = 0
        self._returns: list[tuple[Pieces, int]] = []
        self._held = 0
        self.lease: Pieces = ()
        self._lease_ends = self._refused_until = 0.0
        self._pace = Pace()
        self._room, self._room_at_s, self._full_at_s = limit, 0.0, 0.0
        self._batch = _Batch([], 0, [], 0)
        self._plan = _Plan()

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost with it."""
        now = self._exchange.monotonic()
        waiting = self._asks or self._batch.asks or self._debt or self._returns or self._held
        return not waiting and now > self._lease_ends + 60

    @property
    def remaining(self) -> int:
        """Units that are left, as far as this process knows."""
        return min(self.limit, self._room + self._held)

    @property
    def reset_s(self) -> float:
        """Until everything is left again."""
        return max(0.0, self._full_at_s - self._exchange.now_s())

    def require(self) -> None:
        """Raises `RateLimited` where it has just been found that nothing is left."""
        if self._refused_until > self._exchange.monotonic():
            raise self._refusal()

    def holds(self, amount: int, now_s: float) -> bool:
        """Whether so many units are held here. `now_s` is the monotonic clock."""
        return 0 < self._held >= amount and now_s < self._lease_ends

    def use(self, amount: int, now_s: float) -> None:
        """Take units that are held here; they are pieces of `lease`."""
        self._pace.note(amount, now_s)
        self._held -= amount

    def take(self, amount: int) -> Pieces | asyncio.Future[Pieces]:
        """Count `amount` units: at once where they are held here, else when the future is done. An amount of 0 asks
        whether anything is left. Raises `RateLimited`, or sets it."""
        self.require()
        now = self._exchange.monotonic()
        if self.holds(amount, now):
            self.use(amount, now)
            return self.lease
        self._pace.note(amount, now)
        ask = _Ask(amount, asyncio.get_running_loop().create_future())
        self._asks.append(ask)
        self._exchange.mark(self)
        return ask.answer

    def charge(self, amount: int) -> None:
        """Count units that have been used already, whatever is left."""
        if self._held >= amount and self._exchange.monotonic() < self._lease_ends:
            self._held -= amount
        elif amount > 0:
            self._debt += amount
            self._exchange.mark(self)

    def give_back(self, pieces: Pieces, amount: int) -> None:
        """Count units no longer that were taken and not used."""
        if amount > 0:
            self._returns.append((pieces, amount))
            self._exchange.mark(self)

    def begin(self) -> None:
        asks = [ask for ask in self._asks if not ask.answer.cancelled()]
        asked = sum(ask.amount for ask in asks)
        # Twice as many, since what is left over goes back and what is short makes calls wait.
        ahead = 2 * (self._pace.expected(self._exchange.monotonic()) - asked)
        returns = [*self._returns, (self.lease, self._held)] if self._held else self._returns
        self._batch = _Batch(asks, self._debt, returns, ahead)
        self._asks, self._returns, self._debt, self._held = [], [], 0, 0

    def propose(self, stored: Mapping[str, Any] | None, now_s: float, gone: Collection[str]) -> Proposal:
        batch, window = self._batch, Window.of(stored, self.limit, now_s)
        self._plan = plan = _Plan()
        for pieces, amount in batch.returns:
            window.give_back(pieces, amount)
        if batch.debt:
            window.take(batch.debt, now_s)
        for ask in batch.asks:
            if window.room == 0:
                break
            plan.granted.append(window.take(ask.amount, now_s))
        is_short = len(plan.granted) < len(batch.asks)
        if batch.asks and not is_short:
            plan.leased = max(0, min(batch.ahead, self.limit // CHUNKS, window.room // 4))
            plan.lease = window.take(plan.leased, now_s + LEASE_S)
        plan.room, plan.room_at_s, plan.full_at_s = window.room, window.room_at_s(), window.full_at_s()
        changed = batch.returns or batch.debt or plan.leased or any(plan.granted)
        return Proposal(window.stored(now_s) if changed else None, is_short)

    def settle(self, now_s: float) -> None:
        batch, plan, now = self._batch, self._plan, self._exchange.monotonic()
        self._batch = _Batch([], 0, [], 0)
        self._room, self._room_at_s, self._full_at_s = plan.room, plan.room_at_s, plan.full_at_s
        if plan.leased:
            self.lease, self._held = plan.lease, plan.leased
            # From when the database was asked, which was earlier.
            self._lease_ends = now + LEASE_S - max(0.0, self._exchange.now_s() - now_s)
            # A call that comes meanwhile takes along what is left over.
            asyncio.get_running_loop().call_later(LEASE_S + PATIENCE_S, self._end_lease)
        for ask, pieces in zip(batch.asks, plan.granted, strict=False):
            if ask.answer.cancelled():
                self.give_back(pieces, ask.amount)
            elif not ask.answer.done():
                ask.answer.set_result(pieces)
        refused = batch.asks[len(plan.granted) :]
        if refused:
            self._refused_until = now + min(REFUSED_S, max(0.0, plan.room_at_s - now_s))
            for ask in refused:
                if not ask.answer.done():
                    ask.answer.set_exception(self._refusal())

    def _end_lease(self) -> None:
        if self._held and self._exchange.monotonic() >= self._lease_ends:
            self._exchange.mark(self)

    def fail(self, error: Exception) -> None:
        batch, self._batch = self._batch, _Batch([], 0, [], 0)
        for ask in batch.asks:
            if not ask.answer.done():
                ask.answer.set_exception(error)
        if batch.debt or batch.returns:
            self._debt += batch.debt
            self._returns = batch.returns + self._returns
            self._exchange.later(self, RETRY_S)

    def _refusal(self) -> RateLimited:
        measure = Measure(self.key[1])
        return rate_refusal(measure, self.key[0], self.limit, max(0.0, self._room_at_s - self._exchange.now_s()))

"""Whether a call may begin: one question for all limits of its key, its user and its team."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mediagate.access.limits.exchange import Exchange, States
from mediagate.access.limits.rate import Pieces, RateMeter
from mediagate.access.limits.refusals import Measure
from mediagate.access.limits.slots import Holder, SlotMeter
from mediagate.core.access import Scope
from mediagate.core.errors import RateLimited
from mediagate.core.objects import Principal
from mediagate.core.rates import duration_text
from mediagate.store.limits import StateKey

PLANS_MAX: Final = 10_000
PRUNE_S: Final = 60.0
STEP_BYTES_MIN: Final = 4 << 20
"""Bytes on their way are counted in steps of this size at least."""
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Use:
    """What a call uses. `is_request` unless it has been counted already; `moves_bytes` for content in either direction,
    `declared_bytes` where its length is known beforehand; `holds` a slot, which watching does not."""

    is_request: bool = True
    is_upload: bool = False
    is_transfer: bool = False
    moves_bytes: bool = False
    declared_bytes: int | None = None
    holds: bool = True


@dataclass(frozen=True, slots=True)
class _Scoped:
    """The meters of one scope, None where it has no such limit."""

    requests: RateMeter | None
    uploads: RateMeter | None
    bytes: RateMeter | None
    slots: SlotMeter | None
    upload_slots: SlotMeter | None

    @property
    def has_any(self) -> bool:
        return any((self.requests, self.uploads, self.bytes, self.slots, self.upload_slots))


@dataclass(frozen=True, slots=True)
class _Plan:
    """The meters of one caller, the key's first, the team's last: what the key refuses costs the team nothing."""

    scopes: tuple[Scope, ...] = ()
    scoped: tuple[_Scoped, ...] = ()
    requests: tuple[RateMeter, ...] = ()
    uploads: tuple[RateMeter, ...] = ()
    bytes: tuple[RateMeter, ...] = ()

    @classmethod
    def of(cls, scopes: tuple[Scope, ...], scoped: Iterable[_Scoped]) -> _Plan:
        limited = tuple(one for one in scoped if one.has_any)
        return cls(
            scopes,
            limited,
            tuple(one.requests for one in limited if one.requests),
            tuple(one.uploads for one in limited if one.uploads),
            tuple(one.bytes for one in limited if one.bytes),
        )


class Admission:
    """A call that was let in. To be released when it ends, however it ends; once more does no harm."""

    __slots__ = ("_charged", "_moved", "_plan", "_slots", "_step", "_taken", "_use")

    def __init__(self, plan: _Plan, use: Use) -> None:
        self._plan = plan
        self._use = use
        self._slots: list[SlotMeter] = []
        self._taken: list[tuple[RateMeter, Pieces]] = []
        self._charged = use.declared_bytes or 0
        self._moved = 0
        self._step = max(STEP_BYTES_MIN, min((meter.limit for meter in plan.bytes), default=0) // 100)

    def hold(self, meter: SlotMeter) -> None:
        """Give this slot back at the end."""
        self._slots.append(meter)

    def took(self, meter: RateMeter, pieces: Pieces) -> None:
        """These bytes were counted beforehand."""
        self._taken.append((meter, pieces))

    def moved(self, amount: int) -> None:
        """So many bytes have passed, either way."""
        if self._plan.bytes and self._use.moves_bytes:
            self._moved += amount
            if self._moved - self._charged >= self._step:
                self._charge(self._moved - self._charged)

    def will_move(self, amount: int) -> None:
        """So many bytes will pass, as it turns out: they are counted at once, and stay so if fewer do."""
        if amount > self._charged and self._use.moves_bytes:
            self._charge(amount - self._charged)

    def _charge(self, amount: int) -> None:
        self._charged += amount
        for meter in self._plan.bytes:
            meter.charge(amount)

    def headers(self) -> Headers:
        """The nearest limits of this call, as response headers."""
        named = [("requests", self._plan.requests)]
        if self._use.is_upload:
            named.append(("uploads", self._plan.uploads))
        if self._use.moves_bytes:
            named.append(("bytes", self._plan.bytes))
        return tuple(header for name, meters in named if meters for header in _headers(name, meters))

    def release(self) -> None:
        """The call is over: free its slots, count what it has moved beyond what was counted, and give back what was
        declared and never came."""
        slots, self._slots = self._slots, []
        for meter in slots:
            meter.release()
        if self._moved > self._charged:
            self._charge(self._moved - self._charged)
        unused = (self._use.declared_bytes or 0) - self._moved
        taken, self._taken = self._taken, []
        for rate, pieces in taken:
            rate.give_back(pieces, unused)


class _Free(Admission):
    """Of a caller without limits."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_Plan(), Use())


FREE: Final[Admission] = _Free()


class Limits:
    """The limits of all callers of this process. Those of a caller without any cost nothing, not even a look."""

    def __init__(self, states: States, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.exchange = Exchange(states, monotonic)
        self._holder = Holder(self.exchange, self._assert_slots)
        self._plans: OrderedDict[str, _Plan] = OrderedDict()
        self._rates: dict[StateKey, RateMeter] = {}
        self._slots: dict[StateKey, SlotMeter] = {}
        self._pruned_s = monotonic()

    async def admit(self, who: Principal, use: Use) -> Admission:
        """Count one call. Raises `RateLimited` where any limit of the caller has no room, and then counts nothing;
        `Unavailable` where that cannot be known."""
        if not who.scopes:
            return FREE
        plan = self._plan(who)
        if not plan.scoped:
            return FREE
        admission = Admission(plan, use)
        try:
            await self._take(admission, plan, use)
        except RateLimited as error:
            error.headers = admission.headers()
            raise
        return admission

    def has_parallel_limit(self, who: Principal) -> bool:
        """Whether it matters when a call of this caller ends."""
        return any(scope.policy.parallel_requests is not None for scope in who.scopes)

    async def _take(self, admission: Admission, plan: _Plan, use: Use) -> None:
        taking = _Taking(use)
        try:
            for scoped in plan.scoped:
                slots = taking.slots_of(scoped)
                if slots:
                    await self._holder.start()
                await taking.take(scoped, slots)
        except BaseException:
            taking.undo()
            raise
        taking.hand_over(admission)

    def _plan(self, who: Principal) -> _Plan:
        """The meters of a caller; made anew when its policies have been read anew and may have changed."""
        id_ = who.key_id or who.owner_id
        plan = self._plans.get(id_)
        if plan is None or plan.scopes is not who.scopes:
            self._prune()
            plan = self._plans[id_] = _Plan.of(who.scopes, map(self._meters, reversed(who.scopes)))
            self._plans.move_to_end(id_)
            if len(self._plans) > PLANS_MAX:
                self._plans.popitem(last=False)
        return plan

    def _meters(self, scope: Scope) -> _Scoped:
        return _Scoped(
            self._rate_meter(scope, Measure.REQUESTS),
            self._rate_meter(scope, Measure.UPLOADS),
            self._rate_meter(scope, Measure.BYTES),
            self._slot_meter(scope, Measure.PARALLEL_REQUESTS),
            self._slot_meter(scope, Measure.PARALLEL_UPLOADS),
        )

    def _rate_meter(self, scope: Scope, measure: Measure) -> RateMeter | None:
        limit = getattr(scope.policy, measure.value)
        if limit is None:
            return None
        key = (f"{scope.kind}:{scope.id}", measure.value)
        meter = self._rates.get(key)
        if meter is None:
            meter = self._rates[key] = RateMeter(key, int(limit), self.exchange)
        meter.limit = int(limit)
        return meter

    def _slot_meter(self, scope: Scope, measure: Measure) -> SlotMeter | None:
        limit = getattr(scope.policy, measure.value)
        if limit is None:
            return None
        key = (f"{scope.kind}:{scope.id}", measure.value)
        meter = self._slots.get(key)
        if meter is None:
            meter = self._slots[key] = SlotMeter(key, int(limit), self.exchange, self._holder)
        meter.limit = int(limit)
        return meter

    def _prune(self) -> None:
        """Drop the meters of callers that have not come for a while, with the plans that name them."""
        now = self.exchange.monotonic()
        if now - self._pruned_s < PRUNE_S:
            return
        self._pruned_s = now
        idle = [key for key, meter in self._rates.items() if meter.is_idle]
        idle_slots = [key for key, meter in self._slots.items() if meter.is_idle]
        for key in idle:
            del self._rates[key]
            self.exchange.forget(key)
        for key in idle_slots:
            del self._slots[key]
            self.exchange.forget(key)
        if idle or idle_slots:
            self._plans.clear()

    def _assert_slots(self) -> None:
        for meter in self._slots.values():
            meter.assert_again()

    async def close(self) -> None:
        """Give everything back."""
        await self.exchange.idle()
        await self._holder.close()


class _Taking:
    """What one call takes, scope by scope: what a scope refuses has cost those behind it nothing."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._slots: list[tuple[SlotMeter, asyncio.Future[None] | None]] = []
        self._counted: list[tuple[RateMeter, int, Pieces | asyncio.Future[Pieces]]] = []

    def slots_of(self, scoped: _Scoped) -> list[SlotMeter]:
        """The slots that the call needs here."""
        needed = (scoped.slots if self._use.holds else None, scoped.upload_slots if self._use.is_transfer else None)
        return [slot for slot in needed if slot is not None]

    def _rates_of(self, scoped: _Scoped) -> list[tuple[RateMeter, int]]:
        needed = (
            (scoped.requests if self._use.is_request else None, 1),
            (scoped.uploads if self._use.is_upload else None, 1),
            (scoped.bytes if self._use.moves_bytes else None, self._use.declared_bytes or 0),
        )
        return [(meter, amount) for meter, amount in needed if meter is not None]

    async def take(self, scoped: _Scoped, slots: Sequence[SlotMeter]) -> None:
        """Take everything of one scope: slots first, since who waits for one must not use up what others may have.
        Raises `RateLimited`."""
        rates = self._rates_of(scoped)
        for rate, _ in rates:
            rate.require()
        for slot in slots:
            self._slots.append((slot, slot.take()))
        await _all([future for _, future in self._slots[-len(slots) :]] if slots else [])
        for rate, amount in rates:
            self._counted.append((rate, amount, rate.take(amount)))
        await _all([answer for _, _, answer in self._counted[-len(rates) :]] if rates else [])

    def undo(self) -> None:
        """Give back what was taken before a refusal, or before the caller went away."""
        for slot, future in self._slots:
            if future is None or _has_come(future):
                slot.release()
        for rate, amount, answer in self._counted:
            if not isinstance(answer, asyncio.Future):
                rate.give_back(answer, amount)
            elif _has_come(answer):
                rate.give_back(answer.result(), amount)

    def hand_over(self, admission: Admission) -> None:
        """Leave it to the call, which has begun."""
        for slot, _ in self._slots:
            admission.hold(slot)
        for rate, amount, answer in self._counted:
            if amount and rate.key[1] == Measure.BYTES:
                admission.took(rate, answer.result() if isinstance(answer, asyncio.Future) else answer)


async def _all(waits: Iterable[object]) -> None:
    """Wait for what is not held here. Raises the first refusal."""
    futures = [wait for wait in waits if isinstance(wait, asyncio.Future)]
    if futures:
        await asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION)
    refusals = [future.exception() for future in futures if future.done()]
    for refusal in refusals:
        if refusal is not None:
            raise refusal


def _has_come(future: asyncio.Future[Any]) -> bool:
    """Whether what was waited for is ours; what is still waited for is not wanted any longer."""
    return not future.cancel() and not future.cancelled() and future.exception() is None


def _headers(name: str, meters: Sequence[RateMeter]) -> Headers:
    nearest = min(meters, key=lambda meter: meter.remaining)
    return (
        (f"x-ratelimit-limit-{name}", str(nearest.limit)),
        (f"x-ratelimit-remaining-{name}", str(max(0, nearest.remaining))),
        (f"x-ratelimit-reset-{name}", duration_text(nearest.reset_s)),
    )

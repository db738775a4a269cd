"""Whether a call may begin: one question for all limits of its key, its user and its team."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
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
FAR: Final = 100_000
"""A limit of so many calls a minute is told of from when less than half of it is left. Any header at all costs a reply
a tenth of what GetFile takes (measured)."""
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

    @property
    def kind(self) -> tuple[bool, ...]:
        """All but the length."""
        return self.is_request, self.is_upload, self.is_transfer, self.moves_bytes, self.holds


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

    def slots_of(self, use: Use) -> list[SlotMeter]:
        """The slots that a call needs here."""
        needed = (self.slots if use.holds else None, self.upload_slots if use.is_transfer else None)
        return [slot for slot in needed if slot is not None]

    def counts_of(self, use: Use) -> list[RateMeter]:
        """What counts a call here."""
        needed = (self.requests if use.is_request else None, self.uploads if use.is_upload else None)
        return [rate for rate in needed if rate is not None]

    def bytes_of(self, use: Use) -> list[RateMeter]:
        """What counts its bytes."""
        return [self.bytes] if use.moves_bytes and self.bytes is not None else []


@dataclass(frozen=True, slots=True)
class _Needs:
    """The meters of all scopes that calls of one kind need."""

    slots: tuple[SlotMeter, ...]
    counts: tuple[RateMeter, ...]
    bytes: tuple[RateMeter, ...]

    def take(self, amount: int, now_s: float) -> bool:
        """Take everything at once where all of it is held here: nearly always, under large limits."""
        for slot in self.slots:
            if not slot.has_free:
                return False
        for rate in self.counts:
            if not rate.holds(1, now_s):
                return False
        for rate in self.bytes:
            if not rate.holds(amount, now_s):
                return False
        for slot in self.slots:
            slot.use()
        for rate in self.counts:
            rate.use(1, now_s)
        for rate in self.bytes:
            rate.use(amount, now_s)
        return True


@dataclass(frozen=True, slots=True)
class _Plan:
    """The meters of one caller, the key's first, the team's last: what the key refuses costs the team nothing."""

    scopes: tuple[Scope, ...] = ()
    scoped: tuple[_Scoped, ...] = ()
    requests: tuple[RateMeter, ...] = ()
    uploads: tuple[RateMeter, ...] = ()
    bytes: tuple[RateMeter, ...] = ()
    needs: dict[tuple[bool, ...], _Needs] = field(default_factory=dict)

    def needs_of(self, use: Use) -> _Needs:
        """Everything that a call needs."""
        found = self.needs.get(use.kind)
        if found is None:
            found = self.needs[use.kind] = _Needs(
                tuple(slot for scoped in self.scoped for slot in scoped.slots_of(use)),
                tuple(rate for scoped in self.scoped for rate in scoped.counts_of(use)),
                tuple(rate for scoped in self.scoped for rate in scoped.bytes_of(use)),
            )
        return found

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
        self._slots: tuple[SlotMeter, ...] = ()
        self._taken: tuple[tuple[RateMeter, Pieces], ...] = ()
        self._charged = use.declared_bytes or 0
        self._moved = 0
        self._step = STEP_BYTES_MIN
        if use.moves_bytes and plan.bytes:
            self._step = max(STEP_BYTES_MIN, min(meter.limit for meter in plan.bytes) // 100)

    def has(self, slots: tuple[SlotMeter, ...], taken: tuple[tuple[RateMeter, Pieces], ...]) -> None:
        """It holds these slots, and these bytes were counted beforehand."""
        self._slots, self._taken = slots, taken

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
        headers = _headers("requests", self._plan.requests, far=FAR)
        if self._use.is_upload:
            headers += _headers("uploads", self._plan.uploads, far=FAR)
        if self._use.moves_bytes:
            headers += _headers("bytes", self._plan.bytes)
        return headers

    def release(self) -> None:
        """The call is over: free its slots, count what it has moved beyond what was counted, and give back what was
        declared and never came."""
        slots, self._slots = self._slots, ()
        for meter in slots:
            meter.release()
        if self._moved > self._charged:
            self._charge(self._moved - self._charged)
        unused = (self._use.declared_bytes or 0) - self._moved
        taken, self._taken = self._taken, ()
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
        admission, needs = Admission(plan, use), plan.needs_of(use)
        if needs.take(use.declared_bytes or 0, self.exchange.monotonic()):
            admission.has(needs.slots, tuple((rate, rate.lease) for rate in needs.bytes))
            return admission
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
                if scoped.slots_of(use):
                    await self._holder.start()
                await taking.take(scoped)
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

    async def take(self, scoped: _Scoped) -> None:
        """Take everything of one scope: slots first, since who waits for one must not use up what others may have.
        Raises `RateLimited`."""
        amount = self._use.declared_bytes or 0
        rates = [(rate, 1) for rate in scoped.counts_of(self._use)]
        rates += [(rate, amount) for rate in scoped.bytes_of(self._use)]
        for rate, _ in rates:
            rate.require()
        slots = [(slot, slot.take()) for slot in scoped.slots_of(self._use)]
        self._slots += slots
        await _all(future for _, future in slots)
        counted = []
        for rate, units in rates:
            counted.append((rate, units, rate.take(units)))
            self._counted.append(counted[-1])
        await _all(answer for _, _, answer in counted)

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
        admission.has(
            tuple(slot for slot, _ in self._slots),
            tuple(
                (rate, answer.result() if isinstance(answer, asyncio.Future) else answer)
                for rate, amount, answer in self._counted
                if amount and rate.key[1] == Measure.BYTES
            ),
        )


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


def _headers(name: str, meters: Sequence[RateMeter], *, far: float = math.inf) -> Headers:
    if not meters:
        return ()
    nearest = min(meters, key=_remaining) if len(meters) > 1 else meters[0]
    remaining = max(0, nearest.remaining)
    if nearest.limit >= far and remaining > nearest.limit // 2:
        return ()
    return (
        (f"x-ratelimit-limit-{name}", str(nearest.limit)),
        (f"x-ratelimit-remaining-{name}", str(remaining)),
        (f"x-ratelimit-reset-{name}", duration_text(nearest.reset_s)),
    )


def _remaining(meter: RateMeter) -> int:
    return meter.remaining

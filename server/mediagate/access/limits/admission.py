"""Whether a call may begin: one question for all limits of its key, its user and its team."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from mediagate.access.limits.exchange import Exchange, States
from mediagate.access.limits.plan import Limited, Plan, ScopeMeters, Use
from mediagate.access.limits.rate import Pieces, RateMeter
from mediagate.access.limits.refusals import Measure
from mediagate.access.limits.slots import Holder, SlotMeter
from mediagate.access.limits.taking import Taking
from mediagate.access.limits.tokens import TokensTaken
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


class Admission:
    """A call that was let in. To be released when it ends, however it ends; once more does no harm."""

    __slots__ = ("_charged", "_moved", "_plan", "_slots", "_step", "_taken", "_tokens", "_use")

    def __init__(self, plan: Plan, use: Use) -> None:
        self._plan = plan
        self._use = use
        self._slots: tuple[SlotMeter, ...] = ()
        self._taken: tuple[tuple[RateMeter, Pieces], ...] = ()
        self._charged = use.declared_bytes or 0
        self._moved = 0
        self._tokens: TokensTaken | None = None
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

    async def take_tokens(self, amount: int) -> None:
        """Count so many tokens, the key's first: about what a chat will come to. Raises `RateLimited` where nothing is
        left, and then counts none; `Unavailable` where that cannot be known."""
        if self._plan.tokens:
            self._tokens = TokensTaken(amount)
            await self._tokens.take(self._plan.tokens)

    def tokens_were(self, amount: int) -> None:
        """What the chat has come to, in place of what was counted beforehand; once more does no harm."""
        if self._tokens is not None:
            self._tokens.correct(amount)

    def headers(self) -> Headers:
        """The nearest limits of this call, as response headers."""
        headers = _headers("requests", self._plan.requests, far=FAR)
        if self._use.is_upload:
            headers += _headers("uploads", self._plan.uploads, far=FAR)
        if self._use.moves_bytes:
            headers += _headers("bytes", self._plan.bytes)
        if self._tokens is not None:
            headers += _headers("tokens", self._plan.tokens)
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
        super().__init__(Plan(), Use())


FREE: Final[Admission] = _Free()


class Limits:
    """The limits of all callers of this process. Those of a caller without any cost nothing, not even a look."""

    def __init__(self, states: States, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.exchange = Exchange(states, monotonic)
        self._holder = Holder(self.exchange, self._assert_slots)
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._rates: dict[StateKey, RateMeter] = {}
        self._slots: dict[StateKey, SlotMeter] = {}
        self._pruned_s = monotonic()

    async def admit(self, who: Principal, use: Use) -> Admission:
        """Count one call. Raises `RateLimited` where any limit of the caller has no room, and then counts nothing;
        `Unavailable` where that cannot be known."""
        if not who.scopes:
            return FREE
        plan = self._plan(who.key_id or who.owner_id, who.scopes)
        if not plan.scoped:
            return FREE
        admission = Admission(plan, use)
        await self._let_in(admission, plan, use)
        return admission

    async def admit_chat(self, limited: tuple[Limited], tokens: int) -> Admission:
        """Count one chat of about so many tokens under the limits of something that is no caller. The same tuple each
        time, or its meters are made anew. Raises as `admit` does."""
        plan = self._plan(f"{limited[0].kind}:{limited[0].id}", limited)
        admission = Admission(plan, Use())
        await admission.take_tokens(tokens)
        try:
            await self._let_in(admission, plan, Use())
        except BaseException:
            admission.tokens_were(0)
            raise
        return admission

    async def _let_in(self, admission: Admission, plan: Plan, use: Use) -> None:
        needs = plan.needs_of(use)
        if needs.take(use.declared_bytes or 0, self.exchange.monotonic()):
            admission.has(needs.slots, tuple((rate, rate.lease) for rate in needs.bytes))
            return
        try:
            await self._take(admission, plan, use)
        except RateLimited as error:
            error.headers = admission.headers()
            raise

    def has_parallel_limit(self, who: Principal) -> bool:
        """Whether it matters when a call of this caller ends."""
        return any(scope.policy.parallel_requests is not None for scope in who.scopes)

    async def _take(self, admission: Admission, plan: Plan, use: Use) -> None:
        taking = Taking(use)
        try:
            for scoped in plan.scoped:
                if scoped.slots_of(use):
                    await self._holder.start()
                await taking.take(scoped)
        except BaseException:
            taking.undo()
            raise
        admission.has(taking.slots, taking.bytes)

    def _plan(self, id_: str, scopes: tuple[Limited, ...]) -> Plan:
        """The meters of a caller; made anew when its policies have been read anew and may have changed."""
        plan = self._plans.get(id_)
        if plan is None or plan.scopes is not scopes:
            self._prune()
            plan = self._plans[id_] = Plan.of(scopes, map(self._meters, reversed(scopes)))
            self._plans.move_to_end(id_)
            if len(self._plans) > PLANS_MAX:
                self._plans.popitem(last=False)
        return plan

    def _meters(self, scope: Limited) -> ScopeMeters:
        return ScopeMeters(
            self._rate_meter(scope, Measure.REQUESTS),
            self._rate_meter(scope, Measure.UPLOADS),
            self._rate_meter(scope, Measure.BYTES),
            self._rate_meter(scope, Measure.TOKENS),
            self._slot_meter(scope, Measure.PARALLEL_REQUESTS),
            self._slot_meter(scope, Measure.PARALLEL_UPLOADS),
        )

    def _rate_meter(self, scope: Limited, measure: Measure) -> RateMeter | None:
        limit = getattr(scope.policy, measure.value)
        if limit is None:
            return None
        key = (f"{scope.kind}:{scope.id}", measure.value)
        meter = self._rates.get(key)
        if meter is None:
            meter = self._rates[key] = RateMeter(key, int(limit), self.exchange)
        meter.limit = int(limit)
        return meter

    def _slot_meter(self, scope: Limited, measure: Measure) -> SlotMeter | None:
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

"""Taking of each limit in turn, with waits where a process does not hold enough."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from mediagate.access.limits.plan import ScopeMeters, Use
from mediagate.access.limits.rate import Pieces, RateMeter
from mediagate.access.limits.refusals import Measure
from mediagate.access.limits.slots import SlotMeter


class Taking:
    """What one call takes, scope by scope: what a scope refuses has cost those behind it nothing."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._slots: list[tuple[SlotMeter, asyncio.Future[None] | None]] = []
        self._counted: list[tuple[RateMeter, int, Pieces | asyncio.Future[Pieces]]] = []

    async def take(self, scoped: ScopeMeters) -> None:
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

    @property
    def slots(self) -> tuple[SlotMeter, ...]:
        """The slots that were taken."""
        return tuple(slot for slot, _ in self._slots)

    @property
    def bytes(self) -> tuple[tuple[RateMeter, Pieces], ...]:
        """The bytes that were counted beforehand."""
        return tuple(
            (rate, answer.result() if isinstance(answer, asyncio.Future) else answer)
            for rate, amount, answer in self._counted
            if amount and rate.key[1] == Measure.BYTES
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

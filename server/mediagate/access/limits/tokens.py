"""The tokens of one chat under the limits of its caller: counted by an estimate before, and corrected behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mediagate.access.limits.rate import Pieces, RateMeter


async def _come(answer: asyncio.Future[Pieces], meter: RateMeter, amount: int) -> Pieces:
    try:
        return await answer
    except asyncio.CancelledError:
        # It may have come at the moment in which the caller went away.
        if not answer.cancelled() and answer.exception() is None:
            meter.give_back(answer.result(), amount)
        raise


class TokensTaken:
    """What one chat has taken."""

    __slots__ = ("_amount", "_taken")

    def __init__(self, amount: int) -> None:
        # Nothing at all would only ask whether anything is left, and be counted by nobody who comes meanwhile.
        self._amount = max(1, amount)
        self._taken: list[tuple[RateMeter, Pieces]] = []

    async def take(self, meters: Sequence[RateMeter]) -> None:
        """Take them of one scope after the other: what one refuses has cost those behind it nothing. Raises what the
        meters raise, and then has nothing."""
        try:
            for meter in meters:
                meter.require()
            for meter in meters:
                answer = meter.take(self._amount)
                pieces = answer if isinstance(answer, tuple) else await _come(answer, meter, self._amount)
                self._taken.append((meter, pieces))
        except BaseException:
            self.correct(0)
            raise

    def correct(self, amount: int) -> None:
        """So many it was, whatever was taken."""
        taken, self._taken = self._taken, []
        for meter, pieces in taken:
            if amount > self._amount:
                meter.charge(amount - self._amount)
            else:
                meter.give_back(pieces, self._amount - max(0, amount))

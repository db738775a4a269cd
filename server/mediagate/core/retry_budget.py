"""How much may be asked again: a tenth of what is asked, so that retries never become the load that breaks a provider.

As in Finagle (https://finagle.github.io/blog/2016/02/08/retry-budgets/): what a window of a few seconds has earned can
be spent in it, and a few retries a second are free, because a tenth of little is nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

RATIO: Final = 0.1
FREE_PER_S: Final = 3.0
WINDOW_S: Final = 10.0
_SLOTS: Final = 10


class RetryBudget:
    """Of one process, for one thing that is asked. `ratio` is retries for each first attempt."""

    def __init__(
        self,
        *,
        ratio: float = RATIO,
        free_per_s: float = FREE_PER_S,
        window_s: float = WINDOW_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._free = free_per_s * window_s
        self._slot_s = window_s / _SLOTS
        self._now = now
        self._newest = self._slot()
        self._asked = [0] * _SLOTS
        self._again = [0] * _SLOTS

    def ask(self) -> None:
        """Something is asked for the first time."""
        self._turn()
        self._asked[self._newest % _SLOTS] += 1

    def ask_again(self) -> bool:
        """Whether something may be asked again now; what is allowed is spent."""
        self._turn()
        if sum(self._again) + 1 > self._free + self._ratio * sum(self._asked):
            return False
        self._again[self._newest % _SLOTS] += 1
        return True

    def _slot(self) -> int:
        return int(self._now() / self._slot_s)

    def _turn(self) -> None:
        """Forget what is older than the window."""
        slot = self._slot()
        for passed in range(self._newest + 1, min(slot, self._newest + _SLOTS) + 1):
            self._asked[passed % _SLOTS] = self._again[passed % _SLOTS] = 0
        self._newest = max(slot, self._newest)

"""Forgetting what no limit counts any longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mediagate.store.limits import LimitStates

BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Drops the states of callers that have not come for a day, and processes that are gone."""

    states: LimitStates

    async def run(self) -> int:
        """Handle one batch; returns how many there were, so that the caller can go on until there are none."""
        return await self.states.sweep(limit=BATCH)

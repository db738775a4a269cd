"""Where the chats of one process hold and settle their money: those that share a budget together, as they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mediagate.core.spend import BudgetKind, Charge, Payer
from mediagate.spend.in_turn import InTurn
from mediagate.spend.reserve import Hold, ReserveSpend
from mediagate.spend.settle import Settlement, SettleSpend
from mediagate.store.database import Database

T = TypeVar("T")
MANY_MAX: Final = 64
"""Of one transaction. They all wait for its end, and so does everybody else who shares a budget with one of them."""


@dataclass(slots=True)
class Till:
    """Holds and settles. Who shares the first of its payers with others is in one transaction with them."""

    db: Database
    reserve: ReserveSpend
    _holds: dict[Payer, InTurn[Hold]] = field(default_factory=dict)
    _settlements: dict[Payer, InTurn[Settlement]] = field(default_factory=dict)

    async def hold(self, hold: Hold) -> None:
        """Raises as `ReserveSpend.run` does; then nothing is held."""
        await _in_turn(self._holds, hold.charge, self._hold, hold)

    async def settle(self, charge: Charge, settlement: Settlement) -> None:
        """Settle a request that was held with this charge; nothing changes where it is settled."""
        await _in_turn(self._settlements, charge, self._settle, settlement)

    async def _hold(self, holds: Sequence[Hold]) -> None:
        async with self.db.transaction() as tx:
            await self.reserve.run_all(tx, holds)

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        async with self.db.transaction() as tx:
            await SettleSpend().run_all(tx, settlements)


async def _in_turn(
    turns: dict[Payer, InTurn[T]], charge: Charge, do: Callable[[Sequence[T]], Awaitable[None]], item: T
) -> None:
    payer = next(iter(charge.payers), Payer(BudgetKind.PROVIDER, charge.provider))
    turn = turns.setdefault(payer, InTurn(do, MANY_MAX))
    try:
        await turn.run(item)
    finally:
        if turn.is_idle and turns.get(payer) is turn:
            del turns[payer]

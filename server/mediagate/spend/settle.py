"""Charge a request what it came to, or give back what was held for it, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog

from mediagate.core import ids
from mediagate.core.errors import InvalidField, StateConflict
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.core.spend import USD_MAX, Payer, SpendFilter, SpendRecord, amount
from mediagate.spend.report import ListSpend
from mediagate.spend.together import in_order
from mediagate.store.database import Database, Transaction
from mediagate.store.ledger import LedgerRepository, Movement

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a request came to, in US dollars, and why."""

    ref: str
    usd: float | Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class SettleSpend:
    """Settles by the ids that were written down with the reservation: nobody need be calling."""

    async def run(self, tx: Transaction, ref: str, usd: float | Decimal, reason: str) -> bool:
        """Charge `usd`, all of it even where that is more than was held or a budget has; 0 gives everything back.

        False where the request is settled, or never reserved anything: then nothing changes.
        """
        return ref in await self.run_all(tx, [Settlement(ref, usd, reason)])

    async def run_all(self, tx: Transaction, settlements: Sequence[Settlement]) -> set[str]:
        """The same for several requests. Returns those that were reserved until now."""
        ledger = LedgerRepository(tx.connection)
        held = {one.charge.ref: one for one in await ledger.held([one.ref for one in settlements])}
        # Of two ends of the same request the first counts.
        wanted = {one.ref: one for one in reversed(settlements) if one.ref in held}
        if not wanted:
            return set()
        charged = {ref: _amount(ref, one.usd) for ref, one in wanted.items()}
        moved = [
            (Movement(payer, -held[ref].usd, usd), held[ref].reserved_at)
            for ref, usd in charged.items()
            for payer in held[ref].payers
        ]
        if moved:
            await ledger.lock(_sums(movement for movement, _ in moved))
            await ledger.move_each(moved)
        await ledger.settle([(held[ref], charged[ref], wanted[ref].reason) for ref in wanted])
        return set(wanted)


def _sums(movements: Iterable[Movement]) -> list[Movement]:
    """One for each payer, in the order in which they are locked."""
    sums: dict[Payer, Movement] = {}
    for one in movements:
        before = sums.get(one.payer, Movement(one.payer))
        sums[one.payer] = Movement(one.payer, before.held_usd + one.held_usd, before.spent_usd + one.spent_usd)
    return [sums[payer] for payer in in_order(sums)]


def _amount(ref: str, usd: float | Decimal) -> Decimal:
    """A request must come to its end whatever a provider says that it costs."""
    try:
        return amount(usd)
    except ValueError:
        bounded = Decimal(USD_MAX) if usd > 0 else Decimal(0)
        log.error("charge_out_of_range", ref=ref, charged_usd=bounded)
        return bounded


@dataclass(frozen=True, slots=True)
class SettleByHand:
    """An admin says what became of money that is held for a request whose end nobody knows."""

    db: Database
    settle: SettleSpend
    list_spend: ListSpend

    async def run(self, who: Principal, ref: str, usd: float) -> SpendRecord:
        """Raises `InvalidField` for what is no amount, `NotFound`, and `StateConflict` where it is settled."""
        try:
            charged = amount(usd)
        except ValueError:
            raise InvalidField("'usd' should be a number of US dollars from 0 to 1e9.", param="usd") from None
        async with self.db.transaction() as tx:
            done = await self.settle.run(tx, ref, charged, "settled_by_admin")
        found = await self.list_spend.run(who, SpendFilter(ref=ref), after=None, limit=1)
        if not found.items:
            raise ids.VIDEO.not_found(ref)
        if not done:
            raise StateConflict(
                f"The request '{echo(ref)}' is settled: it came to {found.items[0].usd:f} US dollars.",
                code="already_settled",
            )
        log.info("spend_settled_by_admin", ref=ref, usd=charged, actor_key_id=who.key_id)
        return found.items[0]

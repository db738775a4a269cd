"""Charge a request what it came to, or give back what was held for it, once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import structlog

from mediagate.core import ids
from mediagate.core.errors import InvalidField, StateConflict
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.core.spend import USD_MAX, SpendFilter, SpendRecord, amount
from mediagate.spend.report import ListSpend
from mediagate.store.database import Database, Transaction
from mediagate.store.ledger import LedgerRepository, Movement

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SettleSpend:
    """Settles by the ids that were written down with the reservation: nobody need be calling."""

    async def run(self, tx: Transaction, ref: str, usd: float | Decimal, reason: str) -> bool:
        """Charge `usd`, all of it even where that is more than was held or a budget has; 0 gives everything back.

        False where the request is settled, or never reserved anything: then nothing changes.
        """
        ledger = LedgerRepository(tx.connection)
        held = await ledger.held(ref)
        if held is None:
            return False
        charged = _amount(ref, usd)
        movements = [Movement(payer, -held.usd, charged) for payer in held.payers]
        if movements:
            await ledger.lock(movements)
            await ledger.move(movements, held.reserved_at, ())
        await ledger.settle(held, charged, reason)
        return True


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

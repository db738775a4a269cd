"""The life of a batch, written once: the row, its end, and what its owner is told of it in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mediagate.batches.tasks import CLEAN_BATCH
from mediagate.core.batches import Batch, LineError
from mediagate.core.clock import Clock
from mediagate.core.lifecycle import BATCH_OVER, BATCH_TRANSITIONS, BatchEvent, BatchPhase, advance
from mediagate.core.objects import Principal
from mediagate.core.webhooks import BATCH_CANCELLED, BATCH_COMPLETED, BATCH_EXPIRED, BATCH_FAILED
from mediagate.files.remove_file import enqueue_removal
from mediagate.spend.settle import SettleSpend
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database, Transaction
from mediagate.store.files import FileRepository
from mediagate.telemetry import metrics
from mediagate.webhooks.emit import Occurrence, emit

_TOLD: Final = {
    BatchPhase.COMPLETED: BATCH_COMPLETED,
    BatchPhase.FAILED: BATCH_FAILED,
    BatchPhase.EXPIRED: BATCH_EXPIRED,
    BatchPhase.CANCELLED: BATCH_CANCELLED,
}
_TIMES: Final = {
    BatchPhase.IN_PROGRESS: "in_progress_at",
    BatchPhase.FINALIZING: "finalizing_at",
    BatchPhase.COMPLETED: "completed_at",
    BatchPhase.FAILED: "failed_at",
    BatchPhase.EXPIRED: "expired_at",
    BatchPhase.CANCELLED: "cancelled_at",
}


def advanced(batch: Batch, event: BatchEvent, **changes: Any) -> Batch:
    """The batch after `event`, with `changes`. Raises `ImpossibleTransition` for what cannot happen."""
    return replace(batch, phase=advance(BATCH_TRANSITIONS, batch.phase, event), **changes)


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes what happens to batches."""

    db: Database
    clock: Clock
    settle: SettleSpend = field(default_factory=SettleSpend)

    async def open(self, tx: Transaction, batch: Batch) -> None:
        """Insert a new batch."""
        await BatchRepository(tx.connection).add(batch)

    async def write(
        self,
        before: Batch,
        after: Batch,
        *,
        reason: str = "",
        also: Callable[[Transaction], Awaitable[None]] | None = None,
        tx: Transaction | None = None,
    ) -> Batch | None:
        """Turn `before` into `after` if nobody changed it meanwhile; None where somebody did, and nothing is written.
        What `also` does becomes true in the same moment.

        The end of a batch is written here and nowhere else, so it is settled and told once; `reason` says by what it
        is settled. What it needed of ours goes with it.
        """
        now = self.clock.now()
        after = replace(after, **self._times(before, after))
        ends = after.phase in BATCH_OVER and before.phase not in BATCH_OVER
        async with nullcontext(tx) if tx is not None else self.db.transaction() as tx:
            if not await BatchRepository(tx.connection).change(before, after, ended_at=now if ends else None):
                return None
            if also is not None:
                await also(tx)
            if ends:
                await self._end(tx, after, reason)
        if ends and after.provider is not None:
            metrics.batch_ended(after.provider, after.phase.value)
            metrics.charged(after.provider, after.provider_model or "", after.cost_usd or 0.0)
        return replace(after, seq=before.seq + 1)

    async def fail(self, batch: Batch, errors: Sequence[LineError]) -> Batch | None:
        """End a batch that no provider has worked on; what was held for it is given back."""
        usd = None if batch.estimate_usd is None else 0.0
        told = [error.plain() for error in errors]
        after = advanced(batch, BatchEvent.FAILED, errors=told, cost_usd=usd)
        return await self.write(batch, after, reason="not_charged")

    def _times(self, before: Batch, after: Batch) -> dict[str, Any]:
        name = _TIMES.get(after.phase)
        if name is None or after.phase is before.phase or getattr(after, name) is not None:
            return {}
        return {name: self.clock.now()}

    async def _end(self, tx: Transaction, batch: Batch, reason: str) -> None:
        await emit(tx, batch.owner_id, [Occurrence(_TOLD[batch.phase], batch.id)], now=self.clock.now())
        await tx.enqueue(CLEAN_BATCH, lock=f"{batch.id}/clean", batch_id=batch.id)
        for file_id in (batch.copy_id, batch.index_id):
            if file_id is not None and await FileRepository(tx.connection).entomb_internal(file_id):
                await enqueue_removal(tx, file_id)
        # Last, because others wait for the budgets that it moves. What nobody knows the cost of stays held.
        if batch.cost_usd is not None or batch.estimate_usd is None:
            await self.settle.run(tx, batch.id, batch.cost_usd or 0.0, reason or "nothing_held")


def maker_of(batch: Batch) -> Principal:
    """For whom a batch's files are made. Its policies were asked when it was created; what it has answered is kept
    whatever they say by now."""
    return Principal(
        batch.owner_id,
        key_id=batch.key_id,
        user_id=batch.user_id,
        team_id=batch.team_id,
        end_user=batch.end_user,
        placement=dict(batch.required or {}),
    )

"""Carry one batch from its intent to its end, as a durable job: the calls to its provider.

The rules on fate are those of videos: an attempt is written down before the provider is called; a submit or a poll
whose answer says nothing is no verdict; only a provider whose submit is idempotent is submitted to again, any other is
asked whether it has the job; the end is settled once, by compare-and-set. Whatever else goes wrong is waited out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from mediagate.batches.finish_batch import FinishBatch
from mediagate.batches.journal import Journal, advanced
from mediagate.batches.prepare_batch import Cancelled, PrepareBatch
from mediagate.batches.submit_batch import (
    ANSWER_S_MAX,
    BACKOFF_S_MAX,
    OWN_BACKOFF_S,
    SOON_S,
    SubmitBatch,
    answer_of,
    deadline_of,
    required,
)
from mediagate.batches.tasks import TRACK_BATCH
from mediagate.batches.turn import Turn
from mediagate.core.batches import Batch, LineError, TrackingRules
from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, ProviderRefused, TruncatedUpload
from mediagate.core.lifecycle import BATCH_OVER, BatchEvent, BatchPhase
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import FateUnknown
from mediagate.providers.batches import (
    ENDED,
    BatchProvider,
    BatchState,
    BatchStatus,
)
from mediagate.routing.batch_accounts import BatchAccounts
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.telemetry.traces import continued_span
from mediagate.videos.track_video import Run

log = structlog.get_logger(__name__)
OWN_BACKOFF_S_MAX: Final = 30.0
# A provider that has been asked to stop is waited for so long.
CANCEL_PATIENCE: Final = timedelta(hours=1)
NO_INPUT: Final = LineError("input_file_not_found", "The input file was deleted before its lines were read.")
TOO_LATE: Final = LineError(
    "validation_expired", "The batch could not be given to its provider before its completion window was over."
)


@dataclass(frozen=True, slots=True)
class TrackBatch:
    """Prepares, submits once, polls once an interval, fetches and settles once."""

    db: Database
    accounts: BatchAccounts
    files: FileLookup
    open_content: OpenContent
    prepare: PrepareBatch
    finish: FinishBatch
    journal: Journal
    clock: Clock
    rules: TrackingRules = field(default_factory=TrackingRules)
    _submit: SubmitBatch = field(init=False)
    _bytes: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        submit = SubmitBatch(self.db, self.files, self.open_content, self.journal, self.clock, self.rules)
        object.__setattr__(self, "_submit", submit)
        object.__setattr__(self, "_bytes", asyncio.Semaphore(self.rules.parallel))

    async def look(self, batch_id: str, run: Run) -> float | None:
        """Look at a batch once, and do what is to be done. Returns after how many seconds to look again; None when it
        needs no more tracking."""
        with continued_span(TRACK_BATCH, run.traceparent):
            try:
                async with self.db.reading() as connection:
                    batch = await BatchRepository(connection).find(batch_id)
                if batch is None or batch.phase in BATCH_OVER:
                    return None
                wait_s = await self._turn(batch, run)
                run.errors = 0
            except Cancelled:
                return SOON_S
            except FateUnknown as error:
                run.errors += 1
                log.info("batch_contact_lost", batch_id=batch_id, why=str(error))
                wait_s = min(BACKOFF_S_MAX, self._interval_s(None) * 2 ** min(run.errors - 1, 10))
            except Exception as error:
                # Nothing of this is news about the job: the database or a store is away, or we are at fault.
                run.errors += 1
                log.warning(
                    "tracking_stumbled", batch_id=batch_id, error=type(error).__name__, exc_info=run.errors == 1
                )
                wait_s = min(OWN_BACKOFF_S_MAX, OWN_BACKOFF_S * 2 ** min(run.errors - 1, 10))
        return wait_s

    async def _turn(self, batch: Batch, run: Run) -> float:
        if batch.phase is BatchPhase.VALIDATING and self.clock.now() >= batch.expires_at:
            await self.journal.fail(batch, [TOO_LATE])
            return SOON_S
        provider = self._provider(batch)
        match batch.phase:
            case BatchPhase.VALIDATING if batch.copy_id is None:
                await self._prepare(batch, provider)
            case BatchPhase.FINALIZING:
                await self._finish(batch, provider)
            case BatchPhase.CANCELLING:
                return await self._cancel(batch, provider)
            case BatchPhase.VALIDATING:
                return await self._submit.run(batch, required(provider), run)
            case BatchPhase.SUBMITTING | BatchPhase.FATE_UNKNOWN:
                return await self._submit.look_for(batch, provider, self._interval_s(provider))
            case _:
                return await self._poll(batch, provider)
        return SOON_S

    def _provider(self, batch: Batch) -> BatchProvider | None:
        if batch.account is None:
            return None
        try:
            return self.accounts[batch.account]
        except (KeyError, ProviderRefused):
            log.warning("batch_account_unknown", batch_id=batch.id, account=batch.account)
            return None

    def _interval_s(self, provider: BatchProvider | None) -> float:
        return self.rules.poll_interval_s or (30.0 if provider is None else provider.spec.poll_interval_s)

    async def _prepare(self, batch: Batch, provider: BatchProvider | None) -> None:
        if batch.account is not None and provider is None:
            raise FateUnknown("the account is not configured any more")
        async with Turn(self._bytes) as turn:
            try:
                prepared = await self.prepare.run(batch, provider, turn)
            except FileNotFoundError:
                await self.journal.fail(batch, [NO_INPUT])
                return
            except MediagateError as error:
                # A lease that ran out says nothing about the file, and what a retry helps against may pass.
                if error.retryable or isinstance(error, TruncatedUpload):
                    raise
                await self.journal.fail(batch, [LineError(error.code, error.message, param=error.param)])
                return
        if prepared.batch is None:
            await self.journal.fail(batch, prepared.errors)

    async def _poll(self, batch: Batch, provider: BatchProvider | None) -> float:
        interval_s = self._interval_s(provider)
        late = self._is_late(batch, provider)
        try:
            provider = required(provider)
            status = await answer_of(provider.poll(batch.provider_ref or ""), ANSWER_S_MAX)
            if late and status.state not in ENDED:
                await answer_of(provider.cancel(batch.provider_ref or ""), ANSWER_S_MAX)
        except FateUnknown:
            if not late:
                raise
            # What there may be of it all the same is looked for with its answers.
            status = BatchStatus(BatchState.EXPIRED)
        log.debug("batch_polled", batch_id=batch.id, state=status.state.value)
        if status.state is BatchState.FAILED:
            await self.journal.fail(batch, _faults(status))
            return SOON_S
        if status.state in ENDED:
            await self._ended(batch, status.state)
            return SOON_S
        if late:
            log.warning("batch_deadline_passed", batch_id=batch.id)
            await self._ended(batch, BatchState.EXPIRED)
            return SOON_S
        await self._progressed(batch, status)
        return status.poll_after_s or interval_s

    def _is_late(self, batch: Batch, provider: BatchProvider | None) -> bool:
        since: datetime = batch.submit_started_at or batch.created_at
        return self.clock.now() >= since + timedelta(seconds=deadline_of(provider))

    async def _progressed(self, batch: Batch, status: BatchStatus) -> Batch:
        counts = {
            name: min(max(value, 0), batch.lines)
            for name, value in (("completed", status.completed), ("failed", status.failed))
            if value is not None
        }
        if all(getattr(batch, name) == value for name, value in counts.items()):
            return batch
        return await self.journal.write(batch, advanced(batch, BatchEvent.PROGRESSED, **counts)) or batch

    async def _ended(self, batch: Batch, state: BatchState) -> Batch | None:
        after = advanced(batch, BatchEvent.ENDED, outcome=state.value, finalizing_at=self.clock.now())
        return await self.journal.write(batch, after)

    async def _finish(self, batch: Batch, provider: BatchProvider | None) -> None:
        async with self._bytes:
            await self.finish.run(batch, provider)

    async def _cancel(self, batch: Batch, provider: BatchProvider | None) -> float:
        if batch.outcome is not None:
            await self._finish(batch, provider)
        elif batch.provider_ref is None and batch.submit_started_at is None:
            await self._finish(replace(batch, outcome=BatchState.CANCELLED.value), None)
        elif batch.provider_ref is None:
            return await self._submit.look_for(batch, provider, self._interval_s(provider))
        else:
            return await self._stop(batch, provider, batch.provider_ref)
        return SOON_S

    async def _stop(self, batch: Batch, provider: BatchProvider | None, ref: str) -> float:
        late = self.clock.now() >= (batch.cancelling_at or batch.created_at) + CANCEL_PATIENCE
        try:
            provider = required(provider)
            status = await answer_of(provider.poll(ref), ANSWER_S_MAX)
            if status.state not in ENDED and status.state is not BatchState.CANCELLING:
                await answer_of(provider.cancel(ref), ANSWER_S_MAX)
                status = await answer_of(provider.poll(ref), ANSWER_S_MAX)
        except FateUnknown:
            if not late:
                raise
            status = BatchStatus(BatchState.CANCELLED)
        if status.state is BatchState.FAILED:
            await self.journal.fail(batch, _faults(status))
        elif status.state in ENDED or late:
            await self._ended(batch, status.state if status.state in ENDED else BatchState.CANCELLED)
        else:
            await self._progressed(batch, status)
            return min(self._interval_s(provider), status.poll_after_s or BACKOFF_S_MAX)
        return SOON_S


def _faults(status: BatchStatus) -> list[LineError]:
    found = [LineError(fault.code, fault.message, fault.line, fault.param) for fault in status.faults]
    if not found:
        failure = status.failure
        message = "The provider refused the batch." if failure is None else failure.message
        found = [LineError("provider_failed" if failure is None else failure.code, message)]
    return found

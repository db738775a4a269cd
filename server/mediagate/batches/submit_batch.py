"""Give a batch to its provider: once, and what became of an attempt that nobody heard of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import structlog

from mediagate.batches.journal import Journal, advanced
from mediagate.core.batches import Batch, LineError, TrackingRules
from mediagate.core.clock import Clock
from mediagate.core.lifecycle import BATCH_OVER, BatchEvent, BatchPhase, ReplicaState
from mediagate.core.objects import File
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import Failure, FailureStage, FateUnknown, ProviderBusy, SubmitRefused
from mediagate.providers.batches import BatchOrder, BatchProvider, FindsBatches, InputPlace
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.videos.track_video import Run

log = structlog.get_logger(__name__)
T = TypeVar("T")
Write = Callable[[Batch], Awaitable[Batch | None]]
SOON_S: Final = 0.02
COPY_S: Final = 1.0
BACKOFF_S_MAX: Final = 60.0
OWN_BACKOFF_S: Final = 0.25
ANSWER_S_MAX: Final = 60.0
# A submit may carry all lines.
SUBMIT_S_MAX: Final = 1800.0
NOT_READABLE: Final = LineError("input_file_not_readable", "The provider could not use the lines that it was sent.")
NEVER_KNOWN: Final = LineError(
    "submission_unknown",
    "The provider did not say whether it took the batch, and could not be asked. It may have answered it.",
)


@dataclass(frozen=True, slots=True)
class SubmitBatch:
    """Writes down the attempt before the provider is called, and its outcome however long that takes."""

    db: Database
    files: FileLookup
    open_content: OpenContent
    journal: Journal
    clock: Clock
    rules: TrackingRules

    async def run(self, batch: Batch, provider: BatchProvider, run: Run) -> float:
        """Submit a batch whose lines are written. Returns when to look again, in seconds; raises `FateUnknown`."""
        try:
            order = await self._order(batch, provider)
        except SubmitRefused:
            await self.journal.fail(batch, [NOT_READABLE])
            return SOON_S
        if order is None:
            return COPY_S
        now = self.clock.now()
        written = await self.journal.write(
            batch,
            advanced(batch, BatchEvent.SUBMIT_STARTED, submit_started_at=now, attempts=batch.attempts + 1),
        )
        if written is None:
            return SOON_S
        return await self._send(written, provider, replace(order, since=now), run)

    async def _order(self, batch: Batch, provider: BatchProvider) -> BatchOrder | None:
        """What is submitted; None where the provider still works on its file. Raises `SubmitRefused` where that is no
        good."""
        file = None if batch.copy_id is None else await self.files.any(batch.copy_id)
        if file is None:
            raise SubmitRefused(_gone(batch))
        [replica] = file.replicas
        if replica.state in (ReplicaState.PROCESSING, ReplicaState.WRITING, ReplicaState.PENDING):
            return None
        if replica.state is not ReplicaState.READY:
            raise SubmitRefused(_gone(batch))
        return BatchOrder(
            token=batch.id,
            model=batch.provider_model or "",
            endpoint=batch.endpoint,
            lines=batch.lines,
            size_bytes=file.size_bytes,
            open=lambda: self._read(file),
            since=batch.submit_started_at or self.clock.now(),
            input_ref=replica.ref if provider.spec.input_place is InputPlace.ACCOUNT else None,
        )

    async def _read(self, file: File) -> AsyncGenerator[bytes]:
        content = await self.open_content.of(file)
        async for chunk in content.read(0, content.size_bytes):
            yield chunk

    async def _send(self, batch: Batch, provider: BatchProvider, order: BatchOrder, run: Run) -> float:
        """`batch` says that it is being submitted."""
        try:
            ref = await answer_of(provider.submit(order), SUBMIT_S_MAX)
        except SubmitRefused as refused:
            await self._insist(batch, partial(self._refused, refused))
            return SOON_S
        except ProviderBusy as busy:
            run.refusals += 1
            await self._insist(batch, self._deferred)
            return max(busy.retry_after_s or 0.0, min(BACKOFF_S_MAX, 2.0**run.refusals))
        except FateUnknown:
            await self.journal.write(batch, advanced(batch, BatchEvent.LOST_CONTACT))
            raise
        await self._accepted(batch, ref)
        return SOON_S

    async def _refused(self, refused: SubmitRefused, batch: Batch) -> Batch | None:
        failure = refused.failure
        return await self.journal.fail(batch, [LineError(failure.code, failure.message, param=failure.field)])

    async def _deferred(self, batch: Batch) -> Batch | None:
        if batch.phase is BatchPhase.CANCELLING:
            return await self.journal.write(batch, replace(batch, submit_started_at=None))
        return await self.journal.write(batch, advanced(batch, BatchEvent.DEFERRED, submit_started_at=None))

    async def _accepted(self, batch: Batch, ref: str) -> None:
        """A job without its reference is paid for and never seen."""
        await self._insist(
            batch, lambda current: self.journal.write(current, advanced(current, BatchEvent.ACCEPTED, provider_ref=ref))
        )

    async def _insist(self, batch: Batch, write: Write) -> None:
        """Write down what the one attempt came to, however long that takes, and whoever cancelled meanwhile."""
        current: Batch | None = batch
        while current is not None and current.phase not in BATCH_OVER:
            try:
                if await write(current) is not None:
                    return
                async with self.db.reading() as connection:
                    current = await BatchRepository(connection).find(batch.id)
                if current is not None and (current.provider_ref is not None or current.attempts != batch.attempts):
                    # Another process goes on with it.
                    return
            except Exception as error:
                log.warning("outcome_not_written", batch_id=batch.id, error=type(error).__name__)
                await asyncio.sleep(OWN_BACKOFF_S)

    async def look_for(self, batch: Batch, provider: BatchProvider | None, interval_s: float) -> float:
        """An attempt has no known outcome: it may or may not have been taken, and asking again could pay twice, unless
        the provider makes one job of both or can say that it has none. Returns and raises as `run`."""
        waited_s = (self.clock.now() - (batch.submit_started_at or batch.created_at)).total_seconds()
        late = waited_s >= deadline_of(provider)
        try:
            return await self._look_for(batch, required(provider), waited_s, interval_s, late=late)
        except FateUnknown:
            if not late:
                raise
        await self.journal.write(batch, advanced(batch, BatchEvent.FAILED, errors=[NEVER_KNOWN.plain()]))
        return SOON_S

    async def _look_for(
        self, batch: Batch, provider: BatchProvider, waited_s: float, interval_s: float, *, late: bool
    ) -> float:
        try:
            order = await self._order(batch, provider)
        except SubmitRefused:
            order = None
        if order is None:
            raise FateUnknown("the lines of an earlier submit are gone")
        if isinstance(provider, FindsBatches):
            ref = await answer_of(provider.find(order), ANSWER_S_MAX)
            if ref is not None:
                await self._accepted(await self._unknown(batch), ref)
                return SOON_S
            if waited_s >= self.rules.lost_submit_s:
                log.warning("batch_submit_was_lost", batch_id=batch.id)
                await self._resubmit(batch)
                return SOON_S
        elif late:
            raise FateUnknown("nobody remembers an earlier submit any more")
        elif provider.spec.idempotent_submit:
            return await self._send_again(batch, provider, order)
        await self._unknown(batch)
        return min(BACKOFF_S_MAX, max(1.0, waited_s / 4), interval_s)

    async def _unknown(self, batch: Batch) -> Batch:
        if batch.phase is not BatchPhase.SUBMITTING:
            return batch
        return await self.journal.write(batch, advanced(batch, BatchEvent.LOST_CONTACT)) or batch

    async def _send_again(self, batch: Batch, provider: BatchProvider, order: BatchOrder) -> float:
        written: Batch | None = batch
        if batch.phase is not BatchPhase.CANCELLING:
            # One that shall stop is asked for too: its answer names the job that is to be stopped.
            unknown = await self._unknown(batch)
            after = advanced(unknown, BatchEvent.SUBMIT_STARTED, attempts=batch.attempts + 1)
            written = await self.journal.write(unknown, after)
        if written is None:
            return SOON_S
        try:
            ref = await answer_of(provider.submit(order), SUBMIT_S_MAX)
        except (SubmitRefused, ProviderBusy) as error:
            # Whatever it says of this attempt, it may have taken the one before.
            raise FateUnknown("the attempt before this one has no known outcome") from error
        await self._accepted(written, ref)
        return SOON_S

    async def _resubmit(self, batch: Batch) -> None:
        """The provider has had its time to show the job, and has none."""
        if batch.phase is BatchPhase.CANCELLING:
            await self.journal.write(batch, replace(batch, submit_started_at=None))
            return
        current = batch
        if batch.phase is BatchPhase.FATE_UNKNOWN:
            again = await self.journal.write(batch, advanced(batch, BatchEvent.SUBMIT_STARTED))
            if again is None:
                return
            current = again
        await self._deferred(current)


def required(provider: BatchProvider | None) -> BatchProvider:
    """Raises `FateUnknown` where nobody knows the account any more."""
    if provider is None:
        raise FateUnknown("the account is not configured any more")
    return provider


def deadline_of(provider: BatchProvider | None) -> float:
    """How long after its submit a job is waited for, in seconds."""
    return 3 * 86_400.0 if provider is None else provider.spec.deadline_s


async def answer_of(call: Awaitable[T], within_s: float) -> T:
    """Await a provider; one that does not answer says nothing about the job."""
    try:
        async with asyncio.timeout(within_s):
            return await call
    except TimeoutError as error:
        raise FateUnknown("no answer in time") from error


def _gone(batch: Batch) -> Failure:
    return Failure(FailureStage.GATEWAY, "input_lost", f"The lines of {batch.id} are gone.", retryable=False)

"""Fetch the answers of a batch, write them as OpenAI's output and error files, and end it.

Both files are internal until the transaction that ends the batch shows them: whatever dies before that, the next
attempt writes them anew, and nobody sees one of them twice or half.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from mediagate.batches.cost import BatchCosts, Meter
from mediagate.batches.cut_lines import LineCutter
from mediagate.batches.guard_lines import GuardLines, LineGuard
from mediagate.batches.journal import Journal, advanced, maker_of
from mediagate.batches.line_index import LineIndex
from mediagate.batches.prepare_batch import grouped
from mediagate.batches.write_results import ResultWriter
from mediagate.core.batches import Batch
from mediagate.core.guardrails import Stage
from mediagate.core.lifecycle import BatchEvent
from mediagate.core.limits import MIB
from mediagate.core.webhooks import FILE_CREATED, FILE_PROCESSED
from mediagate.files.ahead import ahead
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.remove_file import enqueue_removal
from mediagate.providers.batches import BatchProvider, BatchState, LineResult
from mediagate.routing.targets import Targets
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Transaction
from mediagate.store.files import FileLookup, FileRepository
from mediagate.webhooks.emit import emit_about_files

log = structlog.get_logger(__name__)
ANSWER_BYTES_MAX: Final = 64 * MIB
OUTPUT_BYTES_MAX: Final = 64 * 1024 * MIB
MISSING_AT_ONCE: Final = 5000
# What the provider no longer has is asked for again for this long, what cannot be fetched for a day.
GONE_FOR: Final = timedelta(hours=1)
UNREACHABLE_FOR: Final = timedelta(days=1)
PURPOSE: Final = "batch_output"

_ENDS: Final = {
    BatchState.SUCCEEDED: BatchEvent.COMPLETED,
    BatchState.EXPIRED: BatchEvent.EXPIRED,
    BatchState.CANCELLED: BatchEvent.CANCELLED,
}
_UNANSWERED: Final = {
    BatchState.SUCCEEDED: ("no_answer", "The provider gave no answer to this request."),
    BatchState.EXPIRED: ("batch_expired", "This request could not be executed before the completion window expired."),
    BatchState.CANCELLED: ("batch_cancelled", "The batch was cancelled before this request was executed."),
}
_LOST: Final = ("answers_lost", "The provider has ended the batch, and its answers could not be fetched.")


@dataclass(frozen=True, slots=True)
class FinishBatch:
    """Ends batches that their providers have ended."""

    intake: Intake
    files: FileLookup
    open_content: OpenContent
    targets: Targets
    journal: Journal
    costs: BatchCosts
    guard: GuardLines
    spool_dir: Path

    async def run(self, batch: Batch, provider: BatchProvider | None) -> Batch | None:
        """The batch at its end; None where somebody changed it meanwhile. Raises whatever may pass."""
        index = LineIndex(self.spool_dir)
        writing = _Writing(self, batch)
        try:
            await self._fill(index, batch)
            read = _unreadable if provider is None else provider.read
            created_at = int(batch.created_at.timestamp())
            meter = self.costs.meter(batch)
            writer = ResultWriter(batch.id, batch.endpoint, batch.model or "", created_at, index, read, meter)
            guard = self.guard.of(batch, Stage.ANSWER)
            lost = await self._fetch(batch, provider, _Reading(writer, guard), writing)
            outcome = BatchState(batch.outcome or BatchState.SUCCEEDED)
            code, message = _LOST if lost else _UNANSWERED[outcome]
            for start in range(0, len(index), MISSING_AT_ONCE):
                end = min(len(index), start + MISSING_AT_ONCE)
                await writing.errors(await asyncio.to_thread(writer.missing, start, end, code, message))
            return await self._end(batch, writer, writing, meter, _ENDS[outcome])
        except BaseException:
            await writing.abort()
            raise
        finally:
            index.close()

    async def _fill(self, index: LineIndex, batch: Batch) -> None:
        """The `custom_id`s. Nothing to name where the batch never got so far."""
        if batch.index_id is None:
            return
        file = await self.files.any(batch.index_id)
        if file is None:
            raise FileNotFoundError(batch.index_id)
        content = await self.open_content.of(file)
        await index.fill(ahead(content.read(0, content.size_bytes)))

    async def _fetch(self, batch: Batch, provider: BatchProvider | None, reading: _Reading, writing: _Writing) -> bool:
        """Whether answers are missing because they cannot be fetched any more."""
        if batch.provider_ref is None:
            return False
        ended_at, now = batch.finalizing_at or batch.cancelling_at or batch.created_at, self.journal.clock.now()
        if provider is None:
            if now < ended_at + UNREACHABLE_FOR:
                raise LookupError("the account is not configured any more")
            return True
        cutter = LineCutter(ANSWER_BYTES_MAX)
        try:
            async with aclosing(grouped(ahead(provider.outputs(batch.provider_ref)))) as chunks:
                async for chunk in chunks:
                    await writing.both(*await reading.take(cutter.feed(chunk)))
            await writing.both(*await reading.take(cutter.end()))
        except Exception as error:
            patience = GONE_FOR if isinstance(error, FileNotFoundError) else UNREACHABLE_FOR
            if now < ended_at + patience:
                raise
            log.error("batch_answers_lost", batch_id=batch.id, error=type(error).__name__)
            return True
        return False

    async def _end(
        self, batch: Batch, writer: ResultWriter, writing: _Writing, meter: Meter, event: BatchEvent
    ) -> Batch | None:
        output_id, error_id = await writing.finish()
        usage = writer.tokens.plain()
        bill = meter.bill()
        after = advanced(
            batch,
            event,
            completed=writer.completed,
            failed=writer.failed,
            usage=usage,
            output_file_id=output_id,
            error_file_id=error_id,
            cost_usd=bill.usd,
            cost_source=bill.source,
        )
        made = [file_id for file_id in (output_id, error_id) if file_id is not None]

        async def show(tx: Transaction) -> None:
            await BatchRepository(tx.connection).reveal(made)
            await emit_about_files(tx, made, [FILE_CREATED, FILE_PROCESSED], now=self.journal.clock.now())

        written = await self.journal.write(batch, after, reason=bill.reason, also=show)
        if written is None:
            await self._drop(made)
        return written

    async def _drop(self, file_ids: Sequence[str]) -> None:
        async with self.intake.db.transaction() as tx:
            for file_id in file_ids:
                if await FileRepository(tx.connection).entomb_internal(file_id):
                    await enqueue_removal(tx, file_id)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The answers of one attempt."""

    writer: ResultWriter
    guard: LineGuard | None

    async def take(self, lines: Sequence[bytes]) -> tuple[bytes, bytes]:
        """The lines of both files for some of the provider's."""
        if not lines:
            return b"", b""
        if self.guard is None:
            return await asyncio.to_thread(self.writer.take, lines)
        results = await asyncio.to_thread(self.writer.read, lines)
        for place, refusal in (await self.guard.refusals([one.body or {} for one in results])).items():
            # It was paid for all the same.
            results[place].refuse(refusal.code, refusal.message)
        return await asyncio.to_thread(self.writer.write, results)


class _Writing:
    """The two files of one attempt, each begun with its first line."""

    def __init__(self, rules: FinishBatch, batch: Batch) -> None:
        self._rules = rules
        self._batch = batch
        self._incoming: dict[str, IncomingFile] = {}

    async def both(self, output: bytes, errors: bytes) -> None:
        """The next lines of both files."""
        await self._write("output", output)
        await self._write("error", errors)

    async def errors(self, data: bytes) -> None:
        """The next lines of the error file."""
        await self._write("error", data)

    async def _write(self, name: str, data: bytes) -> None:
        if not data:
            return
        if name not in self._incoming:
            self._incoming[name] = await self._begin(self._name(name))
        await self._incoming[name].write(data)

    async def _begin(self, filename: str) -> IncomingFile:
        who, batch = maker_of(self._batch), self._batch
        placement = Placement(
            self._rules.targets.default(who),
            filename=filename,
            # What stores call a file that they hand back.
            purpose="batch",
            life_s=batch.output_life_s,
            required=dict(batch.required or {}),
        )
        return await self._rules.intake.begin(
            who, size_bytes_max=OUTPUT_BYTES_MAX, placement=placement, internal=True, end_user=batch.end_user
        )

    def _name(self, name: str) -> str:
        return f"{self._batch.id}_{name}.jsonl"

    async def finish(self) -> tuple[str | None, str | None]:
        """Make them whole; the ids of the output and of the error file."""
        ids: dict[str, str] = {}
        for name, incoming in self._incoming.items():
            facts = FileFacts(
                filename=self._name(name),
                purpose=PURPOSE,
                life_s=self._batch.output_life_s,
                end_user=self._batch.end_user,
            )
            ids[name] = (await incoming.finish(await incoming.store(), facts)).id
        # From here on the batch may have them, whatever is said of it: what it does not have is swept.
        self._incoming = {}
        return ids.get("output"), ids.get("error")

    async def abort(self) -> None:
        """Leave nothing."""
        for incoming in self._incoming.values():
            await incoming.abort()
        self._incoming = {}


def _unreadable(_: bytes) -> LineResult:
    raise ValueError("nobody reads these lines")

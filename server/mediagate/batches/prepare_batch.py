"""Read a batch's input: every line is checked, written in the provider's words, and on its way there at once.

Nothing is held but the group of lines at hand: a fault in the last line of a million is found behind all the others,
and what was written until then is dropped. What is kept are two internal files: the lines for the provider, and the
callers' `custom_id`s, by which the answers are named although the input may be deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeVar

import structlog

from mediagate.batches.check_line import LineChecker
from mediagate.batches.cost import BatchCosts
from mediagate.batches.cut_lines import LineCutter
from mediagate.batches.guard_lines import GuardLines
from mediagate.batches.journal import Journal, advanced
from mediagate.batches.translate import Group, Line, Translator, writer_for
from mediagate.batches.turn import Turn
from mediagate.core.batches import Batch, LineError
from mediagate.core.chat import FileUse, MediaKind, Mention
from mediagate.core.errors import InsufficientQuota, InvalidField, MediagateError, PayloadTooLarge
from mediagate.core.guardrails import Stage
from mediagate.core.lifecycle import BatchEvent
from mediagate.core.limits import MIB
from mediagate.core.objects import Principal
from mediagate.files.ahead import ahead
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import Content
from mediagate.providers.batches import BatchProvider, BatchSpec, InputPlace
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database, Transaction

log = structlog.get_logger(__name__)
T = TypeVar("T")
LINE_BYTES_MAX: Final = 32 * MIB
COPY_BYTES_MAX: Final = 8 * 1024 * MIB
GROUP_BYTES: Final = 256 * 1024
LOOK_S: Final = 2.0
INLINE_CHARS_HELD: Final = 8 * MIB


class TellsFiles(Protocol):
    """Says how the provider of a batch is told of files in its lines, copying them there where it takes that."""

    def run(self, batch: Batch, mention: Mention) -> Coroutine[Any, Any, tuple[MediaKind, FileUse] | None]:
        """None for what goes to the provider as it is. Raises as a chat with such a file does."""
        ...


class Cancelled(Exception):
    """Somebody asked for the end of the batch meanwhile."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of an input: `errors` say what is wrong with it; without any, the batch with its two files."""

    batch: Batch | None
    errors: Sequence[LineError] = ()


@dataclass(frozen=True, slots=True)
class PrepareBatch:
    """Makes a batch ready to be submitted."""

    db: Database
    intake: Intake
    open_content: OpenContent
    journal: Journal
    tell_files: TellsFiles
    costs: BatchCosts
    guard: GuardLines
    drop_settings: frozenset[str] = field(default_factory=frozenset)

    async def run(self, batch: Batch, provider: BatchProvider | None, turn: Turn) -> Prepared:
        """`provider` is None where the file does not say who shall answer; then what is wrong with it is found.

        Raises `Cancelled` where that was asked for meanwhile, `FileNotFoundError` where the input is gone, and whatever
        may pass.
        """
        # Whoever asked could see it; an owner gives a file of its own for one of its end users too.
        _, content = await self.open_content.find(Principal(batch.owner_id), batch.input_file_id)
        reading = _Reading(self, batch, provider, turn)
        try:
            return await reading.run(content)
        except BaseException:
            await reading.abort()
            raise


class _Reading:
    """One pass over one input."""

    def __init__(self, rules: PrepareBatch, batch: Batch, provider: BatchProvider | None, turn: Turn) -> None:
        self._rules = rules
        self._turn = turn
        self._batch = batch
        self._spec: BatchSpec | None = None if provider is None else provider.spec
        write = None
        if provider is not None and batch.provider_model is not None:
            drops = batch.deployment in rules.drop_settings
            write = writer_for(provider, batch.endpoint, batch.provider_model, drop_settings=drops)
        lines_max = None if self._spec is None else self._spec.lines_max
        self._translator = Translator(
            LineChecker(batch.endpoint, batch.model),
            write,
            batch.endpoint,
            lines_max=lines_max,
            window=rules.costs.window(batch),
        )
        self._guard = rules.guard.of(batch, Stage.PROMPT)
        self._copy: IncomingFile | None = None
        self._index: IncomingFile | None = None
        self._looked_at = time.monotonic()

    async def run(self, content: Content) -> Prepared:
        line_max = LINE_BYTES_MAX
        if self._spec is not None and self._spec.line_bytes_max is not None:
            line_max = min(line_max, self._spec.line_bytes_max)
        cutter = LineCutter(line_max)
        async with aclosing(grouped(ahead(content.read(0, content.size_bytes)))) as chunks:
            async for chunk in chunks:
                await self._take(cutter.feed(chunk))
                if self._translator.is_full:
                    break
                await self._require_wanted()
            else:
                await self._take(cutter.end())
        self._check_whole()
        if self._translator.errors or self._copy is None or self._index is None:
            await self.abort()
            return Prepared(None, tuple(self._translator.errors))
        try:
            return Prepared(await self._finish(self._copy, self._index))
        except (InsufficientQuota, InvalidField) as error:
            # There is no money for it.
            await self.abort()
            return Prepared(None, (LineError(error.code, error.message, param=error.param),))

    async def _take(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        group, written = await asyncio.to_thread(self._work, lines)
        await self._judge(group)
        if group.is_plain:
            await self._pass_on(written, group.ids)
            return
        async for written in self._with_files(group):
            await self._pass_on(written)
        await self._pass_on(b"", group.ids)

    async def _pass_on(self, written: bytes, ids: bytes = b"") -> None:
        translator, spec = self._translator, self._spec
        if translator.errors:
            await self.abort()
        if translator.errors or spec is None or not (written or ids):
            return
        if self._copy is None or self._index is None:
            await self._begin(spec)
        assert self._copy is not None
        assert self._index is not None
        try:
            await self._copy.write(written)
            await self._index.write(ids)
        except PayloadTooLarge:
            most = f" of {spec.input_bytes_max} bytes" if spec.input_bytes_max else ""
            translator.fail("file_too_large", f"The file is larger than {spec.title} takes{most}.")
            await self.abort()

    async def _judge(self, group: Group) -> None:
        if self._guard is None or self._translator.errors:
            return
        for place, refusal in (await self._guard.refusals([line.body for line in group.lines])).items():
            self._translator.refused(refusal, group.lines[place].ordinal + 1)

    def _work(self, lines: Sequence[bytes]) -> tuple[Group, bytes]:
        """In a thread: the lines as the provider takes them, where none mentions a file."""
        group = self._translator.read(lines)
        return group, self._translator.write(group.lines) if group.is_plain else b""

    async def _with_files(self, group: Group) -> AsyncIterator[bytes]:
        """The lines of a group as the provider takes them. A file that many lines mention is looked up, and copied,
        once; of content that goes inside lines some MiB are held at once."""
        waiting: list[Line] = []
        held = 0
        for line in group.lines:
            for mention in self._translator.unknown(line):
                held += await self._tell(line, mention)
            waiting.append(line)
            if held >= INLINE_CHARS_HELD:
                yield await asyncio.to_thread(self._translator.write, waiting)
                waiting, held = [], 0
            if self._translator.is_full:
                return
        yield await asyncio.to_thread(self._translator.write, waiting)

    async def _tell(self, line: Line, mention: Mention) -> int:
        try:
            told = await self._while_wanted(self._rules.tell_files.run(self._batch, mention))
        except MediagateError as error:
            if error.retryable:
                raise
            self._translator.refused(error, line.ordinal + 1)
            return 0
        return 0 if told is None else self._translator.tell(line, mention, told)

    async def _begin(self, spec: BatchSpec) -> None:
        """Both files belong to the owner and count for nobody: they are ours, and gone with the batch."""
        batch, stores = self._batch, self._rules.intake.stores
        who = Principal(batch.owner_id)
        in_account = spec.input_place is InputPlace.ACCOUNT and batch.file_account is not None
        account = batch.file_account if in_account and batch.file_account else stores.scratch_account
        size_max = spec.input_bytes_max or COPY_BYTES_MAX
        self._copy = await self._open(who, account, size_max, f"{batch.id}.jsonl")
        self._index = await self._open(who, stores.scratch_account, COPY_BYTES_MAX, f"{batch.id}-ids.jsonl")

    async def _open(self, who: Principal, account: str, size_max: int, name: str) -> IncomingFile:
        placement = Placement((account,), filename=name, purpose="batch", required=dict(self._batch.required or {}))
        return await self._rules.intake.begin(who, size_bytes_max=size_max, placement=placement, internal=True)

    def _check_whole(self) -> None:
        translator, spec = self._translator, self._spec
        if translator.errors:
            return
        if not translator.lines:
            translator.fail("empty_file", "The input file has no requests.")
        elif spec is None:
            translator.fail("model_not_found", "No line says which model shall answer.")
        elif translator.lines < spec.lines_min:
            translator.fail("too_few_lines", f"{spec.title} takes batches of {spec.lines_min} lines and more.")

    async def _finish(self, copy: IncomingFile, index: IncomingFile) -> Batch:
        batch = self._batch
        await copy.finish(await copy.store(), FileFacts(filename=f"{batch.id}.jsonl", purpose="batch"))
        received = await index.store()
        costs, usd = self._rules.costs, self._rules.costs.most(batch, self._translator.bounds)
        after = advanced(
            batch,
            BatchEvent.PREPARED,
            copy_id=copy.id,
            index_id=index.id,
            lines=self._translator.lines,
            estimate_usd=None if usd is None else float(usd),
        )
        written = replace(after, seq=batch.seq + 1)

        async def note(tx: Transaction) -> None:
            if not await BatchRepository(tx.connection).change(batch, after):
                raise Cancelled
            # Last, because others wait for the budgets that it moves.
            await costs.reserve(tx, batch, usd)

        # From here on the batch may have them, whatever is said of it: what it does not have is swept.
        self._copy = self._index = None
        try:
            await index.finish(received, FileFacts(filename=f"{batch.id}-ids.jsonl", purpose="batch"), also=note)
        except (Cancelled, InsufficientQuota, InvalidField):
            self._copy, self._index = copy, index
            raise
        finally:
            self._rules.intake.leases.release(index.id)
        return written

    async def _while_wanted(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call that may take long, while which it is the turn of others. Raises `Cancelled` as soon as nobody
        waits for the batch any more."""
        task = asyncio.create_task(call)
        try:
            await self._require_wanted()
            while not (await asyncio.wait([task], timeout=LOOK_S))[0]:
                self._turn.leave()
                await self._require_wanted()
            await self._turn.resume()
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _require_wanted(self) -> None:
        if time.monotonic() < self._looked_at + LOOK_S:
            return
        self._looked_at = time.monotonic()
        async with self._rules.db.reading() as connection:
            if await BatchRepository(connection).is_cancelled(self._batch.id):
                raise Cancelled

    async def abort(self) -> None:
        """Leave nothing of the two files."""
        for incoming in (self._copy, self._index):
            if incoming is not None:
                await incoming.abort()
        self._copy = self._index = None


async def grouped(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Chunks of about `GROUP_BYTES`: a thread for each small one would cost more than the work."""
    held: list[bytes] = []
    size = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size >= GROUP_BYTES:
                yield b"".join(held)
                held, size = [], 0
    if held:
        yield b"".join(held)

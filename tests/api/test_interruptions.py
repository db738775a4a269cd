"""The product on the real database, cut off at any moment: a file is whole and readable, or nothing of it is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from mediagate.core.errors import (
    InvalidField,
    MediagateError,
    PayloadTooLarge,
    StateConflict,
    TruncatedUpload,
    Unavailable,
)
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent
from mediagate.core.objects import Principal, UploadPart
from mediagate.files.add_part import AddPart
from mediagate.files.complete_upload import CompleteUpload
from mediagate.files.create_file import CreateFile
from mediagate.files.create_upload import CreateUpload
from mediagate.files.facts import FileFacts
from mediagate.files.get_file import GetFile
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.reconcile import Reconcile
from mediagate.files.remove_file import RemoveReplicas, SweepFiles
from mediagate.net.fetcher import Fetcher
from mediagate.net.urls import FetchRules
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import Named, Targets, Wish
from mediagate.store.database import Database
from mediagate.store.files import FileLookup, FileRepository
from mediagate.videos.inputs import KeepInput
from tests.api.wire import sql
from tests.conftest import Gateway

MIB = 1 << 20


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


class Shop:
    """Everything that makes files, with a store of its own and an owner whom nobody else knows."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.gateway, self.folder = gateway, folder
        self.who = Principal(f"owner-{uuid4()}")
        self.clock = Clock()
        self.db = Database(gateway.database_url)
        account = Account("local", "local", options={"root": str(folder), "fsync": False})
        self.stores = FileStores([account])
        targets = Targets(self.stores, ModelCatalog([], {}))
        self.intake = Intake(self.db, self.stores, self.clock)
        self.get_file = GetFile(FileLookup(self.db), self.clock)
        self.create = CreateFile(self.intake, targets, folder.parent / "spool", 100 * MIB, 100 * MIB)
        self.begin = CreateUpload(
            self.db, targets, self.clock, upload_bytes_max=100 * MIB, batch_bytes_max=MIB, lifetime_s=3600
        )
        self.add = AddPart(self.db, self.stores, self.clock, 100 * MIB)
        self.complete = CompleteUpload(self.db, self.stores, self.clock, self.intake, self.get_file)
        reconcile = Reconcile(self.db, self.stores, self.clock)
        self.open = OpenContent(self.stores, self.get_file, reconcile, self.clock)
        self.sweep = SweepFiles(self.db, RemoveReplicas(self.db, self.stores), self.clock)

    def rows(self) -> list[tuple[str, str, int]]:
        return sql(self.gateway, "SELECT id, state, size_bytes FROM file WHERE owner_id = %s", self.who.owner_id)  # type: ignore[return-value]

    def parts(self) -> list[tuple[str, int]]:
        query = "SELECT p.id, p.size_bytes FROM upload_part p JOIN upload u ON u.id = upload_id WHERE owner_id = %s"
        return sql(self.gateway, query, self.who.owner_id)  # type: ignore[return-value]

    def stored(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.folder.rglob("*") if path.is_file()}

    async def settled(self) -> None:
        """Wait until what goes on behind cancelled callers has ended."""
        for _ in range(200):
            rows, parts = self.rows(), self.parts()
            whole = all(row[1] != "receiving" for row in rows) and all(part[1] >= 0 for part in parts)
            if whole and set(self.stored()) == {row[0] for row in rows} | {part[0] for part in parts}:
                return
            await asyncio.sleep(0.02)

    async def upload(self, size: int) -> str:
        upload = await self.begin.run(
            self.who,
            size_bytes=size,
            filename="a",
            mime_type="b",
            purpose="user_data",
            expires_after=None,
            named=Named(),
            wish=Wish(),
        )
        return upload.id


@pytest.fixture
async def shop(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(gateway, tmp_path / "store")
    yield made
    await made.intake.leases.close()
    await made.db.close()


async def form(size: int, name: str = "file", purpose: str = "user_data") -> AsyncIterator[FormEvent]:
    """A form that comes in pieces, with a pause between them."""
    yield FieldEnd("purpose", purpose)
    yield FileStart(name, "a.jsonl", "x/y")
    left = size
    while left:
        piece = min(left, 300_000)
        left -= piece
        yield FileData(b"x" * piece)
        await asyncio.sleep(0)
    yield FileEnd()


async def cut(work: asyncio.Task[object], after_s: float) -> None:
    """Cancel the work after some time, unless it has ended by then."""
    await asyncio.wait([work], timeout=after_s)
    work.cancel()
    await asyncio.wait([work])
    assert work.cancelled() or work.exception() is None or isinstance(work.exception(), MediagateError)


def moments(count: int, longest_s: float) -> list[float]:
    """Times to cut at; most are early, where most happens."""
    chance = random.Random(4711)
    return [0.0, *(longest_s * chance.random() ** 2 for _ in range(count))]


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
async def test_a_creation_that_is_cut_off_leaves_a_whole_file_or_nothing(shop: Shop, size: int) -> None:
    for after_s in moments(40, 0.03):
        await cut(asyncio.create_task(shop.create.run(shop.who, form(size))), after_s)
    await shop.settled()
    assert {(state, stored) for _, state, stored in shop.rows()} <= {("processed", size)}
    assert shop.stored() == {file_id: size for file_id, _, _ in shop.rows()}


async def test_a_part_that_is_cut_off_is_whole_or_gone(shop: Shop) -> None:
    upload = await shop.upload(MIB)
    for after_s in moments(40, 0.02):
        await cut(asyncio.create_task(shop.add.run(shop.who, upload, form(MIB, "data"))), after_s)
    await shop.settled()
    assert {size for _, size in shop.parts()} <= {MIB}
    assert shop.stored() == dict(shop.parts())


async def test_a_completion_that_is_cut_off_can_be_asked_for_again(shop: Shop) -> None:
    for after_s in moments(25, 0.02):
        upload = await shop.upload(MIB)
        part = await shop.add.run(shop.who, upload, form(MIB, "data"))
        await cut(asyncio.create_task(shop.complete.run(shop.who, upload, [part.id], None)), after_s)
        for _ in range(100):
            try:
                done, file = await shop.complete.run(shop.who, upload, [part.id], None)
            except StateConflict:
                await asyncio.sleep(0.02)  # The one that was cut off is still at its clean-up.
            else:
                break
        assert done.state == "completed"
        assert (await shop.open.run(shop.who, file.id))[1].size_bytes == MIB
    assert len(shop.rows()) == 26
    assert {state for _, state, _ in shop.rows()} == {"processed"}


async def test_many_completions_at_once_make_one_file(shop: Shop) -> None:
    upload = await shop.upload(2 * MIB)
    parts = [(await shop.add.run(shop.who, upload, form(MIB, "data"))).id for _ in range(2)]
    orders = [parts, parts[::-1]] * 5
    calls = [shop.complete.run(shop.who, upload, order, None) for order in orders]
    results = await asyncio.gather(*calls, return_exceptions=True)
    made = {result[1].id for result in results if isinstance(result, tuple)}
    assert len(made) == 1
    assert [row[0] for row in shop.rows()] == list(made)
    agreed = next(order for order, result in zip(orders, results, strict=True) if isinstance(result, tuple))
    for order, result in zip(orders, results, strict=True):
        assert isinstance(result, tuple if order == agreed else StateConflict), result


async def test_a_receiver_that_lost_its_lease_cannot_finish(shop: Shop) -> None:
    incoming = await shop.intake.begin(shop.who, size_bytes_max=100)
    await incoming.write(b"abc")
    shop.clock.time += timedelta(seconds=301)
    await shop.sweep.run()
    assert shop.rows() == []
    with pytest.raises(TruncatedUpload):
        await incoming.finish(await incoming.store(), FileFacts("a", "user_data"))
    await incoming.abort()
    assert shop.stored() == {}


async def test_a_receiver_that_lives_keeps_its_lease(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.files.leases.RENEW_S", 0.05)
    incoming = await shop.intake.begin(shop.who, size_bytes_max=100)
    for _ in range(5):
        shop.clock.time += timedelta(seconds=20)
        await incoming.write(b"abc")
        await asyncio.sleep(0.2)
        await shop.sweep.run()
    file = await incoming.finish(await incoming.store(), FileFacts("a", "user_data"))
    assert file.size_bytes == 15
    assert shop.stored() == {file.id: 15}


async def test_a_sweep_and_a_late_receiver_never_leave_a_file_without_bytes(shop: Shop) -> None:
    """A lease that is over by a moment: either the file is there with its bytes, or it is gone with them."""
    for _ in range(30):
        incoming = await shop.intake.begin(shop.who, size_bytes_max=100)
        await incoming.write(b"abc")
        blob = await incoming.store()
        shop.clock.time += timedelta(seconds=301)
        finishing = asyncio.create_task(incoming.finish(blob, FileFacts("a", "user_data")))
        sweeping = asyncio.create_task(shop.sweep.run())
        await asyncio.wait([finishing, sweeping])
        if finishing.exception() is not None:
            await incoming.abort()
    assert {row[1] for row in shop.rows()} <= {"processed"}
    assert set(shop.stored()) == {row[0] for row in shop.rows()}


@pytest.mark.parametrize("behind", [False, True])
async def test_a_batch_has_its_own_limit(shop: Shop, behind: bool) -> None:
    """It is refused in the middle where its purpose is known by then."""
    create = CreateFile(shop.intake, shop.create.targets, shop.create.spool_dir, 100 * MIB, 1000 * 1000)
    events = [event async for event in form(1000 * 1000 + 1, purpose="batch")]
    taken = 0

    async def sent() -> AsyncIterator[FormEvent]:
        nonlocal taken
        for event in [*events[1:], events[0]] if behind else events:
            taken += 1
            yield event

    with pytest.raises(PayloadTooLarge, match="a batch file may have 1000000 bytes"):
        await create.run(shop.who, sent())
    assert taken == len(events) if behind else taken < len(events)
    assert shop.rows() == []
    assert shop.stored() == {}
    assert (await create.run(shop.who, form(1000 * 1000, purpose="batch"))).size_bytes == 1000 * 1000


async def test_a_store_that_takes_nothing_leaves_no_row(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_new: NewFile) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(shop.stores.scratch(), "create", refuse)
    with pytest.raises(OSError, match="disk full"):
        await shop.create.run(shop.who, form(10))
    upload = await shop.upload(3)
    with pytest.raises(OSError, match="disk full"):
        await shop.add.run(shop.who, upload, form(3, "data"))
    assert shop.rows() == []
    assert shop.parts() == []


class StandingStill(CompleteUpload):
    """Stops before it reads the parts, until its gate is opened."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.db, shop.stores, shop.clock, shop.intake, shop.get_file)
        object.__setattr__(self, "gate", asyncio.Event())
        object.__setattr__(self, "reached", asyncio.Event())

    gate: asyncio.Event
    reached: asyncio.Event

    async def _copy(self, parts: Sequence[UploadPart], incoming: IncomingFile, md5: str | None) -> None:
        self.reached.set()
        await self.gate.wait()
        await super()._copy(parts, incoming, md5)


async def test_a_repeated_completion_waits_for_the_first_and_has_its_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await shop.upload(3)
    part = await shop.add.run(shop.who, upload, form(3, "data"))
    slow = StandingStill(shop)
    first = asyncio.create_task(slow.run(shop.who, upload, [part.id], None))
    await slow.reached.wait()
    with monkeypatch.context() as impatient:
        impatient.setattr("mediagate.files.complete_upload.WAIT_S", 0.1)
        with pytest.raises(Unavailable):
            await shop.complete.run(shop.who, upload, [part.id], None)
    again = asyncio.create_task(shop.complete.run(shop.who, upload, [part.id], None))
    await asyncio.sleep(0.3)
    assert not again.done()
    with pytest.raises(StateConflict):
        await shop.complete.run(shop.who, upload, [], None)
    first.cancel()
    slow.gate.set()
    done, file = await again
    assert (done.state, done.file_id) == ("completed", file.id)
    assert [row[:2] for row in shop.rows()] == [(file.id, "processed")]


async def test_an_older_completion_cannot_undo_a_newer_one(shop: Shop, gateway: Gateway) -> None:
    """A completion that stood still for so long that another took over changes nothing when it wakes up."""
    upload = await shop.upload(3)
    part = await shop.add.run(shop.who, upload, form(3, "data"))
    slow = StandingStill(shop)
    older = asyncio.create_task(slow.run(shop.who, upload, [part.id], None))
    await slow.reached.wait()
    shop.clock.time += timedelta(seconds=301)
    _, file = await shop.complete.run(shop.who, upload, [part.id], None)
    slow.gate.set()
    await asyncio.wait([older])
    assert isinstance(older.exception(), MediagateError)
    assert sql(gateway, "SELECT state, file_id FROM upload WHERE id = %s", upload) == [("completed", file.id)]
    assert (await shop.open.run(shop.who, file.id))[1].size_bytes == 3
    await shop.sweep.run()
    assert [row[:2] for row in shop.rows()] == [(file.id, "processed")]


@pytest.mark.parametrize("how", ["one", "all"])
async def test_two_who_remove_one_file_never_wait_for_each_other(shop: Shop, how: str) -> None:
    """A job and the receiver, which meet at its copy: the database ended one of them for a deadlock."""
    removals = RemoveReplicas(shop.db, shop.stores)
    incoming = await shop.intake.begin(shop.who, size_bytes_max=MIB)
    await incoming.write(b"x")
    async with shop.db.transaction() as tx:
        await FileRepository(tx.connection).retract(incoming.id)
    async with shop.db.transaction() as tx:
        row = text("SELECT FROM file_replica WHERE file_id = :id FOR UPDATE")
        await tx.connection.execute(row, {"id": incoming.id})
        work = removals.one(incoming.id, "local") if how == "one" else removals.all_of([incoming.id])
        job = asyncio.create_task(work)
        await waiting(shop, 1)
        receiver = asyncio.create_task(incoming.abort())
        await waiting(shop, 2)
    await asyncio.gather(job, receiver)
    assert shop.rows() == []
    assert shop.stored() == {}


async def waiting(shop: Shop, count: int) -> None:
    """Return once so many transactions wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while sql(shop.gateway, query)[0][0] < count:
        await asyncio.sleep(0.02)


async def test_an_input_of_the_wrong_kind_is_at_no_time_a_file(shop: Shop) -> None:
    keep = KeepInput(shop.intake, Fetcher(FetchRules()), MIB, MIB)
    incoming = await keep.begin(shop.who, "video")
    await keep.write(incoming, b"just text", "video")
    with pytest.raises(InvalidField):
        await keep.finish(incoming, "a.mp4", "video")
    assert not await incoming.is_readable()
    assert [row[1] for row in shop.rows()] == ["receiving"]
    assert not sql(shop.gateway, "SELECT FROM procrastinate_jobs WHERE lock = %s", incoming.id)
    await incoming.abort()
    assert shop.rows() == []
    assert shop.stored() == {}

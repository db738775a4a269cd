"""Death at any moment: nothing that was acknowledged is lost or altered, and what was not is cleared away."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import openai
import psycopg
import pytest

from mediagate.core import ids
from mediagate.core.errors import NotFound, StateConflict, TruncatedUpload
from mediagate.core.forms import FileData, FileStart, FormEvent
from mediagate.core.objects import Principal
from mediagate.files.add_part import AddPart
from mediagate.files.cancel_upload import CancelUpload
from mediagate.files.complete_upload import CompleteUpload
from mediagate.files.create_upload import CreateUpload
from mediagate.files.facts import FileFacts
from mediagate.files.get_file import GetFile
from mediagate.files.intake import Intake
from mediagate.files.reconcile import PAGE, Reconcile
from mediagate.files.remove_file import DropParts, RemoveReplicas, ResumeRemovals, SweepFiles
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile
from mediagate.providers.local.files import LocalFiles
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import Named, Targets, Wish
from mediagate.store.database import Database, Transaction
from mediagate.store.files import FileLookup
from tests.api.wire import FORM_TYPE, eventually, field, file_part, form, sql, stored
from tests.conftest import TEST_CONFIG, Gateway

MIB = 1 << 20
SEED = 4321
UPLOADS = 60
KILLS = 15
THREADS = 6
VICTIMS = ("api-0", "worker", "envoy", "postgres")
SOMEBODY = Principal("somebody")
FACTS = FileFacts("a.bin", "user_data")
HOURS = timedelta(hours=2)


@pytest.fixture(scope="module")
def stack(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that only this module uses."""
    return own_gateway(TEST_CONFIG)


class Sender:
    """A client that retries nothing. It remembers what it sent, and which ids it was told."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.sent: dict[str, int] = {}
        self.acknowledged: dict[str, str] = {}

    def send(self, number: int) -> None:
        """Send one file, every fourth in parts, at a pace at which it can be hit."""
        rng = random.Random(SEED * 1000 + number)
        data = rng.randbytes(rng.choice([0, 1, rng.randrange(1 << 16), rng.randrange(8 * MIB), 8 * MIB]))
        digest = hashlib.sha256(data).hexdigest()
        self.sent[digest] = len(data)
        self._gateway.wait_ready()
        send = self._in_parts if number % 4 == 0 and data else self._whole
        with suppress(httpx.TransportError, openai.APIError):
            self.acknowledged[send(data, rng.uniform(0.0, 0.1))] = digest

    def _whole(self, data: bytes, pause_s: float) -> str:
        body = form(field("purpose", "user_data"), file_part(data))
        headers = {"content-type": FORM_TYPE, "content-length": str(len(body))}

        def pieces() -> Iterator[bytes]:
            step = len(body) // 10 + 1
            for start in range(0, len(body), step):
                yield body[start : start + step]
                time.sleep(pause_s)

        with self._gateway.http() as http:
            reply = http.post("/v1/files", content=pieces(), headers=headers)
            if reply.status_code != 200:
                raise httpx.TransportError(f"refused with {reply.status_code}")
            return str(reply.json()["id"])

    def _in_parts(self, data: bytes, pause_s: float) -> str:
        with self._gateway.openai() as client:
            upload = client.uploads.create(
                bytes=len(data), filename="a.bin", mime_type="application/octet-stream", purpose="user_data"
            )
            half = len(data) // 2
            parts = []
            for part in (data[:half], data[half:]):
                time.sleep(pause_s)
                parts.append(client.uploads.parts.create(upload.id, data=part).id)
            done = client.uploads.complete(upload.id, part_ids=parts)
            assert done.file is not None
            return done.file.id


def kill_at_random(gateway: Gateway) -> None:
    """Kill children with SIGKILL, each once all is well again."""
    rng = random.Random(SEED)
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.05, 0.5))
        gateway.kill(rng.choice(VICTIMS))
        gateway.wait_ready()


@pytest.mark.soak
async def test_no_kill_loses_or_alters_a_file_or_leaves_a_trace(stack: Gateway) -> None:
    """What the client was told is there, what is listed is whole, and once leases are over nothing else exists."""
    sender, numbers = Sender(stack), itertools.count()
    with concurrent.futures.ThreadPoolExecutor(THREADS + 1) as pool:
        killer = pool.submit(kill_at_random, stack)

        def work() -> None:
            while (number := next(numbers)) < UPLOADS or not killer.done():
                sender.send(number)

        for worker in [pool.submit(work) for _ in range(THREADS)]:
            worker.result()
        killer.result()
    stack.wait_ready()
    assert len(sender.acknowledged) > UPLOADS // 4, "most of the time it worked"

    with stack.http() as http:
        for file_id, digest in sender.acknowledged.items():
            assert hashlib.sha256(http.get(f"/v1/files/{file_id}/content").content).hexdigest() == digest
        for file in http.get("/v1/files?limit=10000").json()["data"]:
            content = http.get(f"/v1/files/{file['id']}/content")
            assert content.status_code == 200, file
            assert sender.sent[hashlib.sha256(content.content).hexdigest()] == len(content.content) == file["bytes"]

    async with room_of(stack) as room:
        room.clock.ahead = HOURS
        await room.clear_away()
    assert sql(stack, "SELECT id, state FROM file WHERE state <> 'processed'") == []
    assert sql(stack, "SELECT id FROM upload_part") == []
    assert sql(stack, "SELECT id FROM upload WHERE state IN ('pending', 'completing')") == []
    rows = {row[0] for row in sql(stack, "SELECT id FROM file")}
    assert {path.name for path in stored(stack)} == rows
    assert set(sender.acknowledged) <= rows


class LaterClock:
    """The machine's clock, ahead by a time that a test chooses."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class ForgetfulDatabase(Database):
    """A database whose connection can break at the end of the next transaction, on either side of its commit."""

    break_before_commit = break_after_commit = away = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self.away:
            raise psycopg.OperationalError("the database is away")
        async with super().transaction() as tx:
            yield tx
            if self.break_before_commit:
                self.break_before_commit = False
                raise psycopg.OperationalError("the connection is lost")
        if self.break_after_commit:
            self.break_after_commit = False
            raise psycopg.OperationalError("the connection is lost")


class Room:
    """The product's own operations over a running gateway's database and store."""

    def __init__(self, gateway: Gateway) -> None:
        self.db = ForgetfulDatabase(gateway.database_url)
        self.clock = LaterClock()
        self.store = LocalFiles(gateway.data_dir / "files", fsync=False)
        self.stores = FileStores([Account("local", "local")], build=lambda _: self.store)
        self.intake = Intake(self.db, self.stores, self.clock)
        self.get_file = GetFile(FileLookup(self.db), self.clock)
        self.remove_replicas = RemoveReplicas(self.db, self.stores)
        self.sweep = SweepFiles(self.db, self.remove_replicas, self.clock)
        self.reconcile = Reconcile(self.db, self.stores, self.clock)
        self.drop_parts = DropParts(self.db, self.stores)
        targets = Targets(self.stores, ModelCatalog([], {}))
        self.create_upload = CreateUpload(self.db, targets, self.clock, 64 * MIB, 64 * MIB, 3600)
        self.add_part = AddPart(self.db, self.stores, self.clock, 64 * MIB)
        self.complete_upload = CompleteUpload(self.db, self.stores, self.clock, self.intake, self.get_file)
        self.cancel_upload = CancelUpload(self.db, self.clock)

    async def clear_away(self) -> None:
        """What the worker does by itself, every ten seconds and every minute."""
        while await self.sweep.run():
            pass
        await ResumeRemovals(self.db, self.remove_replicas, self.drop_parts).run()
        await self.reconcile.recent()

    def traces(self, key: str) -> list[Path]:
        """Whatever the store holds under a key, half or whole."""
        return [path for path in (self.store.path("x" * 8).parent.parent).rglob("*") if path.name.startswith(key)]

    async def begin_upload(self, size_bytes: int) -> str:
        upload = await self.create_upload.run(
            SOMEBODY,
            size_bytes=size_bytes,
            filename="a",
            mime_type="b",
            purpose="user_data",
            expires_after=None,
            named=Named(),
            wish=Wish(),
        )
        return upload.id


@asynccontextmanager
async def room_of(gateway: Gateway) -> AsyncIterator[Room]:
    made = Room(gateway)
    try:
        yield made
    finally:
        await made.intake.leases.close()
        await made.db.close()


@pytest.fixture
async def room(stack: Gateway) -> AsyncIterator[Room]:
    stack.wait_ready()
    async with room_of(stack) as made:
        yield made


async def part_of(*chunks: bytes, then: Callable[[], object] | None = None) -> AsyncIterator[FormEvent]:
    yield FileStart("data", "data", "application/octet-stream")
    for chunk in chunks:
        yield FileData(chunk)
    if then is not None:
        await then()  # type: ignore[misc]


@pytest.mark.parametrize("size_bytes", [0, 10, 9 * MIB])
async def test_what_a_dead_receiver_wrote_goes_with_its_row(stack: Gateway, room: Room, size_bytes: int) -> None:
    """Half or whole, but not before its lease is over."""
    half = await room.intake.begin(SOMEBODY, size_bytes_max=64 * MIB)
    await half.write(bytes(size_bytes))
    whole = await room.intake.begin(SOMEBODY, size_bytes_max=64 * MIB)
    await whole.write(bytes(size_bytes))
    await whole.store()
    await room.clear_away()
    assert bool(room.traces(half.id)) == (size_bytes > MIB)
    assert room.traces(whole.id)
    room.clock.ahead = timedelta(minutes=10)
    await room.clear_away()
    assert room.traces(half.id) + room.traces(whole.id) == []
    assert sql(stack, "SELECT 1 FROM file WHERE id IN (%s, %s)", half.id, whole.id) == []


async def test_a_receiver_that_was_only_slow_is_told_and_leaves_nothing(room: Room) -> None:
    incoming = await room.intake.begin(SOMEBODY, size_bytes_max=64 * MIB)
    await incoming.write(b"abc")
    room.clock.ahead = timedelta(minutes=10)
    await room.sweep.run()
    with pytest.raises(TruncatedUpload, match="stood still"):
        await incoming.finish(await incoming.store(), FACTS)
    await incoming.abort()
    assert room.traces(incoming.id) == []


async def test_a_part_whose_upload_ends_meanwhile_is_refused_and_leaves_nothing(stack: Gateway, room: Room) -> None:
    upload_id = await room.begin_upload(3)
    seen: list[str] = []

    async def end() -> None:
        seen.extend(row[0] for row in sql(stack, "SELECT id FROM upload_part WHERE upload_id = %s", upload_id))
        await room.cancel_upload.run(SOMEBODY, upload_id)
        await room.drop_parts.run(upload_id)

    with pytest.raises(StateConflict, match="no more changes"):
        await room.add_part.run(SOMEBODY, upload_id, part_of(b"abc", then=end))
    assert len(seen) == 1
    assert room.traces(seen[0]) == []


async def test_a_commit_that_took_effect_unheard_is_taken_back_with_its_bytes(stack: Gateway, room: Room) -> None:
    """Otherwise the bytes would go and the file would stay in the list."""
    incoming = await room.intake.begin(SOMEBODY, size_bytes_max=64 * MIB)
    await incoming.write(b"abc")
    blob = await incoming.store()
    room.db.break_after_commit = True
    with pytest.raises(psycopg.OperationalError):
        await incoming.finish(blob, FACTS)
    assert sql(stack, "SELECT state FROM file WHERE id = %s", incoming.id) == [("processed",)]
    await incoming.abort()
    assert sql(stack, "SELECT state FROM file WHERE id = %s", incoming.id) == []
    assert room.traces(incoming.id) == []


async def test_a_commit_that_took_no_effect_leaves_nothing(stack: Gateway, room: Room) -> None:
    incoming = await room.intake.begin(SOMEBODY, size_bytes_max=64 * MIB)
    blob = await incoming.store()
    room.db.break_before_commit = True
    with pytest.raises(psycopg.OperationalError):
        await incoming.finish(blob, FACTS)
    await incoming.abort()
    assert sql(stack, "SELECT state FROM file WHERE id = %s", incoming.id) == []
    assert room.traces(incoming.id) == []


async def test_no_byte_is_removed_while_nobody_knows_whether_its_file_is_readable(stack: Gateway, room: Room) -> None:
    incoming = await room.intake.begin(SOMEBODY, size_bytes_max=64 * MIB)
    await incoming.write(b"abc")
    blob = await incoming.store()
    room.db.break_after_commit = True
    with pytest.raises(psycopg.OperationalError):
        await incoming.finish(blob, FACTS)
    room.db.away = True
    with pytest.raises(psycopg.OperationalError):
        await incoming.abort()
    room.db.away = False
    assert sql(stack, "SELECT state FROM file WHERE id = %s", incoming.id) == [("processed",)]
    assert [path.read_bytes() for path in room.traces(incoming.id)] == [b"abc"]


async def test_a_completion_that_took_effect_unheard_is_found_by_asking_again(room: Room) -> None:
    upload_id = await room.begin_upload(3)
    part = await room.add_part.run(SOMEBODY, upload_id, part_of(b"abc"))
    publish = room.complete_upload.intake
    begin = publish.begin

    class Breaking:
        """Breaks the connection behind the commit that publishes the file."""

        def __getattr__(self, name: str) -> object:
            return getattr(publish, name)

        async def begin(self, who: Principal, **more: object) -> object:
            incoming = await begin(who, **more)  # type: ignore[arg-type]
            room.db.break_after_commit = True
            return incoming

    breaking = CompleteUpload(room.db, room.stores, room.clock, Breaking(), room.get_file)  # type: ignore[arg-type]
    with pytest.raises(psycopg.OperationalError):
        await breaking.run(SOMEBODY, upload_id, [part.id], None)
    upload, file = await room.complete_upload.run(SOMEBODY, upload_id, [part.id], None)
    assert upload.file_id == file.id
    assert [path.read_bytes() for path in room.traces(file.id)] == [b"abc"]


def written(path: Path, age: timedelta) -> str:
    """An object that was last written so long ago; returns its name."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    moment = time.time() - age.total_seconds()
    os.utime(path, (moment, moment))
    return path.name


async def test_objects_without_a_row_go_and_all_others_stay(stack: Gateway, room: Room) -> None:
    """What was just written stays, and what is so old that it may be the rows that were lost."""
    incoming = stack.data_dir / "files" / ".incoming"
    minutes = timedelta(minutes=5)
    strays = [written(room.store.path(ids.new_part_id()), minutes), written(incoming / ids.new_file_id(), minutes)]
    young = written(room.store.path(ids.new_file_id()), timedelta())
    old = written(room.store.path(ids.new_file_id()), timedelta(days=2))
    foreign = written(room.store.path("x" * 8).with_name("notes.txt~"), minutes)
    upload_id = await room.begin_upload(3)
    part = await room.add_part.run(SOMEBODY, upload_id, part_of(b"abc"))
    half = await room.intake.begin(SOMEBODY, size_bytes_max=MIB)
    await half.write(bytes(MIB))
    kept = [room.store.path(part.id), incoming / half.id]
    for path in kept:
        moment = time.time() - minutes.total_seconds()
        os.utime(path, (moment, moment))
    await room.reconcile.recent()
    assert [name for name in strays if room.traces(name)] == []
    assert [name for name in (young, old, foreign, part.id, half.id) if not room.traces(name)] == []
    await half.abort()


async def test_strays_are_found_however_many_there_are(room: Room) -> None:
    names = [written(room.store.path(ids.new_file_id()), timedelta(minutes=5)) for _ in range(2 * PAGE + 1)]
    assert await room.reconcile.recent() >= len(names)
    assert await room.reconcile.recent() == 0


async def test_the_worker_looks_for_strays_by_itself(stack: Gateway) -> None:
    jobs = "SELECT 1 FROM procrastinate_periodic_defers WHERE task_name = 'maintenance.strays'"
    eventually(lambda: sql(stack, jobs), "the job is enqueued every minute", 70)


async def test_a_store_lists_what_it_holds_by_time(tmp_path: Path) -> None:
    store = LocalFiles(tmp_path, fsync=False)
    half = await store.create(NewFile("file-half"))
    whole = await store.create(NewFile("file-whole"))
    await whole.commit()
    old = written(store.path("file-old"), timedelta(hours=2))
    moment = time.time() - 7200
    os.utime(store.path("file-old").parent, (moment, moment))
    now = datetime.now(UTC) + timedelta(seconds=1)

    async def listed(since: timedelta, before: timedelta) -> list[str]:
        return sorted([file.ref async for file in store.scan(since=now - since, before=now - before)])

    hour = timedelta(hours=1)
    assert await listed(hour, timedelta()) == ["file-half", "file-whole"]
    assert await listed(3 * hour, hour) == [old]
    assert await listed(3 * hour, timedelta()) == ["file-half", old, "file-whole"]
    await store.delete("file-half")
    await store.delete("file-whole")
    with pytest.raises(FileNotFoundError):
        await half.commit()
    await half.abort()
    assert await listed(hour, timedelta()) == []


async def test_a_file_that_nobody_was_told_of_does_not_exist_for_its_owner(room: Room) -> None:
    incoming = await room.intake.begin(SOMEBODY, size_bytes_max=MIB)
    with pytest.raises(NotFound):
        await room.get_file.run(SOMEBODY, incoming.id)
    await incoming.abort()

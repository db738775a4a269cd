"""The sums of what is stored are exact, whatever dies, ends late or happens at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from mediagate.core import ids
from mediagate.core.access import Policy
from mediagate.core.errors import StorageQuotaExceeded
from mediagate.core.lifecycle import FileState, UploadState
from mediagate.core.objects import File, Principal, Upload
from mediagate.core.storage import MadeBy, Quota
from mediagate.storage.reserve import reserve
from mediagate.store.database import Database
from mediagate.store.file_sweep import FileSweep
from mediagate.store.files import FileRepository
from mediagate.store.storage import StorageRepository
from mediagate.store.uploads import UploadRepository
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.storage_kit import assert_exact
from tests.api.wire import FORM_TYPE, eventually, field, file_part, form, sql
from tests.conftest import Gateway

MIB = 1 << 20
SEED = 77


@pytest.fixture
def stack(pair: Gateway) -> Gateway:
    """Two server processes that share nothing but the database."""
    return pair


@pytest.fixture
async def db(stack: Gateway) -> AsyncIterator[Database]:
    database = Database(stack.database_url)
    yield database
    await database.close()


def begin_upload(gateway: Gateway, issued: Issued, size_bytes: int, sent_bytes: int) -> socket.socket:
    """Send the head of a form of this size and some of its bytes."""
    body = form(field("purpose", "user_data"), file_part(bytes(size_bytes)))
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: gateway.test\r\nauthorization: Bearer {issued.key}\r\n"
        f"content-type: {FORM_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    connection.sendall(head.encode() + body[:sent_bytes])
    return connection


def reserved(gateway: Gateway, issued: Issued) -> int:
    (row,) = sql(gateway, "SELECT coalesce(sum(reserved_bytes), 0)::bigint FROM file WHERE key_id = %s", issued.id)
    return int(row[0])


def send(gateway: Gateway, issued: Issued, size_bytes: int) -> int:
    with gateway.http() as http, suppress(httpx.TransportError):
        body = form(field("purpose", "user_data"), file_part(bytes(size_bytes)))
        headers = {"content-type": FORM_TYPE, **issued.headers}
        return http.post("/v1/files", content=body, headers=headers).status_code
    return 0


def test_what_a_killed_server_had_reserved_comes_back(stack: Gateway) -> None:
    """In the middle of an upload that takes all the room: nothing else fits until its lease is out."""
    issued = issue_key(stack, storage_bytes_max=4 * MIB)
    connection = begin_upload(stack, issued, 4 * MIB - 100, 2 * MIB)
    eventually(lambda: reserved(stack, issued) > 3 * MIB, "the room is reserved")
    assert send(stack, issued, MIB) == 403
    for name in ("api-0", "api-1"):
        stack.kill(name)
    connection.close()
    stack.wait_ready()
    assert_exact(stack)
    sql(stack, "UPDATE file SET lease_expires_at = now() WHERE key_id = %s AND state = 'receiving'", issued.id)
    eventually(lambda: send(stack, issued, 4 * MIB - 100) == 200, "the room is given back")
    assert_exact(stack)


@pytest.mark.soak
def test_kills_at_random_leave_the_sums_exact_and_no_quota_passed(stack: Gateway) -> None:
    most = 12 * MIB
    team = add_holder(stack, "team", "team-under-fire", Policy(storage_bytes_max=most))
    keys = [issue_key(stack, team_id=team) for _ in range(3)]
    rng = random.Random(SEED)

    def one(number: int) -> int:
        stack.wait_ready()
        return send(stack, keys[number % 3], rng.randrange(2 * MIB))

    def kill() -> None:
        for _ in range(4):
            time.sleep(rng.uniform(0.2, 0.8))
            stack.kill(rng.choice(("api-0", "api-1", "worker")))
            stack.wait_ready()

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        killing = pool.submit(kill)
        found = list(pool.map(one, range(24)))
        killing.result()
    assert 200 in found
    assert_exact(stack)
    (row,) = sql(stack, "SELECT sum(size_bytes)::bigint FROM file WHERE team_id = %s AND state = 'processed'", team)
    assert row[0] <= most


async def test_two_that_reserve_at_once_never_share_the_last_byte(stack: Gateway, db: Database) -> None:
    quotas = [Quota("team", "team-of-two", 100), Quota("key", "key-of-two", 60)]
    made_by = MadeBy(key_id="key-of-two", team_id="team-of-two")
    now = datetime.now(UTC)

    async def one() -> bool:
        try:
            async with db.transaction() as tx:
                granted = await reserve(tx, quotas, 10, 25)
                await FileRepository(tx.connection).begin(
                    ids.new_file_id(), "o", made_by, now=now, lease_expires_at=now + timedelta(hours=1),
                    internal=False, reserved_bytes=granted,
                )  # fmt: skip
        except StorageQuotaExceeded as refused:
            assert "the key 'key-of-two'" in refused.message
            return False
        return True

    assert sum(await asyncio.gather(*(one() for _ in range(20)))) == 3
    async with db.reading() as connection:
        held = await StorageRepository(connection).held([("key", "key-of-two"), ("team", "team-of-two")])
    assert {found.reserved_bytes for found in held.values()} == {60}
    assert_exact(stack)
    sql(stack, "DELETE FROM file WHERE key_id = 'key-of-two'")
    assert_exact(stack)


class Hands:
    """Does at random what the product does to rows, many at a time."""

    def __init__(self, db: Database, rng: random.Random) -> None:
        self._db = db
        self._rng = rng
        self._now = datetime.now(UTC)
        self.files: list[str] = []
        self.uploads: list[tuple[str, str]] = []

    def _made_by(self) -> MadeBy:
        pick = self._rng.choice
        return MadeBy(pick([None, "k1", "k2"]), pick([None, "u1"]), pick([None, "t1", "t2"]), pick([None, "e", "é\n"]))

    async def step(self) -> None:
        names = (
            "begin",
            "grow",
            "finish",
            "forget",
            "entomb",
            "purge",
            "announce",
            "settle",
            "expire",
            "fold",
            "sweep",
        )
        await getattr(self, self._rng.choice(names))()

    async def begin(self) -> None:
        file_id = ids.new_file_id()
        async with self._db.transaction() as tx:
            await FileRepository(tx.connection).begin(
                file_id, "team:t1", self._made_by(), now=self._now,
                lease_expires_at=self._now + timedelta(seconds=self._rng.choice([-1, 3600])), internal=False,
                reserved_bytes=self._rng.randrange(1000),
            )  # fmt: skip
        self.files.append(file_id)

    def _one(self) -> str:
        return self._rng.choice(self.files) if self.files else "file-none"

    async def grow(self) -> None:
        async with self._db.transaction() as tx:
            await FileRepository(tx.connection).reserve(self._one(), self._rng.randrange(5000))

    async def finish(self) -> None:
        file = File(
            self._one(), "team:t1", "a", self._rng.choice(["vision", "batch"]), self._rng.randrange(9000), "", "t",
            FileState.PROCESSED, self._now, self._now + timedelta(seconds=self._rng.choice([-1, 3600])),
            end_user=self._rng.choice([None, "late"]),
        )  # fmt: skip
        with suppress(ZeroDivisionError):
            async with self._db.transaction() as tx:
                await FileRepository(tx.connection).finish(file)
                # Now and then the transaction comes to nothing.
                1 / self._rng.randrange(4)

    async def forget(self) -> None:
        async with self._db.transaction() as tx:
            await FileRepository(tx.connection).discard(self._one())

    async def entomb(self) -> None:
        async with self._db.transaction() as tx:
            await FileRepository(tx.connection).entomb(Principal("team:t1"), self._one(), now=self._now)

    async def purge(self) -> None:
        async with self._db.transaction() as tx:
            await FileRepository(tx.connection).purge(self.files[-20:])

    async def announce(self) -> None:
        upload = Upload(
            ids.new_upload_id(), "team:t1", self._rng.randrange(9000), "a", "t", "vision", UploadState.PENDING,
            self._now, self._now + timedelta(seconds=self._rng.choice([-1, 3600])),
        )  # fmt: skip
        async with self._db.transaction() as tx:
            await UploadRepository(tx.connection).add(upload, self._made_by())
        self.uploads.append((upload.id, ids.new_file_id()))

    async def settle(self) -> None:
        if self.uploads:
            upload_id, file_id = self._rng.choice(self.uploads)
            async with self._db.transaction() as tx:
                uploads = UploadRepository(tx.connection)
                await uploads.set_state(upload_id, UploadState.COMPLETING, file_id=file_id)
                await uploads.settle(upload_id, file_id, self._rng.choice([UploadState.COMPLETED, UploadState.PENDING]))

    async def expire(self) -> None:
        async with self._db.transaction() as tx:
            await UploadRepository(tx.connection).expire(now=self._now, limit=5)

    async def fold(self) -> None:
        # In the cluster one job does it at a time.
        async with self._db.transaction() as tx:
            await StorageRepository(tx.connection).lock([Quota("fold", "", 0)])
            await StorageRepository(tx.connection).fold(limit=self._rng.choice([1, 100]))

    async def sweep(self) -> None:
        async with self._db.transaction() as tx:
            sweep = FileSweep(tx.connection)
            await sweep.entomb_expired(now=self._now, limit=10)
            await sweep.entomb_leaseless(now=self._now, limit=10)


async def test_any_interleaving_keeps_the_sums(stack: Gateway, db: Database) -> None:
    rng = random.Random(SEED)
    hands = Hands(db, rng)
    for _ in range(12):
        await asyncio.gather(*(hands.step() for _ in range(25)))
        assert_exact(stack)
    sql(stack, "DELETE FROM file WHERE id = ANY(%s)", hands.files)
    sql(stack, "DELETE FROM upload WHERE id = ANY(%s)", [upload_id for upload_id, _ in hands.uploads])
    assert_exact(stack)

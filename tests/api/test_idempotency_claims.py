"""Who holds a key: one call at a time, for as long as it lives, and none that was only slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from mediagate._gen.mediagate.v1 import files_pb2
from mediagate.access.idempotency import LEASE, Idempotency, SweepKeys
from mediagate.api.call import Call
from mediagate.api.errors import trailing_metadata
from mediagate.api.idempotency import Keys
from mediagate.core.errors import IdempotencyInProgress, IdempotencyKeyReused, Unavailable
from mediagate.core.forms import FormLimits
from mediagate.core.idempotency import Reply
from mediagate.core.objects import Principal
from mediagate.store.database import Database
from mediagate.store.idempotency import IdempotencyLookup
from tests.api.wire import sql
from tests.conftest import Gateway


def new_key() -> str:
    return str(uuid.uuid4())


class LaterClock:
    """The machine's clock, ahead by a time that a test chooses."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


OWNER = Principal("owner")


@dataclass
class Room:
    """The product's own operation over the gateway's database."""

    operation: Idempotency
    sweep: SweepKeys
    clock: LaterClock


@pytest.fixture
async def room(gateway: Gateway) -> AsyncIterator[Room]:
    db, clock = Database(gateway.database_url), LaterClock()
    yield Room(Idempotency(db, IdempotencyLookup(db), clock, wait_s=0.3, renew_s=0.1), SweepKeys(db, clock), clock)
    await db.close()


async def test_a_call_that_runs_too_long_is_answered_with_a_hint(room: Room) -> None:
    key = new_key()
    await room.operation.claim(OWNER, key, "m", "file-1")
    with pytest.raises(IdempotencyInProgress) as caught:
        await room.operation.claim(OWNER, key, "m", "file-2")
    sent = dict(trailing_metadata(caught.value))
    assert {name: sent[name] for name in ("x-http-status", "x-should-retry", "retry-after")} == {
        "x-http-status": "409",
        "x-should-retry": "true",
        "retry-after": "1",
    }
    assert json.loads(sent["x-openai-error"])["error"]["code"] == "idempotency_in_progress"


async def test_a_holder_keeps_its_lease_for_as_long_as_it_works(room: Room, gateway: Gateway) -> None:
    key = new_key()
    call = await room.operation.claim(OWNER, key, "m", None)
    async with room.operation.holding(call):
        first = call.lease_expires_at
        while (await room.operation.calls.get("owner", key)).lease_expires_at <= first:  # type: ignore[union-attr]
            await asyncio.sleep(0.1)


async def test_a_holder_that_has_lost_its_call_stops_working(room: Room) -> None:
    slow = await room.operation.claim(OWNER, new_key(), "m", None)

    async def work() -> None:
        async with room.operation.holding(slow):
            # A renewal may be faster than its successor; in the end the successor has it.
            while (await room.operation.calls.get("owner", slow.key)).attempt == 1:  # type: ignore[union-attr]
                room.clock.ahead += 2 * LEASE
                with contextlib.suppress(IdempotencyInProgress):
                    await room.operation.claim(OWNER, slow.key, "m", None)
            await asyncio.sleep(10)

    with pytest.raises(IdempotencyInProgress):
        await work()


async def test_what_an_attempt_writes_after_its_time_is_refused(room: Room) -> None:
    """One that was only slow must neither make a second object nor touch its successor's claim."""
    key = new_key()
    slow = await room.operation.claim(OWNER, key, "m", "file-1")
    room.clock.ahead = 2 * LEASE
    next_one = await room.operation.claim(OWNER, key, "m", "file-2")
    assert (slow.attempt, next_one.attempt, next_one.object_id) == (1, 2, "file-1")
    with pytest.raises(IdempotencyInProgress):
        await room.operation.seal(slow, b"a")
    with pytest.raises(IdempotencyInProgress):
        await room.operation.reserve(slow, "file-3")
    await room.operation.release(slow)
    await room.operation.finish(slow, b"a", Reply(b"slow"))
    await room.operation.let_go(slow)
    await room.operation.seal(next_one, b"a")
    await room.operation.finish(next_one, b"a", Reply(b"next", (("a", "b"),)))
    found = await room.operation.claim(OWNER, key, "m", "file-4")
    assert (found.reply, found.fingerprint) == (Reply(b"next", (("a", "b"),)), b"a")


async def test_only_one_of_many_takes_a_lost_call_over(room: Room) -> None:
    key = new_key()
    await room.operation.claim(OWNER, key, "m", None)
    room.clock.ahead = 2 * LEASE
    claims = (room.operation.claim(OWNER, key, "m", None) for _ in range(20))
    found = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in found) == 1
    assert all(isinstance(one, IdempotencyInProgress) for one in found if isinstance(one, Exception))


async def test_an_attempt_with_other_parameters_is_refused_before_it_makes_anything(room: Room) -> None:
    key = new_key()
    lost = await room.operation.claim(OWNER, key, "m", None)
    await room.operation.seal(lost, b"a")
    room.clock.ahead = 2 * LEASE
    next_one = await room.operation.claim(OWNER, key, "m", None)
    with pytest.raises(IdempotencyKeyReused):
        await room.operation.seal(next_one, b"b")
    with pytest.raises(IdempotencyKeyReused):
        await room.operation.claim(OWNER, key, "m", None, b"b")


async def test_with_a_key_a_retry_after_a_lost_database_is_harmless(room: Room) -> None:
    """Without one nobody could know whether it would make a second object."""
    keys, key = Keys(room.operation, FormLimits(), {}), new_key()
    call = Call(None, [("idempotency-key", key)])  # type: ignore[arg-type]
    call.principal = OWNER

    async def lost(request: Any, call: Call) -> Any:
        raise psycopg.OperationalError("the connection is lost")

    async def done(request: Any, call: Call) -> Any:
        return files_pb2.File(id="file-1")

    with pytest.raises(Unavailable) as caught:
        await keys.unary("/m", lost)(files_pb2.GetFileRequest(), call)
    assert caught.value.retryable
    assert (await keys.unary("/m", done)(files_pb2.GetFileRequest(), call)).id == "file-1"
    assert files_pb2.File.FromString(await keys.unary("/m", lost)(files_pb2.GetFileRequest(), call)).id == "file-1"


async def test_a_call_that_runs_is_not_swept(room: Room, gateway: Gateway) -> None:
    key = new_key()
    call = await room.operation.claim(OWNER, key, "m", None)
    sql(gateway, "UPDATE idempotency SET expires_at = now() WHERE key = %s", key)
    await room.sweep.run()
    assert sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key)
    await room.operation.let_go(call)
    room.clock.ahead = timedelta(seconds=1)
    await room.sweep.run()
    assert not sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key)

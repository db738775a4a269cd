"""A copy that somebody waits for: made once, kept, made again where it is gone, and taken over where its maker died."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from mediagate.core.clock import SystemClock
from mediagate.core.errors import InvalidField, NotFound, ProviderRefused, StateConflict
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import Replica
from mediagate.files.copy_news import CopyNews
from mediagate.files.place_copy import PlaceCopy
from mediagate.files.reconcile import Reconcile
from mediagate.providers.account import Account
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from tests.api.wire import eventually, field, file_part, post_form, sql
from tests.clouds.conftest import Clouds

PURPOSE = field("purpose", "user_data")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def healthy(clouds: Clouds) -> Iterator[None]:
    yield
    clouds.gemini.processing = 0
    clouds.gemini.fails = False
    clouds.openai.keys.add("sk-recorder")
    clouds.openai.file_bytes_max = 512_000_000


@asynccontextmanager
async def waiting(clouds: Clouds) -> AsyncIterator[PlaceCopy]:
    """What a process of the gateway has, with connections of its own. Jobs are the gateway's."""
    db = Database(clouds.gateway.database_url)
    news = CopyNews(db)
    accounts = [
        Account("openai", "openai", api_key="sk-recorder", api_base=f"{clouds.openai.url}/v1"),
        Account("gemini", "gemini", api_key=clouds.gemini.key, api_base=clouds.gemini.url),
    ]
    stores = FileStores(accounts, default=("openai",), scratch="openai")
    try:
        yield PlaceCopy(db, stores, news, SystemClock())
    finally:
        await news.close()
        await stores.close()
        await db.close()


def uploaded(http: httpx.Client, data: bytes = b"%PDF-1.4 one", *targets: str) -> str:
    parts = [field("custom_llm_provider", name) for name in targets or ("local",)]
    reply = post_form(http, PURPOSE, *parts, file_part(data, "report.pdf"))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def at_openai(clouds: Clouds, file_id: str) -> list[str]:
    return [ref for ref, file in clouds.openai.files.items() if file_id in file["filename"]]


def jobs(clouds: Clouds, file_id: str) -> int:
    """Those that are not over; one that succeeded is forgotten."""
    rows = sql(clouds.gateway, f"SELECT count(*) FROM procrastinate_jobs WHERE args->>'file_id' = '{file_id}'")
    return int(str(rows[0][0]))


def test_a_copy_is_made_once_for_everybody(clouds: Clouds, http: httpx.Client) -> None:
    data = b"%PDF-1.4 " + secrets.token_bytes(3 * MIB)
    file_id = uploaded(http, data)

    async def run() -> list[Replica]:
        async with AsyncExitStack() as stack:
            ones = [await stack.enter_async_context(waiting(clouds)) for _ in range(2)]
            return await asyncio.gather(*(one.run(file_id, "openai", wait_s=60) for one in ones * 10))

    replicas = asyncio.run(run())
    assert {replica.ref for replica in replicas} == set(at_openai(clouds, file_id))
    assert len(at_openai(clouds, file_id)) == 1
    assert clouds.openai.contents[str(replicas[0].ref)] == data
    eventually(lambda: jobs(clouds, file_id) == 0, "the job is over")


def test_a_copy_is_kept_and_found_again(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http)

    async def run() -> list[str | None]:
        async with waiting(clouds) as place:
            first = await place.run(file_id, "openai", wait_s=60)
            return [first.ref, (await place.run(file_id, "openai", wait_s=0)).ref]

    first, again = asyncio.run(run())
    assert first == again
    assert http.delete(f"/v1/files/{file_id}").status_code == 200
    eventually(lambda: at_openai(clouds, file_id) == [], "the copy is gone")


@pytest.mark.soak
def test_a_dead_copier_is_taken_over(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http, b"%PDF-1.4 " + secrets.token_bytes(60 * MIB))

    async def run() -> Replica:
        async with waiting(clouds) as place:
            copying = asyncio.create_task(place.run(file_id, "openai", wait_s=90))
            while not sql(
                clouds.gateway, f"SELECT 1 FROM file_replica WHERE file_id = '{file_id}' AND state = 'writing'"
            ):
                assert not copying.done()
                await asyncio.sleep(0.01)
            clouds.gateway.kill("worker")
            return await copying

    replica = asyncio.run(run())
    assert at_openai(clouds, file_id) == [replica.ref]
    assert replica.state is ReplicaState.READY


def test_a_copy_that_expired_is_made_anew(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http)

    async def run() -> tuple[Replica, Replica]:
        async with waiting(clouds) as place:
            first = await place.run(file_id, "gemini", wait_s=60)
            clouds.gemini.files.clear()
            sql(
                clouds.gateway,
                f"UPDATE file_replica SET expires_at = now() - interval '1 second' WHERE file_id = '{file_id}'"
                " AND account = 'gemini' RETURNING 1",
            )
            return first, await place.run(file_id, "gemini", wait_s=60)

    first, second = asyncio.run(run())
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at >= first.expires_at
    assert str(second.ref) in {f"files/{name}" for name in clouds.gemini.files} | set(clouds.gemini.files)


def test_a_copy_that_the_provider_works_on_is_waited_for(clouds: Clouds, http: httpx.Client) -> None:
    clouds.gemini.processing = 2
    file_id = uploaded(http)

    async def run() -> Replica:
        async with waiting(clouds) as place:
            with pytest.raises(StateConflict) as early:
                await place.run(file_id, "gemini", wait_s=0.2)
            assert early.value.code == "file_not_ready"
            return await place.run(file_id, "gemini", wait_s=60)

    assert asyncio.run(run()).state is ReplicaState.READY


def test_a_copy_that_the_provider_no_longer_has_is_lost_and_made_anew(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http)

    async def run() -> tuple[Replica, Replica]:
        async with waiting(clouds) as place:
            first = await place.run(file_id, "openai", wait_s=60)
            assert not await place.lost(file_id, "openai", str(first.ref)), "it is there"
            del clouds.openai.files[str(first.ref)]
            assert await place.lost(file_id, "openai", str(first.ref))
            return first, await place.run(file_id, "openai", wait_s=60)

    first, second = asyncio.run(run())
    assert second.ref != first.ref
    assert at_openai(clouds, file_id) == [second.ref]


def test_who_hears_late_that_a_copy_was_gone_leaves_the_new_one(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http)

    async def run() -> tuple[Replica, Replica]:
        async with waiting(clouds) as quick, waiting(clouds) as slow:
            first = await quick.run(file_id, "openai", wait_s=60)
            ref = str(first.ref)
            del clouds.openai.files[ref]
            held = clouds.openai.hold = threading.Event()
            try:
                late = asyncio.create_task(slow.lost(file_id, "openai", ref))
                while clouds.openai.hold is not None:
                    assert not late.done()
                    await asyncio.sleep(0.01)
                assert await quick.lost(file_id, "openai", ref)
                second = await quick.run(file_id, "openai", wait_s=60)
            finally:
                held.set()
            assert await late, "that one is gone"
            await Reconcile(slow.db, slow.stores, slow.clock).mark_lost(first)
            return second, await slow.run(file_id, "openai", wait_s=60)

    second, last = asyncio.run(run())
    assert last == second
    assert at_openai(clouds, file_id) == [second.ref]


def test_a_refusal_is_told_at_once_and_leaves_nothing(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http)
    clouds.openai.keys.remove("sk-recorder")

    async def run() -> None:
        async with waiting(clouds) as place:
            with pytest.raises(ProviderRefused):
                await place.run(file_id, "openai", wait_s=60)
            assert not sql(
                clouds.gateway, f"SELECT 1 FROM file_replica WHERE file_id = '{file_id}' AND account = 'openai'"
            )
            clouds.openai.keys.add("sk-recorder")
            await place.run(file_id, "openai", wait_s=60)

    asyncio.run(run())


def test_what_no_provider_gives_back_cannot_be_copied(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http, b"%PDF-1.4 only there", "gemini")

    async def run() -> None:
        async with waiting(clouds) as place:
            with pytest.raises(InvalidField) as refused:
                await place.run(file_id, "openai", wait_s=60)
            assert refused.value.code == "no_readable_copy"

    asyncio.run(run())


def test_a_file_that_is_deleted_meanwhile_leaves_nothing(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http, b"%PDF-1.4 " + secrets.token_bytes(30 * MIB))

    async def run() -> None:
        async with waiting(clouds) as place:
            copying = asyncio.create_task(place.run(file_id, "openai", wait_s=60))
            while not sql(
                clouds.gateway, f"SELECT 1 FROM file_replica WHERE file_id = '{file_id}' AND account = 'openai'"
            ):
                assert not copying.done()
                await asyncio.sleep(0.01)
            assert (await asyncio.to_thread(http.delete, f"/v1/files/{file_id}")).status_code == 200
            with pytest.raises(NotFound):
                await copying

    asyncio.run(run())
    eventually(lambda: at_openai(clouds, file_id) == [], "the copy is gone")
    eventually(lambda: not sql(clouds.gateway, f"SELECT 1 FROM file WHERE id = '{file_id}'"), "the row is gone")


def test_garbled_news_harm_nobody(clouds: Clouds, http: httpx.Client) -> None:
    file_id = uploaded(http)

    async def run() -> Replica:
        async with waiting(clouds) as place, place.news.of(file_id, "openai") as heard:
            for payload in ("", "{", "[]", "7", '{"file": []}', f'{{"file": "{file_id}"}}'):
                async with place.db.transaction() as tx:
                    await tx.notify("mediagate_copy", payload)
            assert await heard.next(0.2) is None
            return await place.run(file_id, "openai", wait_s=60)

    assert replace(asyncio.run(run()), ref=None).file_id == file_id

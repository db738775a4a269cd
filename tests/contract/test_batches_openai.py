"""Batches of providers that speak OpenAI's API, and Mistral's: against aimock, a server of another hand, and against
doubles on their bad days."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mediagate.core import ids
from mediagate.providers.account import Account
from mediagate.providers.base import FateUnknown, ProviderBusy, SubmitRefused
from mediagate.providers.batches import Answered, BatchOrder, BatchProvider, BatchState, NotAnswered
from mediagate.providers.files import NewFile
from mediagate.providers.registry import build_batches, build_files
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.batch_work import Habits
from tests.doubles.mistral_batches import MistralBatchesApi
from tests.doubles.openai_batches import openai_batches
from tests.doubles.openai_files import KEY

CHAT = "/v1/chat/completions"
NOW = datetime.now(UTC)
BODY = {"messages": [{"role": "user", "content": "Hi"}]}


def account_of(provider: str, url: str, key: str) -> Account:
    root = {"azure": url, "mistral": url}.get(provider, f"{url}/v1")
    return Account("a", provider, api_key=key, api_base=root)


@contextmanager
def stand_of(provider: str) -> Iterator[tuple[Account, Any]]:
    """An account, and where it leads."""
    if provider == "mistral":
        with MistralBatchesApi().running() as mistral:
            yield account_of(provider, mistral.url, mistral.key), mistral
    else:
        with openai_batches() as server:
            yield account_of(provider, server.url, KEY), server


async def order_for(account: Account, provider: Any, lines: int = 3) -> BatchOrder:
    """A job whose lines lie in the account."""
    data = b"".join(provider.raw_line(f"r{n:010d}", CHAT, "upstream", dict(BODY)) for n in range(lines))
    files = build_files(account)
    writer = await files.create(NewFile(ids.new_file_id(), "x.jsonl", purpose="batch", size_bytes=len(data)))
    await writer.write(data)
    blob = await writer.commit()
    await files.close()

    async def content() -> AsyncIterator[bytes]:
        yield data

    return BatchOrder("batch_token", "upstream", CHAT, lines, len(data), content, NOW, input_ref=blob.ref)


async def ended(provider: BatchProvider, ref: str) -> BatchState:
    for _ in range(10):
        status = await provider.poll(ref)
        if status.state not in (BatchState.QUEUED, BatchState.RUNNING, BatchState.CANCELLING):
            return status.state
    raise AssertionError(status)


async def results(provider: BatchProvider, ref: str) -> list[Any]:
    data = b"".join([chunk async for chunk in provider.outputs(ref)])
    return [provider.read(line) for line in data.splitlines()]


@pytest.mark.parametrize("name", ["openai", "openai_compatible", "azure"])
async def test_aimock(aimock_url: str, name: str) -> None:
    account = account_of(name, aimock_url, AIMOCK_KEY)
    provider: Any = build_batches(account)
    order = await order_for(account, provider)
    ref = await provider.submit(order)
    assert await provider.find(order) == ref
    assert await ended(provider, ref) is BatchState.SUCCEEDED
    found = await results(provider, ref)
    assert [one.key for one in found] == [f"r{n:010d}" for n in range(3)]
    assert all(isinstance(one, Answered) for one in found)
    assert json.loads(found[0].answer)["choices"][0]["message"]["content"]
    await provider.delete(ref)
    await provider.delete(ref)
    again = await provider.submit(order)
    await provider.cancel(again)
    assert await ended(provider, again) is BatchState.CANCELLED
    headers = {"authorization": f"Bearer {AIMOCK_KEY}"}
    journal = httpx.get(f"{aimock_url}/__aimock/journal", headers=headers).json()
    assert any(entry["method"] == "POST" and entry["path"].endswith("/batches") for entry in journal)
    await provider.close()


@pytest.mark.parametrize("name", ["openai", "azure", "mistral"])
class TestOnBadDays:
    async def test_a_refusal_is_told(self, name: str) -> None:
        with stand_of(name) as (account, _):
            provider: Any = build_batches(account)
            order = await order_for(account, provider)
            with pytest.raises(SubmitRefused) as refused:
                await provider.submit(BatchOrder(**{**_fields(order), "input_ref": "file-nothing"}))
            assert refused.value.failure.message
            with pytest.raises(SubmitRefused):
                await provider.submit(BatchOrder(**{**_fields(order), "input_ref": None}))
            await provider.close()

    async def test_what_is_absent_says_nothing(self, name: str) -> None:
        with stand_of(name) as (account, _):
            provider: Any = build_batches(account)
            for ref in ("batch_nothing", "../files", "a/b", ""):
                with pytest.raises(FateUnknown):
                    await provider.poll(ref)
                with pytest.raises(FateUnknown):
                    await provider.cancel(ref)
                with pytest.raises(FileNotFoundError):
                    await results(provider, ref)
                await provider.delete(ref)
            assert await provider.find(await order_for(account, provider)) is None
            await provider.close()

    async def test_nobody_there(self, name: str) -> None:
        provider: Any = build_batches(account_of(name, "http://127.0.0.1:9", "k"))
        with stand_of(name) as (account, _):
            order = await order_for(account, provider)
        with pytest.raises(ProviderBusy):
            await provider.submit(order)
        with pytest.raises(FateUnknown):
            await provider.poll("batch_1")
        with pytest.raises(FateUnknown):
            await provider.find(order)
        await provider.close()

    async def test_a_wrong_key(self, name: str) -> None:
        with stand_of(name) as (account, server):
            provider: Any = build_batches(account)
            order = await order_for(account, provider)
            wrong: Any = build_batches(account_of(name, server.url, "wrong"))
            with pytest.raises(SubmitRefused):
                await wrong.submit(order)
            with pytest.raises(FateUnknown):
                await wrong.find(order)
            await provider.close()
            await wrong.close()

    async def test_every_line_leads_back_to_its_key(self, name: str) -> None:
        with stand_of(name) as (account, server):
            server.habits = Habits(reply=_second_refuses())
            provider: Any = build_batches(account)
            ref = await provider.submit(await order_for(account, provider))
            assert await ended(provider, ref) is BatchState.SUCCEEDED
            found = {one.key: one for one in await results(provider, ref)}
            assert len(found) == 3
            bad = [one for one in found.values() if isinstance(one, NotAnswered) or one.status_code != 200]
            assert len(bad) == 1
            assert bad[0].status_code == 400
            await provider.delete(ref)
            assert len(server.files) == 1
            await provider.close()


class TestOpenAI:
    async def test_a_submit_that_is_not_heard(self) -> None:
        with stand_of("openai") as (account, server):
            server.habits = Habits(drop_submits=1, busy=1)
            provider: Any = build_batches(account)
            order = await order_for(account, provider)
            with pytest.raises(ProviderBusy):
                await provider.submit(order)
            with pytest.raises(FateUnknown):
                await provider.submit(order)
            assert await provider.find(order) == next(iter(server.batches))
            await provider.close()

    async def test_a_list_of_many_pages_is_walked(self) -> None:
        with stand_of("openai") as (account, server):
            provider: Any = build_batches(account)
            order = await order_for(account, provider)
            ref = await provider.submit(order)
            other = await order_for(account, provider)
            strange = BatchOrder(**{**_fields(other), "token": "batch_other"})
            for _ in range(220):
                await provider.submit(strange)
            assert await provider.find(order) == ref
            assert server.lists == 3
            await provider.close()

    async def test_what_a_dated_api_of_azure_is_told(self) -> None:
        with openai_batches() as server:
            account = Account("a", "azure", api_key=KEY, api_base=server.url, api_version="2024-10-21")
            provider: Any = build_batches(account)
            await provider.submit(await order_for(account, provider))
            [asked] = server.calls("POST", "/batches")
            assert (asked.path, asked.query, asked.json["endpoint"]) == (
                "/openai/batches",
                {"api-version": "2024-10-21"},
                "/chat/completions",
            )
            assert json.loads(next(iter(server.contents.values())).splitlines()[0])["url"] == "/chat/completions"
            await provider.close()


def _fields(order: BatchOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in BatchOrder.__slots__}


def _second_refuses() -> Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]:
    from tests.doubles.batch_work import echo_chat

    asked: list[int] = []

    def reply(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked.append(1)
        if len(asked) == 2:
            return 400, {"error": {"message": "No.", "type": "x", "param": None, "code": "no"}}
        return echo_chat(body)

    return reply

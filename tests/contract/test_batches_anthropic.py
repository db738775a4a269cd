"""Batches at Anthropic: lines, jobs, answers, and a submit whose answer was lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from mediagate.core.chat import Finish, Finished, MediaKind, TextDelta, Way
from mediagate.core.errors import InvalidField
from mediagate.providers.account import Account
from mediagate.providers.anthropic.batches import AnthropicBatches
from mediagate.providers.base import FateUnknown, ProviderBusy, SubmitRefused
from mediagate.providers.batches import (
    CHAT,
    RESPONSES,
    Answered,
    BatchOrder,
    BatchState,
    BatchStatus,
    FindsBatches,
    InputPlace,
    NotAnswered,
    TakesChatLines,
)
from mediagate.providers.registry import batch_spec, build_batches
from tests.doubles.anthropic_batches import CANCELED, EXPIRED, AnthropicBatchesApi, answered, errored
from tests.doubles.faulty import answer, faulty_server
from tests.unit.chat.asked import asked, media, user

MODEL = "claude-sonnet-5"
NOW = datetime.now(UTC)


def account(url: str, **options: object) -> AnthropicBatches:
    made = build_batches(Account("anthropic-1", "anthropic", api_key="test-key", api_base=url, options=options))
    assert isinstance(made, AnthropicBatches)
    return made


@pytest.fixture
def api() -> Iterator[AnthropicBatchesApi]:
    with AnthropicBatchesApi(page_max=2).running() as running:
        yield running


@pytest_asyncio.fixture
async def provider(api: AnthropicBatchesApi) -> AsyncIterator[AnthropicBatches]:
    made = account(api.url)
    yield made
    await made.close()


def key(number: int) -> str:
    return f"r{number:010d}"


def order(provider: TakesChatLines, texts: Sequence[str], *, token: str = "batch_1", step: int = 7) -> BatchOrder:
    """`step` is the length of the pieces in which the lines come."""
    lines = b"".join(
        provider.chat_line(key(number), asked(user(text), model=MODEL, max_tokens=50))
        for number, text in enumerate(texts)
    )

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(lines), step):
            yield lines[at : at + step]

    return BatchOrder(token, MODEL, CHAT, len(texts), len(lines), pieces, NOW)


async def results(provider: AnthropicBatches, ref: str) -> dict[str, Answered | NotAnswered]:
    data = b"".join([chunk async for chunk in provider.outputs(ref)])
    read = [provider.read(line) for line in data.splitlines()]
    return {result.key: result for result in read}


def test_what_it_is() -> None:
    spec = batch_spec("anthropic")
    assert spec.input_place is InputPlace.HERE
    assert (spec.lines_max, spec.endpoints, spec.price_factor) == (100_000, (CHAT, RESPONSES), 0.5)
    provider = account("http://127.0.0.1:1")
    assert isinstance(provider, TakesChatLines)
    assert isinstance(provider, FindsBatches)


def test_a_line_is_a_request_of_the_messages_api() -> None:
    document = media(MediaKind.DOCUMENT, Way.FILE_ID, "file_1", "application/pdf", "a.pdf")
    line = account("http://127.0.0.1:1").chat_line(key(7), asked(user("Süm\nup.", document), model=MODEL))
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    tree = json.loads(line)
    assert tree["custom_id"] == key(7)
    assert tree["params"]["model"] == MODEL
    assert "stream" not in tree["params"]
    assert tree["params"]["messages"][0]["content"][1]["source"] == {"type": "file", "file_id": "file_1"}
    with pytest.raises(InvalidField):
        account("http://127.0.0.1:1").chat_line(key(7), asked(user("x"), n=2))


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_the_lines_stream_into_one_body(provider: AnthropicBatches, api: AnthropicBatchesApi, step: int) -> None:
    texts = ["one", "zwö", 'th"r,ee', "\n four ]}"]
    ref = await provider.submit(order(provider, texts, step=step))
    (batch,) = api.batches.values()
    assert ref == batch.id
    said = [request["params"]["messages"][0]["content"][0]["text"] for request in batch.requests]
    assert said == texts
    marks = {request["custom_id"].rpartition("-")[0] for request in batch.requests}
    assert len(marks) == 1
    assert [request["custom_id"].rpartition("-")[2] for request in batch.requests] == [key(n) for n in range(4)]
    sent = next(seen for seen in api.asked if seen.method == "POST")
    assert "transfer-encoding" not in sent.headers


async def test_a_job_from_its_begin_to_its_end(provider: AnthropicBatches, api: AnthropicBatchesApi) -> None:
    ref = await provider.submit(order(provider, ["a", "b", "c", "d", "e"]))
    assert await provider.poll(ref) == BatchStatus(BatchState.RUNNING)
    said = {
        0: answered("A", input_tokens=4),
        1: errored("invalid_request_error", "prompt is too long: 9 > 8"),
        2: errored("overloaded_error", "Overloaded"),
        3: EXPIRED,
        4: {"type": "succeeded", "message": {**answered("x")["message"], "stop_reason": "refusal"}},
    }
    api.end(api.batches[ref], lambda request: said[int(request["custom_id"][-1])])
    assert await provider.poll(ref) == BatchStatus(BatchState.EXPIRED, completed=2, failed=2)
    found = await results(provider, ref)
    assert len(found) == 5
    first = found[key(0)]
    assert isinstance(first, Answered)
    assert TextDelta("A") in first.answer
    assert first.request_id is not None
    assert first.request_id.startswith("msg_")
    told = {
        number: (result.code, result.status_code)
        for number in (1, 2, 3)
        if isinstance(result := found[key(number)], NotAnswered)
    }
    assert told == {
        1: ("context_length_exceeded", 400),
        2: ("provider_unavailable", 503),
        3: ("batch_expired", None),
    }
    last = found[key(4)]
    assert isinstance(last, Answered)
    assert Finished(Finish.CONTENT_FILTER, provider_reason="refusal") in last.answer
    await provider.delete(ref)
    await provider.delete(ref)
    assert api.batches == {}
    with pytest.raises(FileNotFoundError):
        await results(provider, ref)


async def test_a_job_that_is_stopped(provider: AnthropicBatches, api: AnthropicBatchesApi) -> None:
    ref = await provider.submit(order(provider, ["a", "b"]))
    await provider.cancel(ref)
    await provider.cancel(ref)
    assert (await provider.poll(ref)).state is BatchState.CANCELLING
    # What still runs cannot be removed.
    await provider.delete(ref)
    api.end(api.batches[ref], lambda request: answered("A") if request["custom_id"].endswith("0") else CANCELED)
    assert await provider.poll(ref) == BatchStatus(BatchState.CANCELLED, completed=1, failed=0)
    found = await results(provider, ref)
    assert found[key(1)] == NotAnswered(key(1), "batch_cancelled", found[key(1)].message)  # type: ignore[union-attr]
    await provider.cancel(ref)


async def test_a_job_that_ends_well(provider: AnthropicBatches, api: AnthropicBatchesApi) -> None:
    ref = await provider.submit(order(provider, ["a", "b"]))
    api.end(api.batches[ref], lambda _: answered("A"))
    assert await provider.poll(ref) == BatchStatus(BatchState.SUCCEEDED, completed=2, failed=0)


async def test_a_submit_whose_answer_was_lost_is_found_by_its_answers(
    provider: AnthropicBatches, api: AnthropicBatchesApi
) -> None:
    mine, other = order(provider, ["a", "b"], token="batch_mine"), order(provider, ["a", "b"], token="batch_other")
    assert await provider.find(mine) is None
    for _ in range(3):
        api.end(api.batches[await provider.submit(other)], lambda _: answered("theirs"))
    api.lose("POST /v1/messages/batches")
    with pytest.raises(FateUnknown):
        await provider.submit(mine)
    # As long as it runs nothing tells it from another one of as many lines.
    with pytest.raises(FateUnknown):
        await provider.find(mine)
    ref = next(reversed(api.batches))
    api.end(api.batches[ref], lambda _: answered("mine"))
    api.end(api.batches[await provider.submit(order(provider, ["a"]))], lambda _: answered("x"))
    assert await provider.find(mine) == ref
    assert await provider.find(replace(mine, token="batch_third")) is None
    # One that was made much later is another's, whatever it is.
    later = api.batches[await provider.submit(replace(mine, token="batch_fourth"))]
    later.created_at = NOW + timedelta(hours=3)
    assert await provider.find(mine) == ref
    del api.batches[later.id]
    api.batches[ref].created_at = NOW - timedelta(hours=1)
    assert await provider.find(mine) is None


async def test_refusals() -> None:
    cases = [
        ("400 Bad", {"error": {"type": "invalid_request_error", "message": "requests: too many"}}, SubmitRefused),
        ("401 No", {"error": {"type": "authentication_error", "message": "no"}}, SubmitRefused),
        ("413 Big", {"error": {"type": "request_too_large", "message": "no"}}, SubmitRefused),
        ("429 Slow", {"error": {"type": "rate_limit_error", "message": "no"}}, ProviderBusy),
        ("500 No", {"error": {"type": "api_error", "message": "no"}}, FateUnknown),
        ("529 No", {"error": {"type": "overloaded_error", "message": "no"}}, FateUnknown),
        ("200 OK", {"no": "id"}, FateUnknown),
    ]
    for status, body, expected in cases:
        async with faulty_server("500", {"POST /v1/messages/batches": answer(body, status=status)}) as server:
            provider = account(server.url)
            with pytest.raises(expected):
                await provider.submit(order(provider, ["a"]))
            await provider.close()


@pytest.mark.parametrize("fault", ["refused", "401", "404", "429", "500", "stall", "reset", "truncated", "garbage"])
async def test_what_goes_wrong_says_nothing_of_a_job(fault: str) -> None:
    async with faulty_server(fault) as server:
        provider = account(server.url, timeout=0.3)
        with pytest.raises(FateUnknown):
            await provider.poll("msgbatch_1")
        with pytest.raises(FateUnknown):
            await provider.cancel("msgbatch_1")
        with pytest.raises(FateUnknown):
            await provider.find(order(provider, ["a"]))
        await provider.close()


@pytest.mark.parametrize(
    "line",
    [
        b"no", b"[]", b"{}", b'{"custom_id": "x"}', b'{"custom_id": "x", "result": {"type": "new"}}',
        b'{"custom_id": 7, "result": {"type": "expired"}}',
    ],
)  # fmt: skip
def test_what_is_no_line(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        account("http://127.0.0.1:1").read(line)


def test_an_answer_that_cannot_be_read_is_a_line_without_one() -> None:
    line = b'{"custom_id": "m-r0000000001", "result": {"type": "succeeded", "message": {}}}'
    assert account("http://127.0.0.1:1").read(line) == NotAnswered(
        key(1), "provider_bad_answer", "Anthropic gave an answer that cannot be read.", 502
    )


@pytest.mark.parametrize("ref", ["", "../files", "a/b", "x" * 200])
async def test_what_is_no_ref(ref: str, provider: AnthropicBatches) -> None:
    with pytest.raises(FateUnknown):
        await provider.poll(ref)
    await provider.delete(ref)

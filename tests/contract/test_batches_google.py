"""Batches at Gemini and at Vertex AI: lines out and answers back, states, losses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import google.oauth2.credentials
import pytest
import pytest_asyncio
from google import genai

from mediagate.core.chat import (
    ChatRequest,
    FileUse,
    Finish,
    Finished,
    Media,
    MediaKind,
    Role,
    Settings,
    Text,
    TextDelta,
    ToolCall,
    Turn,
    Usage,
    Used,
    Way,
)
from mediagate.core.errors import InvalidField, InvalidRequest
from mediagate.providers.account import Account
from mediagate.providers.base import FateUnknown, ProviderBusy, SubmitRefused
from mediagate.providers.batches import (
    Answered,
    BatchOrder,
    BatchProvider,
    BatchState,
    FindsBatches,
    LineResult,
    NotAnswered,
    TakesChatLines,
)
from mediagate.providers.gemini import batches as gemini
from mediagate.providers.vertex_ai import batches as vertex_ai
from tests.conftest import free_port
from tests.doubles.gcs import BUCKET, gcs_double
from tests.doubles.google_batches import GeminiBatchesApi, VertexBatchesApi, said_back
from tests.doubles.google_chat import KEY, PROJECT, TOKEN

MODEL = "gemini-3-flash"
ID = "batch_01k4q3q8m0e8s9v0abcdefghjk"
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}


@dataclass
class Bench:
    """A provider, the API behind it, and how the two speak of the same things."""

    api: Any
    provider: Any
    running: str
    failed: str
    file_uri: str
    stopped: BatchState
    refused: Mapping[str, Any] = field(default_factory=dict)

    def put(self, data: bytes) -> str:
        """Have the lines where the provider reads them."""
        if isinstance(self.api, GeminiBatchesApi):
            return self.api._store("files/lines", "", "application/jsonl", data, "UPLOADED").name
        self.api.bucket.put("mediagate/file_1/batch.jsonl", data)
        return f"gs://{BUCKET}/mediagate/file_1/batch.jsonl"

    def job(self, ref: str) -> Any:
        """What the API knows of it."""
        return self.api.jobs[ref.partition("#")[0]]

    def order(self, lines: bytes, **more: Any) -> BatchOrder:
        """An order for these lines."""

        def unread() -> AsyncIterator[bytes]:
            raise AssertionError("the lines were read")

        order = BatchOrder(
            ID,
            MODEL,
            "/v1/chat/completions",
            lines.count(b"\n"),
            len(lines),
            unread,
            datetime.now(UTC),
            self.put(lines),
        )
        return replace(order, **more)


@pytest_asyncio.fixture(params=["gemini", "vertex_ai"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "gemini":
        with GeminiBatchesApi(KEY).running() as api:
            made = gemini.build(Account("x", "gemini", api_key=KEY, api_base=api.url))
            uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
            error = {"error": {"code": 400, "message": "The image is too large.", "status": "INVALID_ARGUMENT"}}
            running, failed = "BATCH_STATE_RUNNING", "BATCH_STATE_FAILED"
            yield Bench(api, made, running, failed, uri, BatchState.CANCELLED, error)
            await made.close()
        return
    async with gcs_double() as bucket:
        with VertexBatchesApi(bucket).running() as api:
            options = {"vertex_project": PROJECT, "vertex_api_base": api.url}
            environ = {"STORAGE_EMULATOR_HOST": bucket.url}
            account = Account("x", "vertex_ai", api_key=TOKEN, bucket_name=BUCKET, options=options, environ=environ)
            made = vertex_ai.build(account)
            said = (
                'Bad Request: {"error": {"code": 400, "message": "The image is too large.", '
                '"status": "INVALID_ARGUMENT"}} at last'
            )
            running, failed = "JOB_STATE_RUNNING", "JOB_STATE_FAILED"
            uri = f"gs://{BUCKET}/a.mp4"
            yield Bench(api, made, running, failed, uri, BatchState.CANCELLING, {"status": said})
            await made.close()


def asked(text: str, *parts: Any, model: str = MODEL, **settings: Any) -> ChatRequest:
    return ChatRequest(model, (Turn(Role.USER, (*parts, Text(text))),), Settings(**settings))


def lines(bench: Bench, *requests: ChatRequest) -> bytes:
    return b"".join(bench.provider.chat_line(f"r{number:010d}", one) for number, one in enumerate(requests))


async def results(provider: BatchProvider, ref: str) -> dict[str, LineResult]:
    """What became of each line."""
    data = b"".join([chunk async for chunk in provider.outputs(ref)])
    assert not data or data.endswith(b"\n")
    found = [provider.read(line) for line in data.splitlines()]
    assert len({one.key for one in found}) == len(found)
    return {one.key: one for one in found}


async def test_it_has_the_protocols(bench: Bench) -> None:
    assert isinstance(bench.provider, TakesChatLines)
    assert isinstance(bench.provider, FindsBatches)


async def test_a_batch_from_its_lines_to_its_answers(bench: Bench) -> None:
    file = FileUse(Way.URI, bench.file_uri, "video/mp4", file_id="file-1")
    video = Media(MediaKind.VIDEO, file, "messages[0].content[0]")
    data = lines(bench, asked("One", video, max_tokens=7), asked("Two"), asked("Three"), asked("Four"))
    ref = await bench.provider.submit(bench.order(data))
    first = bench.job(ref).lines[0]["request"]
    assert first["contents"][0]["parts"][0] == {"fileData": {"mimeType": "video/mp4", "fileUri": bench.file_uri}}
    assert first["generationConfig"] == {"maxOutputTokens": 7}
    assert (await bench.provider.poll(ref)).state is BatchState.QUEUED
    bench.job(ref).state = bench.running
    assert (await bench.provider.poll(ref)).state is BatchState.RUNNING

    def answers(request: Mapping[str, Any]) -> Mapping[str, Any]:
        text = request["contents"][-1]["parts"][-1]["text"]
        broken = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}
        told: dict[str, Mapping[str, Any]] = {"Two": bench.refused, "Three": {"response": BLOCKED}}
        return {"response": broken} if text == "Four" else told.get(text) or said_back(request)

    bench.api.finish(ref.partition("#")[0], answers)
    status = await bench.provider.poll(ref)
    assert (status.state, status.completed, status.failed) == (BatchState.SUCCEEDED, 3, 1)
    found = await results(bench.provider, ref)
    assert found == {
        "r0000000000": Answered(
            "r0000000000",
            [TextDelta("One!"), Finished(Finish.STOP, 0, "STOP"), Used(Usage(3, 2))],
            request_id="id of One",
        ),
        "r0000000001": NotAnswered(
            "r0000000001",
            "provider_rejected_request",
            f"{bench.provider.spec.title} does not take this: The image is too large.",
            400,
        ),
        "r0000000002": Answered("r0000000002", [Finished(Finish.CONTENT_FILTER, 0, "SAFETY"), Used(Usage(3))]),
        "r0000000003": found["r0000000003"],
    }
    malformed = found["r0000000003"]
    assert isinstance(malformed, NotAnswered)
    assert malformed.code == "provider_bad_answer"
    # Asked again, it is all still there; removed, nothing is.
    assert len(await results(bench.provider, ref)) == 4
    await bench.provider.delete(ref)
    await bench.provider.delete(ref)
    assert not bench.api.jobs
    if isinstance(bench.api, VertexBatchesApi):
        assert list(bench.api.bucket.objects) == ["mediagate/file_1/batch.jsonl"]
    else:
        assert list(bench.api.files) == ["files/lines"]


async def test_a_submit_whose_answer_is_lost_is_found_again(bench: Bench) -> None:
    order = bench.order(lines(bench, asked("One")))
    assert await bench.provider.find(order) is None
    other = await bench.provider.submit(replace(order, token="batch_other"))
    bench.api.lose("POST /v1/")
    with pytest.raises(FateUnknown):
        await bench.provider.submit(order)
    assert len(bench.api.jobs) == 2
    found = await bench.provider.find(order)
    assert found is not None
    assert found != other
    assert (await bench.provider.poll(found)).state is BatchState.QUEUED


async def test_geminis_pages_are_followed(bench: Bench) -> None:
    if isinstance(bench.api, GeminiBatchesApi):
        bench.api.page_jobs = 2
        order = bench.order(lines(bench, asked("One")))
        refs = [await bench.provider.submit(replace(order, token=f"batch_{number}")) for number in range(5)]
        assert await bench.provider.find(replace(order, token="batch_4")) == refs[4]


async def test_a_cancel(bench: Bench) -> None:
    ref = await bench.provider.submit(bench.order(lines(bench, asked("One"))))
    await bench.provider.cancel(ref)
    assert (await bench.provider.poll(ref)).state is bench.stopped
    assert await results(bench.provider, ref) == {}
    ended = await bench.provider.submit(bench.order(lines(bench, asked("One"))))
    bench.api.finish(ended.partition("#")[0])
    await bench.provider.cancel(ended)
    assert (await bench.provider.poll(ended)).state is BatchState.SUCCEEDED


async def test_a_job_that_fails_says_why(bench: Bench) -> None:
    ref = await bench.provider.submit(bench.order(lines(bench, asked("One"))))
    job = bench.job(ref)
    job.state, job.error = bench.failed, {"code": 3, "message": "The file has no such lines."}
    status = await bench.provider.poll(ref)
    assert status.state is BatchState.FAILED
    assert status.failure is not None
    assert "The file has no such lines." in status.failure.message
    assert await results(bench.provider, ref) == {}


async def test_an_expired_job_keeps_its_answers(bench: Bench) -> None:
    ref = await bench.provider.submit(bench.order(lines(bench, asked("One"))))
    name = ref.partition("#")[0]
    bench.api.finish(name, state=bench.running.replace("RUNNING", "EXPIRED"))
    assert (await bench.provider.poll(ref)).state is BatchState.EXPIRED
    assert len(await results(bench.provider, ref)) == 1


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"input_ref": None}, "input_lost"),
        ({"model": "../x"}, "provider_rejected_request"),
    ],
)
async def test_an_order_that_cannot_be(bench: Bench, more: Mapping[str, Any], code: str) -> None:
    order = bench.order(lines(bench, asked("One")), **more)
    with pytest.raises(SubmitRefused) as caught:
        await bench.provider.submit(order)
    assert caught.value.failure.code == code
    assert not bench.api.jobs


async def test_a_wrong_key_is_the_operators(bench: Bench) -> None:
    order = bench.order(lines(bench, asked("One")))
    bench.api.key = "another"
    with pytest.raises(SubmitRefused) as caught:
        await bench.provider.submit(order)
    assert caught.value.failure.code == "provider_credentials_refused"


async def test_nobody_is_there(bench: Bench) -> None:
    order = bench.order(lines(bench, asked("One")))
    bench.provider._http.base_url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ProviderBusy):
        await bench.provider.submit(order)
    with pytest.raises(FateUnknown):
        await bench.provider.find(order)


async def test_an_absent_job_is_no_news(bench: Bench) -> None:
    ref = await bench.provider.submit(bench.order(lines(bench, asked("One"))))
    bench.api.jobs.clear()
    for gone in (ref, "nonsense", "projects/../x#y", ""):
        with pytest.raises(FateUnknown):
            await bench.provider.poll(gone)
        with pytest.raises(FateUnknown):
            await bench.provider.cancel(gone)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"key": 7, "response": {}}',
        b'{"key": "r0", "response": {}}',
        b'{"key": "r0"}',
        b'{"request": {}, "status": ""}',
        b'{"request": {"labels": {"mediagate_line": 7}}, "status": ""}',
        b'{"request": {"labels": {"mediagate_line": "r0"}}, "status": "", "response": {}}',
    ],
)
async def test_what_is_no_answer(bench: Bench, line: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        bench.provider.read(line)


async def test_a_line_without_words_for_it_is_refused(bench: Bench) -> None:
    file = FileUse(Way.DATA, "AAAA", "application/zip")
    with pytest.raises(InvalidField):
        bench.provider.chat_line("r0", asked("One", Media(MediaKind.DOCUMENT, file, "messages[0].content[0]")))
    with pytest.raises(InvalidField):
        bench.provider.chat_line("r0", asked("One", model="../x"))


async def test_odd_characters_and_numbers_are_one_line(bench: Bench) -> None:
    call = ToolCall("c1", "f", '{"big": 123456789012345678901234567890, "odd": "\\ud83d"}')
    turns = (Turn(Role.USER, (Text("a\nb\r\u2028\x00"),)), Turn(Role.ASSISTANT, (call,)))
    line = bench.provider.chat_line("r0", ChatRequest(MODEL, turns))
    assert line.endswith(b"\n")
    assert len(line.splitlines()) == 1
    told = json.loads(line)["request"]["contents"]
    assert told[0]["parts"] == [{"text": "a\nb\r\u2028\x00"}]
    assert told[1]["parts"][0]["functionCall"]["args"]["big"] == 123456789012345678901234567890


async def test_a_tree_without_end_is_refused(bench: Bench) -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest):
        bench.provider.chat_line("r0", replace(asked("One"), extra={"deep": deep}))
    while deep:
        deep = deep["a"]


async def test_callers_labels_stay(bench: Bench) -> None:
    request = replace(asked("One"), extra={"labels": {"team": "a", "mediagate_line": "mine"}})
    ref = await bench.provider.submit(bench.order(bench.provider.chat_line("r0000000007", request)))
    bench.api.finish(ref.partition("#")[0])
    assert list(await results(bench.provider, ref)) == ["r0000000007"]
    assert bench.job(ref).lines[0]["request"]["labels"]["team"] == "a"


async def test_a_tuned_model_takes_no_batches(bench: Bench) -> None:
    if isinstance(bench.api, VertexBatchesApi):
        with pytest.raises(InvalidField, match="not for an endpoint"):
            bench.provider.chat_line("r0", asked("One", model="12345"))


async def test_googles_own_client_sees_the_same_jobs(bench: Bench) -> None:
    """The double is what the official client expects."""
    options = genai.types.HttpOptions(base_url=bench.api.url)
    if isinstance(bench.api, GeminiBatchesApi):
        client = genai.Client(api_key=KEY, http_options=options)
    else:
        credentials = google.oauth2.credentials.Credentials(token=TOKEN)  # type: ignore[no-untyped-call]
        options.api_version = "v1"
        client = genai.Client(
            vertexai=True, project=PROJECT, location="global", credentials=credentials, http_options=options
        )
    ref = await bench.provider.submit(bench.order(lines(bench, asked("One"))))
    name = ref.partition("#")[0]
    job = await asyncio.to_thread(client.batches.get, name=name)
    assert (job.display_name, job.name) == (ID, name)
    assert job.state is genai.types.JobState.JOB_STATE_PENDING
    bench.api.finish(name)
    job = await asyncio.to_thread(client.batches.get, name=name)
    assert job.state is genai.types.JobState.JOB_STATE_SUCCEEDED
    assert job.dest is not None
    client.close()

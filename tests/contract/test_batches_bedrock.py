"""Batches at Bedrock: lines, jobs over objects in S3, answers, and files that lines mention."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from mediagate.core.chat import ChatRequest, Media, MediaKind, TextDelta, Way
from mediagate.core.errors import InvalidField
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.base import FateUnknown, ProviderBusy, SubmitRefused
from mediagate.providers.batches import (
    CHAT,
    Answered,
    BatchOrder,
    BatchState,
    BatchStatus,
    InputPlace,
    NotAnswered,
    TakesChatLines,
)
from mediagate.providers.bedrock.batches import STATES, BedrockBatches
from mediagate.providers.bedrock.files import BedrockFiles
from mediagate.providers.bedrock.settings import settings_of
from mediagate.providers.registry import batch_spec, build_batches
from tests.contract.suite import store
from tests.doubles.bedrock_batches import ROLE, BedrockJobs, Job, account, answered, refused
from tests.doubles.faulty import answer, faulty_server
from tests.unit.chat.asked import asked, media, user

NOVA = "us.amazon.nova-2-lite-v1:0"
TOKEN = "batch_01jd0000000000000000000000"


@pytest.fixture
def api(s3_client: Any) -> Iterator[BedrockJobs]:
    with BedrockJobs(s3_client).running() as running:
        yield running


@pytest.fixture
def given(api: BedrockJobs, moto_url: str, s3_bucket: str) -> Account:
    return account(api.url, moto_url, s3_bucket)


@pytest_asyncio.fixture
async def provider(given: Account) -> AsyncIterator[BedrockBatches]:
    made = build_batches(given)
    assert isinstance(made, BedrockBatches)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def files(given: Account) -> AsyncIterator[BedrockFiles]:
    made = BedrockFiles(settings_of(given))
    yield made
    await made.close()


def key(number: int) -> str:
    return f"r{number:010d}"


async def order(
    provider: TakesChatLines, files: BedrockFiles, requests: Sequence[ChatRequest], *, name: str = f"{TOKEN}.jsonl"
) -> BatchOrder:
    lines = b"".join(provider.chat_line(key(number), request) for number, request in enumerate(requests))
    blob = await store(files, lines, key=new_file_id(), filename=name, content_type="application/x-ndjson")

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(lines), 50):
            yield lines[at : at + 50]

    return BatchOrder(TOKEN, NOVA, CHAT, len(requests), len(lines), pieces, datetime.now(UTC), blob.ref)


def texts(*said: str) -> list[ChatRequest]:
    return [asked(user(text), model=NOVA) for text in said]


async def results(provider: BedrockBatches, ref: str) -> dict[str, Answered | NotAnswered]:
    data = b"".join([chunk async for chunk in provider.outputs(ref)])
    return {result.key: result for result in map(provider.read, data.splitlines())}


def only(api: BedrockJobs) -> Job:
    (job,) = api.jobs.values()
    return job


def keys_in(s3: Any, bucket: str) -> list[str]:
    return sorted(entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []))


def test_what_it_is() -> None:
    spec = batch_spec("bedrock")
    assert (spec.input_place, spec.idempotent_submit, spec.lines_min) == (InputPlace.ACCOUNT, True, 100)


@pytest.mark.parametrize("role", [None, "", "mediagate", "arn:aws:iam::1:role/x"])
def test_without_a_role_there_are_no_batches(role: str | None) -> None:
    with pytest.raises(ValueError, match="aws_batch_role_arn"):
        build_batches(account("http://a:1", "http://b:1", "bucket", aws_batch_role_arn=role))


def test_a_line_is_a_body_of_converse(provider: BedrockBatches) -> None:
    line = provider.chat_line(key(7), asked(user("Süm\nup."), model=NOVA, max_tokens=5))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "recordId": key(7),
        "modelInput": {
            "messages": [{"role": "user", "content": [{"text": "Süm\nup."}]}],
            "inferenceConfig": {"maxTokens": 5},
        },
    }
    with pytest.raises(InvalidField):
        provider.chat_line(key(7), asked(user("x"), model=NOVA, n=2))


async def test_a_job_from_its_begin_to_its_end(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs, s3_client: Any, s3_bucket: str
) -> None:
    batch = await order(provider, files, texts("a", "b", "c", "d"))
    ref = await provider.submit(batch)
    job = only(api)
    sent = job.asked
    assert sent["roleArn"] == ROLE
    assert sent["modelId"] == NOVA
    assert sent["modelInvocationType"] == "Converse"
    assert sent["timeoutDurationInHours"] == 24
    # Nothing is copied where no line mentions a file.
    assert sent["inputDataConfig"]["s3InputDataConfig"]["s3Uri"] == batch.input_ref
    folder = f"s3://{s3_bucket}/mediagate/batches/{TOKEN.replace('_', '-')}/"
    assert sent["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"] == f"{folder}out/"
    assert await provider.poll(ref) == BatchStatus(BatchState.QUEUED)
    said = {
        key(0): answered("Ä", input_tokens=4),
        key(1): refused(400, "Input is too long for requested model."),
        key(2): refused("ThrottlingException", "Slow"),
    }
    await asyncio.to_thread(api.end, job, lambda line: said.get(line["recordId"]), "PartiallyCompleted")
    assert await provider.poll(ref) == BatchStatus(BatchState.SUCCEEDED, completed=1, failed=2)
    found = await results(provider, ref)
    assert sorted(found) == [key(0), key(1), key(2)]
    first = found[key(0)]
    assert isinstance(first, Answered)
    assert TextDelta("Ä") in first.answer
    told = [(r.code, r.status_code) for n in (1, 2) if isinstance(r := found[key(n)], NotAnswered)]
    assert told == [("context_length_exceeded", 400), ("provider_rate_limited", 429)]
    await provider.delete(ref)
    await provider.delete(ref)
    # The lines are the gateway's own file, which it removes itself.
    assert keys_in(s3_client, s3_bucket) == [str(batch.input_ref).removeprefix(f"s3://{s3_bucket}/")]
    assert await results(provider, ref) == {}


def mention(uri: str, kind: MediaKind = MediaKind.VIDEO, media_type: str = "video/mp4") -> Media:
    return media(kind, Way.URI, uri, media_type, "a.mp4")


async def test_files_that_lines_mention_lie_beside_them(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs, s3_client: Any, s3_bucket: str
) -> None:
    film = await store(files, b"film", key=new_file_id(), filename="a.mp4", content_type="video/mp4")
    paper = await store(files, b"paper", key=new_file_id(), filename="b.jsonl", content_type="text/plain")
    requests = [
        asked(user("Look", mention(film.ref)), model=NOVA),
        asked(user("Read", mention(paper.ref, MediaKind.DOCUMENT, "text/plain")), model=NOVA),
        asked(user("Again", mention(film.ref), mention(film.ref)), model=NOVA),
        asked(user('No file, but the word "s3Location"'), model=NOVA),
    ]
    batch = await order(provider, files, requests)
    ref = await provider.submit(batch)
    job = only(api)
    folder = f"mediagate/batches/{TOKEN.replace('_', '-')}/in/"
    assert job.asked["inputDataConfig"]["s3InputDataConfig"]["s3Uri"] == f"s3://{s3_bucket}/{folder}"
    # The double itself says whether the job could read all this.
    read = await asyncio.to_thread(api.lines, job)
    assert list(read) == ["lines.jsonl"]
    assert [line["recordId"] for line in read["lines.jsonl"]] == [key(number) for number in range(4)]
    assert read["lines.jsonl"][3]["modelInput"]["messages"][0]["content"][0]["text"].endswith('"s3Location"')
    copies = [name for name in keys_in(s3_client, s3_bucket) if name.startswith(folder)]
    assert len(copies) == 3
    for name, data in {"a.mp4": b"film", "b.jsonl.txt": b"paper"}.items():
        (copy,) = (copy for copy in copies if copy.endswith(name))
        answer = await asyncio.to_thread(s3_client.get_object, Bucket=s3_bucket, Key=copy)
        assert answer["Body"].read() == data
    # A second attempt is the same job.
    assert await provider.submit(batch) == ref
    assert len(api.jobs) == 1
    await asyncio.to_thread(api.end, job, lambda line: answered(line["recordId"]))
    assert len(await results(provider, ref)) == 4
    await provider.delete(ref)
    assert not [name for name in keys_in(s3_client, s3_bucket) if "/batches/" in name]
    for blob in (film, paper):
        await files.get(blob.ref)


async def test_a_file_that_is_gone_refuses_the_batch(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs, s3_client: Any, s3_bucket: str
) -> None:
    gone = f"s3://{s3_bucket}/mediagate/{new_file_id()}/gone.mp4"
    batch = await order(provider, files, [asked(user("Look", mention(gone)), model=NOVA)])
    with pytest.raises(SubmitRefused) as caught:
        await provider.submit(batch)
    assert caught.value.failure.code == "input_lost"
    assert api.jobs == {}
    assert len(keys_in(s3_client, s3_bucket)) == 1
    with pytest.raises(SubmitRefused):
        await provider.submit(replace(batch, input_ref=None))


async def test_lines_of_another_name_are_copied(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs
) -> None:
    await provider.submit(await order(provider, files, texts("a", "b"), name="lines"))
    assert only(api).asked["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].endswith("/in/")
    assert len((await asyncio.to_thread(api.lines, only(api)))["lines.jsonl"]) == 2


@pytest.mark.parametrize(("word", "state"), STATES.items())
async def test_every_state(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs, word: str, state: BatchState
) -> None:
    ref = await provider.submit(await order(provider, files, texts("a")))
    only(api).state = {"status": word, "message": "Something at https://10.0.0.7/ failed."}
    status = await provider.poll(ref)
    assert status.state is state
    assert (status.failure is not None) == (state is BatchState.FAILED)
    if status.failure is not None:
        assert "10.0.0.7" not in status.failure.message


async def test_a_state_that_is_not_known_is_no_verdict(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs
) -> None:
    ref = await provider.submit(await order(provider, files, texts("a")))
    only(api).state = {"status": "Pondering"}
    with pytest.raises(FateUnknown):
        await provider.poll(ref)


async def test_a_job_that_is_stopped(provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs) -> None:
    ref = await provider.submit(await order(provider, files, texts("a")))
    await provider.cancel(ref)
    assert (await provider.poll(ref)).state is BatchState.CANCELLING
    # A conflict says that there is nothing to stop.
    await provider.cancel(ref)
    with pytest.raises(FateUnknown):
        await provider.cancel(ref.replace("model-invocation-job/", "model-invocation-job/x"))


async def test_a_submit_whose_answer_was_lost_is_repeated_safely(
    provider: BedrockBatches, files: BedrockFiles, api: BedrockJobs
) -> None:
    batch = await order(provider, files, texts("a"))
    api.lose("POST /model-invocation-job")
    with pytest.raises(FateUnknown):
        await provider.submit(batch)
    ref = await provider.submit(batch)
    assert len(api.jobs) == 1
    assert ref.startswith(only(api).arn)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        ("400 Bad", "ValidationException", SubmitRefused),
        ("403 No", "AccessDeniedException", SubmitRefused),
        ("404 No", "ResourceNotFoundException", SubmitRefused),
        ("429 Slow", "ThrottlingException", ProviderBusy),
        ("400 Full", "ServiceQuotaExceededException", ProviderBusy),
        ("400 Busy", "ConflictException", FateUnknown),
        ("500 No", "InternalServerException", FateUnknown),
    ],
)
async def test_refusals(
    provider: BedrockBatches, files: BedrockFiles, given: Account, status: str, kind: str, expected: type[Exception]
) -> None:
    batch = await order(provider, files, texts("a"))
    body = {"message": "no", "__type": kind}
    async with faulty_server("500", {"POST /model-invocation-job": answer(body, status=status)}) as server:
        other = build_batches(replace(given, options={**given.options, "aws_bedrock_endpoint": server.url}))
        with pytest.raises(expected):
            await other.submit(batch)
        await other.close()


@pytest.mark.parametrize("fault", ["refused", "401", "404", "429", "500", "stall", "reset", "truncated", "garbage"])
async def test_what_goes_wrong_says_nothing_of_a_job(given: Account, fault: str) -> None:
    ref = "arn:aws:bedrock:us-west-2:123456789012:model-invocation-job/0a1b2c3d4e5f,s3://b/mediagate/batches/x/"
    async with faulty_server(fault) as server:
        options = {**given.options, "aws_bedrock_endpoint": server.url, "timeout": 0.3}
        other = build_batches(replace(given, options=options))
        with pytest.raises(FateUnknown):
            await other.poll(ref)
        # To stop has no answer but its status; a poll says what came of it.
        if fault not in ("truncated", "garbage"):
            with pytest.raises(FateUnknown):
                await other.cancel(ref)
        await other.close()


@pytest.mark.parametrize("ref", ["", "x", "arn:aws:bedrock:us-west-2:1:model-invocation-job/a,s3://b/c/", "a,s3://b/c"])
async def test_what_is_no_ref(ref: str, provider: BedrockBatches) -> None:
    with pytest.raises(FateUnknown):
        await provider.poll(ref)
    with pytest.raises(FileNotFoundError):
        await results(provider, ref)
    await provider.delete(ref)


@pytest.mark.parametrize("line", [b"no", b"[]", b"{}", b'{"recordId": 7}', b'{"recordId": "x"}'])
def test_what_is_no_line(line: bytes, provider: BedrockBatches) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        provider.read(line)


def test_an_answer_that_cannot_be_read_is_a_line_without_one(provider: BedrockBatches) -> None:
    found = provider.read(b'{"recordId": "r0000000001", "modelOutput": {}}')
    assert isinstance(found, NotAnswered)
    assert (found.key, found.code, found.status_code) == (key(1), "provider_bad_answer", 502)

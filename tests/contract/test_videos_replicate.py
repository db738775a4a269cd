"""Replicate's videos: the contract, its failures, and what is special there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Unpack

import pytest
import pytest_asyncio

from mediagate.providers.account import Account
from mediagate.providers.base import (
    FailureStage,
    JobState,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoVariant,
)
from mediagate.providers.media_hosts import MISPLACED
from mediagate.providers.registry import build_videos
from mediagate.providers.replicate.failures import failure_of
from tests.contract.video_bench import VIDEO, Details, Said, VideoBench, media, request_for
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract
from tests.doubles.delivery import delivery
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.replicate_videos import MODELS, SENSITIVE, VERSION, Prediction, ReplicateApi

# Its schema cannot be had: it is asked by the usual names.
ANY = "acme/films"
SEEDANCE = "bytedance/seedance-1-pro"
WORDS = {
    Said.QUEUED: "starting",
    Said.RENDERING: "processing",
    Said.SUCCEEDED: "succeeded",
    Said.FAILED: "failed",
    Said.MODERATED: "failed",
    Said.CANCELLED: "canceled",
    Said.WITH_ERROR: "succeeded",
    Said.NO_VIDEO: "succeeded",
    Said.GONE: "succeeded",
}

MEANINGS = {
    "starting": JobState.QUEUED,
    "processing": JobState.RENDERING,
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELLED,
    "aborted": JobState.FAILED,
}
EXTRA = {"input": {"seed": 7, "aspect_ratio": "9:16"}, "webhook": "https://example.com/hook"}

HOSTILE = (
    "http://169.254.169.254/latest/meta-data",
    "https://10.0.0.7/",
    "https://localhost/",
    "https://replicate.delivery.evil.example/out.mp4",
    "https://evilreplicate.delivery/out.mp4",
    "https://evil.example/replicate.delivery/out.mp4",
    "https://user@replicate.delivery/out.mp4",
    "https://evil.example\\@replicate.delivery/out.mp4",
    "https://replicate.delivery:8443/out.mp4",
    "http://replicate.delivery/out.mp4",
    "https://api.replicate.com/v1/account",
    "file:///etc/passwd",
    "/v1/account",
    "https://[::1/out.mp4",
)


def account(url: str, **options: object) -> Account:
    return Account("replicate-1", "replicate", api_key="test-key", api_base=url, options=options)


class ReplicateBench(VideoBench):
    model = ANY
    words = MEANINGS
    extra = EXTRA
    streams_inputs = True

    def __init__(self, api: ReplicateApi) -> None:
        self.api = api
        self.provider = build_videos(account(api.url, media_hosts=api.delivery.host))

    def submits(self) -> int:
        return sum(asked.method == "POST" and asked.path.endswith("/predictions") for asked in self.api.asked)

    def jobs(self) -> int:
        return len(self.api.predictions)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        prediction = self.api.predictions[ref]
        prediction.status = details["word"] if said is Said.WORD else WORDS[said]
        if said is not Said.QUEUED:
            prediction.started_at = datetime.now(UTC)
        if said not in (Said.QUEUED, Said.RENDERING):
            prediction.completed_at = datetime.now(UTC)
        if said in (Said.FAILED, Said.WITH_ERROR):
            prediction.error = details.get("reason", "it broke")
        if said is Said.MODERATED:
            prediction.error = SENSITIVE
        if said in (Said.SUCCEEDED, Said.WORD):
            self.api.delivery.put(ref, details.get("video", VIDEO))
            prediction.has_video = True
        prediction.data_removed = said is Said.GONE

    async def made(self, ref: str) -> bytes:
        return self.api.delivery.get(ref)

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.predictions[ref].body

    def image_of(self, ref: str) -> bytes:
        return self.api.received(self.sent(ref)["input"]["image"])

    def source_of(self, ref: str) -> bytes:
        return self.api.received(self.sent(ref)["input"]["video"])

    async def cut(self, ref: str, at: int) -> None:
        self.api.delivery.cut(ref, at)

    async def expire_links(self) -> None:
        self.api.delivery.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.delivery.redirect(url)


@pytest.fixture
def api() -> Iterator[ReplicateApi]:
    with ExitStack() as stack:
        there = stack.enter_context(delivery("test-key"))
        yield stack.enter_context(ReplicateApi(there).running())


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.replicate.videos.CANCEL_CHECK_S", 0.01)


@pytest_asyncio.fixture
async def replicate(api: ReplicateApi) -> AsyncIterator[ReplicateBench]:
    made = ReplicateBench(api)
    yield made
    await made.provider.close()


class TestReplicate(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self, replicate: ReplicateBench) -> VideoBench:  # type: ignore[override]
        return replicate


class TestReplicateFaults(VideoFaultContract):
    model = ANY
    ref = "gm3qorzdhgbfurvjtvhg6dckhu"

    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, timeout=0.5, media_hosts=url.removeprefix("http://")))

    def answers(self, call: Call) -> Mapping[str, bytes]:
        schemas = {"Input": {"properties": MODELS["wan-video/wan-2.5-t2v"]}}
        model = {"latest_version": {"openapi_schema": {"components": {"schemas": schemas}}}}
        return {f"GET /v1/models/{self.model}$": answer(model)}

    def content_answers(self, url: str) -> Mapping[str, bytes]:
        done = {"id": self.ref, "status": "succeeded", "output": f"{url}/output.mp4"}
        return {f"GET /v1/predictions/{self.ref}$": answer(done)}


def only(api: ReplicateApi) -> Prediction:
    (prediction,) = api.predictions.values()
    return prediction


async def refusal(bench: ReplicateBench, **fields: Any) -> SubmitRefused:
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, **fields))
    assert bench.jobs() == 0
    return refused.value


async def test_the_request_is_what_the_models_schema_asks_for(replicate: ReplicateBench, api: ReplicateApi) -> None:
    replicate.model = SEEDANCE
    await replicate.provider.submit(request_for(replicate, callback_url="https://gateway.example/hook"))
    asked = api.asked[-1]
    assert str(asked) == "POST /v1/models/bytedance/seedance-1-pro/predictions"
    assert asked.headers["authorization"] == "Bearer test-key"
    assert asked.headers["cancel-after"] == "60m"
    assert int(asked.headers["content-length"]) > 0
    assert only(api).body == {
        "input": {
            "prompt": "a paper boat in the rain",
            "duration": 5,
            "resolution": "720p",
            "aspect_ratio": "16:9",
        },
        "webhook": "https://gateway.example/hook",
        "webhook_events_filter": ["completed"],
    }


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("kwaivgi/kling-v2.6", {"duration": 5, "aspect_ratio": "16:9", "generate_audio": False}),
        ("wan-video/wan-2.5-t2v", {"duration": 5, "size": "1280*720"}),
    ],
)
async def test_every_model_is_asked_in_its_own_way(
    replicate: ReplicateBench, api: ReplicateApi, model: str, expected: dict[str, Any]
) -> None:
    replicate.model = model
    await replicate.provider.submit(request_for(replicate, audio=False))
    assert only(api).body["input"] == {"prompt": "a paper boat in the rain", **expected}


async def test_a_schema_is_asked_for_once(replicate: ReplicateBench, api: ReplicateApi) -> None:
    replicate.model = SEEDANCE
    for number in range(3):
        await replicate.provider.submit(request_for(replicate, f"video_{number}"))
    assert [asked.method for asked in api.asked] == ["GET", "POST", "POST", "POST"]


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        ("owner/unlisted", "/v1/models/owner/unlisted/predictions", None),
        (f"owner/name:{VERSION}", "/v1/predictions", VERSION),
        (VERSION, "/v1/predictions", VERSION),
        ("deployments/acme/films", "/v1/deployments/acme/films/predictions", None),
    ],
)
async def test_without_a_schema_the_usual_names_are_taken(
    replicate: ReplicateBench, api: ReplicateApi, model: str, path: str, version: str | None
) -> None:
    replicate.model = model
    await replicate.provider.submit(request_for(replicate))
    assert api.asked[-1].path == path
    body = only(api).body
    assert body.get("version") == version
    assert body["input"] == {
        "prompt": "a paper boat in the rain",
        "duration": 5,
        "aspect_ratio": "16:9",
        "resolution": "720p",
    }


@pytest.mark.parametrize("model", ["", "one", "a/b/c", "../x", "a/..", "a/b:short", "a/b?c", "ä/b"])
async def test_what_cannot_be_a_model_is_refused_without_a_request(
    replicate: ReplicateBench, api: ReplicateApi, model: str
) -> None:
    replicate.model = model
    failure = (await refusal(replicate)).failure
    assert (failure.stage, failure.field) == (FailureStage.INPUT, "model")
    assert not api.asked


@pytest.mark.parametrize(
    ("model", "fields", "about", "named"),
    [
        (SEEDANCE, {"seconds": 30}, "seconds", "at least 2 and at most 12"),
        ("kwaivgi/kling-v2.6", {"seconds": 7}, "seconds", "5, 10"),
        (SEEDANCE, {"width": 1440, "height": 960}, "size", "16:9, 4:3, 1:1, 3:4, 9:16, 21:9"),
        ("wan-video/wan-2.5-t2v", {"width": 640, "height": 640}, "size", "832*480, 1280*720"),
        ("wan-video/wan-2.5-t2v", {"image": media(b"x", "image/png")}, "input_reference", "does not take an image"),
    ],
)
async def test_what_a_model_cannot_do_is_refused_with_what_it_can(
    replicate: ReplicateBench, model: str, fields: dict[str, Any], about: str, named: str
) -> None:
    replicate.model = model
    failure = (await refusal(replicate, **fields)).failure
    assert (failure.stage, failure.field) == (FailureStage.INPUT, about)
    assert named in failure.message


async def test_a_small_image_goes_with_the_request_and_a_large_one_before_it(
    replicate: ReplicateBench, api: ReplicateApi
) -> None:
    small, large = b"s" * 200_000, b"l" * 300_000
    first = await replicate.provider.submit(request_for(replicate, "video_1", image=media(small, "image/png")))
    assert not api.files
    assert replicate.sent(first)["input"]["image"].startswith("data:image/png;base64,")
    second = await replicate.provider.submit(request_for(replicate, "video_2", image=media(large, "image/jpeg")))
    assert list(api.files.values()) == [large]
    assert replicate.image_of(first) == small
    assert replicate.image_of(second) == large


async def test_an_input_that_is_too_large_is_refused_before_it_is_read(
    replicate: ReplicateBench, api: ReplicateApi
) -> None:
    huge = media(b"", "video/mp4", size_bytes=100 * 1024 * 1024 + 1)
    failure = (await refusal(replicate, kind=VideoKind.EDIT, source_video=huge)).failure
    assert (failure.code, failure.field) == ("input_too_large", "video")
    assert [asked.method for asked in api.asked] == ["GET"]


async def test_a_callback_without_tls_is_left_out(replicate: ReplicateBench, api: ReplicateApi) -> None:
    await replicate.provider.submit(request_for(replicate, callback_url="http://gateway.example/hook"))
    assert "webhook" not in only(api).body


async def test_a_version_has_a_schema_of_its_own(replicate: ReplicateBench, api: ReplicateApi) -> None:
    replicate.model = f"kwaivgi/kling-v2.6:{VERSION}"
    await replicate.provider.submit(request_for(replicate))
    assert str(api.asked[0]) == f"GET /v1/models/kwaivgi/kling-v2.6/versions/{VERSION}"
    assert only(api).body == {
        "version": VERSION,
        "input": {"prompt": "a paper boat in the rain", "duration": 5, "aspect_ratio": "16:9"},
    }


async def test_an_upload_that_is_lost_started_nothing(replicate: ReplicateBench, api: ReplicateApi) -> None:
    api.lose("POST /v1/files")
    with pytest.raises(ProviderBusy):
        await replicate.provider.submit(request_for(replicate, image=media(b"l" * 300_000, "image/png")))
    assert replicate.submits() == 0


async def test_an_edit_starts_from_the_link_of_the_earlier_video(replicate: ReplicateBench, api: ReplicateApi) -> None:
    ref = await replicate.provider.submit(request_for(replicate, "video_1"))
    await replicate.advance(ref, Said.SUCCEEDED)
    edited = await replicate.provider.submit(request_for(replicate, "video_2", kind=VideoKind.EDIT, source_ref=ref))
    assert replicate.sent(edited)["input"] == {
        "prompt": "a paper boat in the rain",
        "video": api.delivery.link(ref),
    }
    assert not api.files


async def test_what_an_ended_prediction_costs(replicate: ReplicateBench) -> None:
    async def failure_at(started: bool, word: str) -> Any:
        ref = await replicate.provider.submit(request_for(replicate, f"video_{started}_{word}"))
        await replicate.advance(ref, Said.WORD, word=word)
        if not started:
            replicate.api.predictions[ref].started_at = None
        return (await replicate.provider.poll(ref)).failure

    assert (await failure_at(True, "canceled")).charged
    assert not (await failure_at(False, "canceled")).charged
    late = await failure_at(False, "aborted")
    assert (late.stage, late.charged, late.retryable) == (FailureStage.DEADLINE, False, True)


async def test_the_output_is_gone_an_hour_after_it_was_made(replicate: ReplicateBench) -> None:
    ref = await replicate.provider.submit(request_for(replicate))
    await replicate.advance(ref, Said.SUCCEEDED)
    status = await replicate.provider.poll(ref)
    completed = replicate.api.predictions[ref].completed_at
    assert completed is not None
    assert status.expires_at is not None
    assert (status.expires_at - completed).total_seconds() == 3600


@pytest.mark.parametrize("output", HOSTILE)
async def test_an_output_at_a_place_of_the_models_own_is_not_read(
    replicate: ReplicateBench, api: ReplicateApi, output: str
) -> None:
    ref = await replicate.provider.submit(request_for(replicate))
    await replicate.advance(ref, Said.SUCCEEDED)
    api.predictions[ref].output = output
    status = await replicate.provider.poll(ref)
    assert status.state is JobState.FAILED
    assert status.failure == MISPLACED
    with pytest.raises(FileNotFoundError):
        await replicate.provider.open(ref, VideoVariant.VIDEO)


@pytest.mark.parametrize(
    "output",
    [
        "https://replicate.delivery/pbxt/a/out.mp4",
        ["https://bar.replicate.delivery/a/out.mp4"],
        {"video": "https://replicate.delivery/a/out.mp4", "thumbnail": "https://replicate.delivery/a.png"},
    ],
)
async def test_the_shapes_of_outputs(replicate: ReplicateBench, api: ReplicateApi, output: Any) -> None:
    ref = await replicate.provider.submit(request_for(replicate))
    await replicate.advance(ref, Said.SUCCEEDED)
    api.predictions[ref].output = output
    assert (await replicate.provider.poll(ref)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(("looks", "stopped"), [(0, True), (2, True), (9, False)])
async def test_a_cancel_is_believed_when_the_prediction_says_so(
    replicate: ReplicateBench, api: ReplicateApi, looks: int, stopped: bool
) -> None:
    api.slow_cancels = looks
    ref = await replicate.provider.submit(request_for(replicate))
    await replicate.advance(ref, Said.RENDERING)
    assert await replicate.provider.cancel(ref) is stopped
    assert len([asked for asked in api.asked if asked.path.endswith("/cancel")]) == 1


@pytest.mark.parametrize(
    ("said", "stage", "code", "retryable"),
    [
        (SENSITIVE, FailureStage.INPUT, "content_policy_violation", False),
        ("NSFW content detected. Try running it again.", FailureStage.INPUT, "content_policy_violation", False),
        ("The input was invalid. (E006)", FailureStage.INPUT, "provider_rejected_request", False),
        ("Service is unavailable due to high demand. (E003)", FailureStage.PROVIDER, "provider_unavailable", True),
        ("CUDA out of memory. Tried to allocate 2 GiB", FailureStage.PROVIDER, "provider_failed", True),
        ("", FailureStage.PROVIDER, "provider_failed", True),
    ],
)  # fmt: skip
def test_the_texts_of_failures(said: str, stage: FailureStage, code: str, retryable: bool) -> None:
    failure = failure_of(said)
    assert (failure.stage, failure.code, failure.retryable) == (stage, code, retryable)
    assert "CUDA" not in failure.message


async def test_a_pause_that_only_the_text_tells() -> None:
    detail = {"detail": "Request was throttled. Your rate limit resets in ~30s."}
    throttled = {"": answer(detail, status="429 Too Many Requests")}
    async with faulty_server("garbage", throttled) as server:
        provider = build_videos(account(server.url))
        bench = TestReplicateFaults()
        with pytest.raises(ProviderBusy) as busy:
            await provider.submit(bench.request())
        assert busy.value.retry_after_s == 30
        await provider.close()


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing"):
        build_videos(Account("replicate-1", "replicate"))
    assert build_videos(Account("r", "replicate", environ={"REPLICATE_API_TOKEN": "k"})).spec.name == "replicate"

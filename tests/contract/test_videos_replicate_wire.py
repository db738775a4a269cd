"""What is sent to Replicate for a video, and what is made of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from mediagate.providers.base import (
    FailureStage,
    JobState,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoVariant,
)
from mediagate.providers.media_hosts import MISPLACED
from mediagate.providers.registry import build_videos
from mediagate.providers.replicate.failures import failure_of
from tests.contract.replicate_video_bench import SEEDANCE, ReplicateBench, account, plain_request, running_replicate
from tests.contract.video_bench import Said, media, request_for
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.replicate_videos import SENSITIVE, VERSION, Prediction, ReplicateApi

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


@pytest.fixture
def api() -> Iterator[ReplicateApi]:
    with running_replicate() as running:
        yield running


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.replicate.videos.CANCEL_CHECK_S", 0.01)


@pytest_asyncio.fixture
async def replicate(api: ReplicateApi) -> AsyncIterator[ReplicateBench]:
    made = ReplicateBench(api)
    yield made
    await made.provider.close()


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


@pytest.mark.parametrize(("header", "pause_s"), [("", 30), ("\r\nretry-after: 7", 7)])
async def test_a_pause_is_told_by_the_header_or_by_the_text(header: str, pause_s: float) -> None:
    detail = {"detail": "Request was throttled. Your rate limit resets in ~30s."}
    throttled = answer(detail, status=f"429 Too Many Requests{header}")
    with pytest.raises(ProviderBusy) as busy:
        await submitted_to(throttled)
    assert busy.value.retry_after_s == pause_s


async def test_a_prompt_that_is_refused_at_once() -> None:
    with pytest.raises(SubmitRefused) as refused:
        await submitted_to(answer({"detail": SENSITIVE}, status="422 Unprocessable Entity"))
    assert refused.value.failure.code == "content_policy_violation"
    assert "uIJ6l3ruRD" not in refused.value.failure.message


async def submitted_to(reply: bytes) -> str:
    """What becomes of a submit to a server that always says this."""
    async with faulty_server("garbage", {"": reply}) as server:
        provider = build_videos(account(server.url))
        try:
            return await provider.submit(plain_request())
        finally:
            await provider.close()

"""What is sent to fal for a video, and what is made of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoVariant,
)
from mediagate.providers.fal.failures import PLATFORM
from mediagate.providers.media_hosts import MISPLACED
from mediagate.providers.registry import build_videos
from tests.contract.fal_video_bench import (
    POLICY,
    REF,
    REJECTED,
    VEO,
    FalBench,
    account,
    detail,
    plain_request,
    running_fal,
)
from tests.contract.video_bench import Said, media, request_for
from tests.doubles.fal_videos import FalApi, Queued
from tests.doubles.faulty import answer, faulty_server


@pytest.fixture
def api() -> Iterator[FalApi]:
    with running_fal() as running:
        yield running


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.fal.videos.CANCEL_CHECK_S", 0.01)


@pytest_asyncio.fixture
async def fal(api: FalApi) -> AsyncIterator[FalBench]:
    made = FalBench(api)
    yield made
    await made.provider.close()


def only(api: FalApi) -> Queued:
    (queued,) = api.requests.values()
    return queued


async def test_the_request_is_what_the_models_schema_asks_for(fal: FalBench, api: FalApi) -> None:
    fal.model = VEO
    ref = await fal.provider.submit(request_for(fal, seconds=6, audio=False, callback_url="https://gateway.example/x"))
    asked = api.asked[-1]
    assert str(asked) == f"POST /{VEO}"
    assert asked.headers["authorization"] == "Key test-key"
    assert asked.headers["x-fal-request-timeout"] == "3600"
    assert asked.query == {"fal_webhook": "https://gateway.example/x"}
    assert ref == f"fal-ai/veo3.1/requests/{only(api).id}"
    assert only(api).body == {
        "prompt": "a paper boat in the rain",
        "duration": "6s",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "generate_audio": False,
    }


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("fal-ai/kling-video/v2.6/pro/text-to-video", {}, {"duration": "5", "aspect_ratio": "16:9"}),
        ("blackforestlabs/unlisted", {}, {"duration": 5, "aspect_ratio": "16:9", "resolution": "720p"}),
        ("workflows/acme/films", {}, {"duration": 5, "aspect_ratio": "16:9", "resolution": "720p"}),
    ],
)
async def test_every_model_is_asked_in_its_own_way(
    fal: FalBench, api: FalApi, model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    fal.model = model
    ref = await fal.provider.submit(request_for(fal, **fields))
    assert only(api).body == {"prompt": "a paper boat in the rain", **expected}
    assert (await fal.provider.poll(ref)).state is JobState.QUEUED


async def test_an_image_among_several_is_a_list(fal: FalBench, api: FalApi) -> None:
    fal.model = "fal-ai/vidu/reference-to-video"
    await fal.provider.submit(request_for(fal, image=media(b"png", "image/png")))
    (link,) = only(api).body["reference_image_urls"]
    assert api.received(link) == b"png"


@pytest.mark.parametrize(
    ("model", "fields", "about", "named"),
    [
        (VEO, {"seconds": 5}, "seconds", "4s, 6s, 8s"),
        (VEO, {"seconds": 8, "width": 960, "height": 960}, "size", "auto, 16:9, 9:16"),
        (
            "fal-ai/kling-video/v2.6/pro/text-to-video",
            {"image": media(b"x", "image/png")},
            "input_reference",
            "does not take an image",
        ),
    ],
)
async def test_what_a_model_cannot_do_is_refused_with_what_it_can(
    fal: FalBench, api: FalApi, model: str, fields: dict[str, Any], about: str, named: str
) -> None:
    fal.model = model
    with pytest.raises(SubmitRefused) as refused:
        await fal.provider.submit(request_for(fal, **fields))
    assert refused.value.failure.field == about
    assert named in refused.value.failure.message
    assert fal.submits() == 0
    assert not api.files


@pytest.mark.parametrize(
    ("model", "response_url", "ref"),
    [
        ("a/b/c", "https://queue.fal.run/a/b/requests/1-2", "a/b/requests/1-2"),
        ("a/b/c", None, "a/b/requests/1-2"),
        ("workflows/a/b/c", None, "workflows/a/b/requests/1-2"),
        ("a/b/c", "https://proxy.example/fal/queue/a/b/requests/1-2", "a/b/requests/1-2"),
        ("a/b/c", "https://queue.fal.run/a/b/requests/another", "a/b/requests/1-2"),
        ("a/b/c", "https://queue.fal.run/../../admin/requests/1-2", "a/b/requests/1-2"),
        ("a/b/c", 7, "a/b/requests/1-2"),
    ],
)
async def test_a_ref_is_the_path_of_the_request_in_the_queue(model: str, response_url: object, ref: str) -> None:
    accepted = {"request_id": "1-2", "response_url": response_url, "status": "IN_QUEUE"}
    async with faulty_server("garbage", {"": answer(accepted)}) as server:
        provider = build_videos(account(server.url))
        assert await provider.submit(plain_request(model)) == ref
        await provider.close()


@pytest.mark.parametrize("model", ["", "one", "../x", "a/..", "a//b", "a/b?c", "a/b/", "ä/b", "a/b#c"])
async def test_what_cannot_be_a_model_is_refused_without_a_request(fal: FalBench, api: FalApi, model: str) -> None:
    fal.model = model
    with pytest.raises(SubmitRefused) as refused:
        await fal.provider.submit(request_for(fal))
    assert refused.value.failure.field == "model"
    assert not api.asked


async def test_an_input_goes_to_the_storage_for_a_day(fal: FalBench, api: FalApi) -> None:
    await fal.provider.submit(request_for(fal, image=media(b"jpeg", "image/jpeg")))
    initiate, put = [asked for asked in api.asked if asked.path.startswith(("/storage", "/signed"))]
    assert initiate.headers["x-fal-object-lifecycle-preference"] == '{"expiration_duration_seconds": 86400}'
    assert put.headers["content-type"] == "image/jpeg"
    assert put.headers["content-length"] == "4"
    assert "authorization" not in put.headers
    assert put.path.endswith(".jpg")


@pytest.mark.parametrize("lost", ["POST /storage/upload/initiate", "PUT /signed/"])
async def test_an_upload_that_is_lost_started_nothing(
    fal: FalBench, api: FalApi, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
    for _ in range(3):
        api.lose(lost)
    with pytest.raises(ProviderBusy):
        await fal.provider.submit(request_for(fal, image=media(b"jpeg", "image/jpeg")))
    assert fal.submits() == 0


async def test_an_edit_starts_from_the_link_of_the_earlier_video(fal: FalBench, api: FalApi) -> None:
    ref = await fal.provider.submit(request_for(fal, "video_1"))
    await fal.advance(ref, Said.SUCCEEDED)
    edited = await fal.provider.submit(request_for(fal, "video_2", kind=VideoKind.EDIT, source_ref=ref))
    assert fal.sent(edited) == {
        "prompt": "a paper boat in the rain",
        "video_url": api.delivery.link(fal.queued(ref).id),
    }
    assert not api.files


async def ended(fal: FalBench, status: int, body: dict[str, Any], **headers: str) -> Any:
    """What a poll says of a request whose model gave this answer."""
    ref = await fal.provider.submit(request_for(fal))
    queued = fal.queued(ref)
    queued.status, queued.answer = "COMPLETED", (status, body, {key.replace("_", "-"): headers[key] for key in headers})
    return await fal.provider.poll(ref)


@pytest.mark.parametrize(
    ("status", "body", "stage", "code", "field", "retryable"),
    [
        (422, detail("value_error", "x", "duration"), "input", REJECTED, "seconds", False),
        (422, detail("image_load_error", "x", "image_url"), "input", REJECTED, "input_reference", False),
        (422, detail("content_policy_violation", POLICY, "prompt"), "input", "content_policy_violation", None, False),
        (422, detail("no_media_generated", "nothing"), "output", "no_video", None, True),
        (504, detail("generation_timeout", "late"), "provider", "provider_timeout", None, True),
        (500, detail("internal_server_error", "oops"), "provider", "provider_failed", None, True),
        (400, {"detail": "x", "error_type": "bad_request"}, "input", REJECTED, None, False),
        (504, {"detail": "x", "error_type": "startup_timeout"}, "provider", "provider_timeout", None, True),
        (503, {"detail": "x", "error_type": "runner_disconnected"}, "provider", "provider_unavailable", None, True),
        (500, {"detail": "x", "error_type": "unheard_of"}, "provider", "provider_failed", None, True),
    ],
)  # fmt: skip
async def test_an_end_is_told_by_the_models_answer(
    fal: FalBench, status: int, body: dict[str, Any], stage: str, code: str, field: str | None, retryable: bool
) -> None:
    found = await ended(fal, status, body)
    assert found.state is JobState.FAILED
    failure = found.failure
    assert (failure.stage, failure.code, failure.field, failure.retryable) == (stage, code, field, retryable)
    assert not failure.charged


async def test_a_failure_is_charged_where_fal_counts_units(fal: FalBench) -> None:
    body = detail("content_policy_violation", POLICY, "prompt")
    assert (await ended(fal, 422, body, x_fal_billable_units="1.5")).failure.charged
    assert not (await ended(fal, 422, body, x_fal_billable_units="0")).failure.charged


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
async def test_an_answer_in_nobodys_form_is_no_verdict(fal: FalBench, status: int) -> None:
    with pytest.raises(FateUnknown):
        await ended(fal, status, {"message": "a front says no"})


@pytest.mark.parametrize("status", [401, 404, 429])
async def test_what_refuses_us_is_no_verdict_in_any_form(fal: FalBench, status: int) -> None:
    with pytest.raises(FateUnknown):
        await ended(fal, status, detail("value_error", "x", "prompt"))


async def test_a_submit_that_broke_may_have_been_taken() -> None:
    broke = answer({"detail": "x", "error_type": "runner_disconnected"}, status="503 Service Unavailable")
    async with faulty_server("garbage", {"POST ": broke}) as server:
        provider = build_videos(account(server.url))
        with pytest.raises(FateUnknown):
            await provider.submit(plain_request())
        await provider.close()


async def test_an_input_that_has_changed_is_told_as_that(fal: FalBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await fal.provider.submit(request_for(fal, image=media(b"short", "image/png", size_bytes=50)))
    assert refused.value.failure.code == "input_changed"


@pytest.mark.parametrize("answered", [404, 503])
async def test_what_the_queue_says_holds_without_the_models_answer(fal: FalBench, answered: int) -> None:
    ref = await fal.provider.submit(request_for(fal))
    queued = fal.queued(ref)
    queued.status, queued.error, queued.error_type = "COMPLETED", "gone", "runner_disconnected"
    queued.answer = (answered, {"message": "a front says no"}, {})
    status = await fal.provider.poll(ref)
    assert status.state is JobState.FAILED
    assert status.failure == PLATFORM["runner_disconnected"]


async def test_an_answer_that_is_not_there_yet(fal: FalBench) -> None:
    assert (await ended(fal, 202, {"status": "IN_PROGRESS"})).state is JobState.FINALIZING


@pytest.mark.parametrize(
    "body",
    [
        {"video": {"url": "https://v3.fal.media/files/a.mp4"}},
        {"videos": [{"url": "https://v3.fal.media/files/a.mp4"}]},
        {"video_url": "https://v3.fal.media/files/a.mp4"},
        {"output": "https://v3.fal.media/files/a.mp4"},
    ],
)
async def test_the_shapes_of_models_answers(fal: FalBench, body: dict[str, Any]) -> None:
    assert (await ended(fal, 200, body)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://queue.fal.run/acme/films/requests/other",
        "https://evil.example/fal.media/a.mp4",
        "https://fal.media.evil.example/a.mp4",
        "https://evilfal.media/a.mp4",
        "https://user@v3.fal.media/a.mp4",
        "http://v3.fal.media/a.mp4",
        "file:///etc/passwd",
    ],
)
async def test_a_video_at_a_place_of_the_models_own_is_not_read(fal: FalBench, url: str) -> None:
    status = await ended(fal, 200, {"video": {"url": url}})
    assert status.failure == MISPLACED
    (ref,) = [f"{queued.app}/requests/{queued.id}" for queued in fal.api.requests.values()]
    with pytest.raises(FileNotFoundError):
        await fal.provider.open(ref, VideoVariant.VIDEO)


@pytest.mark.parametrize("body", [{"video": None}, {"video": {"url": ""}}, {"video": {"url": 7}}, {"videos": []}, {}])
async def test_what_is_no_link_is_no_video(fal: FalBench, body: dict[str, Any]) -> None:
    assert (await ended(fal, 200, body)).failure.code == "no_video"


@pytest.mark.parametrize(
    ("said", "looks", "stopped"),
    [
        (Said.QUEUED, None, True),
        (Said.RENDERING, 0, True),
        (Said.RENDERING, 2, True),
        (Said.RENDERING, 9, False),
        (Said.RENDERING, None, False),
        (Said.SUCCEEDED, None, False),
    ],
)
async def test_a_cancel_is_believed_when_the_request_has_stopped(
    fal: FalBench, api: FalApi, said: Said, looks: int | None, stopped: bool
) -> None:
    api.slow_cancels = looks
    ref = await fal.provider.submit(request_for(fal))
    await fal.advance(ref, said)
    assert await fal.provider.cancel(ref) is stopped
    assert len([asked for asked in api.asked if asked.path.endswith("/cancel")]) == 1


async def test_a_request_that_is_gone_after_its_cancel_has_stopped() -> None:
    requested = answer({"status": "CANCELLATION_REQUESTED"}, status="202 Accepted")
    async with faulty_server("404", {f"PUT /{REF}/cancel$": requested}) as server:
        provider = build_videos(account(server.url))
        assert await provider.cancel(REF)
        await provider.close()


async def test_a_callback_without_tls_is_left_out(fal: FalBench, api: FalApi) -> None:
    await fal.provider.submit(request_for(fal, callback_url="http://gateway.example/x"))
    assert not api.asked[-1].query


async def test_an_account_without_credit_is_the_operators() -> None:
    locked = answer({"detail": "User is locked. Reason: Exhausted balance."}, status="403 Forbidden")
    async with faulty_server("garbage", {"": locked}) as server:
        provider = build_videos(account(server.url))
        with pytest.raises(SubmitRefused) as refused:
            await provider.submit(plain_request())
        assert refused.value.failure.stage is FailureStage.GATEWAY
        assert refused.value.failure.code == "provider_credit_exhausted"
        await provider.close()

"""xAI's videos: the suites that every video provider passes, and what only this API has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Unpack

import pytest

from mediagate.core.errors import ProviderFailed
from mediagate.core.sizes import parse_size
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
from mediagate.providers.registry import build_videos
from mediagate.providers.xai.videos import XaiVideos
from tests.contract.video_bench import ALL_SAID, VIDEO, Details, Said, VideoBench, media, request_for
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract, finished, read
from tests.doubles.faulty import answer
from tests.doubles.origin import running_origin
from tests.doubles.outputs import Outputs
from tests.doubles.xai_videos import XaiVideosApi

MODEL = "grok-imagine-video"
TICKS = 10_000_000_000


def account(url: str, **members: Any) -> Account:
    """An account at `url`."""
    return Account("xai", "xai", api_key="test-key", api_base=url, **members)


class XaiBench(VideoBench):
    """One team."""

    model = MODEL
    absent_ref = "0b2f9a5e-0000-4000-8000-000000000000"
    says = ALL_SAID - {Said.QUEUED, Said.CANCELLED}
    words: ClassVar[Mapping[str, JobState]] = {
        "pending": JobState.RENDERING,
        "done": JobState.SUCCEEDED,
        "failed": JobState.FAILED,
        "expired": JobState.FAILED,
    }
    extra: ClassVar[Mapping[str, Any]] = {
        "resolution": "480p",
        "user": "u-1",
        "storage_options": {"filename": "boat.mp4", "public_url": {}},
    }
    tells_when_to_poll = True
    streams_inputs = True

    def __init__(self, api: XaiVideosApi, provider: VideoProvider) -> None:
        self.api = api
        self.provider = provider

    def submits(self) -> int:
        return self.api.submits

    def jobs(self) -> int:
        return len(self.api.bodies)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        self.api.outputs.videos.setdefault(ref, VIDEO)
        if "video" in details:
            self.api.outputs.videos[ref] = details["video"]
        after = details.get("poll_after_s")
        self.api.headers[ref] = {} if after is None else {"retry-after": str(int(after))}
        self.api.states[ref] = self._said(said, details)
        if said is Said.GONE:
            self.api.outputs.remove(ref)

    def _said(self, said: Said, details: Details) -> tuple[int, dict[str, Any]]:
        done: dict[str, Any] = {
            "status": "done",
            "video": {"url": "", "duration": 8, "respect_moderation": True},
            "model": MODEL,
            "usage": {"cost_in_usd_ticks": round(details.get("cost_usd", 0.35) * TICKS)},
            "progress": 100,
        }
        failed = {
            "status": "failed",
            "video": {"duration": 0, "respect_moderation": True},
            "model": "",
            "error": {"code": "invalid_argument", "message": details.get("reason", "")},
        }
        match said:
            case Said.RENDERING:
                return 202, {"status": "pending", "progress": round(details.get("progress_percent", 18))}
            case Said.FAILED:
                return 200, failed
            case Said.WITH_ERROR:
                return 200, {**done, "video": None, "error": failed["error"]}
            case Said.MODERATED:
                return 200, {**done, "video": {"duration": 8, "respect_moderation": False}}
            case Said.NO_VIDEO:
                return 200, {**done, "video": {"duration": 0, "respect_moderation": True}}
            case Said.GONE:
                return 200, {**done, "video": None}
            case Said.WORD:
                return 200, {**done, "status": details["word"]}
            case _:
                return 200, done

    async def made(self, ref: str) -> bytes:
        return self.api.outputs.videos[ref]

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.bodies[ref]

    def image_of(self, ref: str) -> bytes:
        return self.api.media(ref, "image")

    def source_of(self, ref: str) -> bytes:
        return self.api.media(ref, "video")

    async def cut(self, ref: str, at: int) -> None:
        self.api.outputs.cut(ref, at)

    async def expire_links(self) -> None:
        self.api.outputs.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.outputs.lead_to(url)


@pytest.fixture
def api() -> Iterator[XaiVideosApi]:
    with running_origin() as host, XaiVideosApi(Outputs(host)).running() as api:
        yield api


@pytest.fixture
async def bench(api: XaiVideosApi) -> Any:
    provider = build_videos(account(api.url, options={"media_hosts": api.outputs.media_hosts}))
    yield XaiBench(api, provider)
    await provider.close()


class TestXai(VideoProviderContract):
    @pytest.fixture
    async def bench(self, api: XaiVideosApi) -> Any:
        provider = build_videos(account(api.url, options={"media_hosts": api.outputs.media_hosts}))
        yield XaiBench(api, provider)
        await provider.close()


class TestXaiFaults(VideoFaultContract):
    model = MODEL
    ref = "0b2f9a5e-0000-4000-8000-000000000000"

    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, options={"timeout": 0.5}))

    def answers(self, call: Call) -> Mapping[str, bytes]:
        if call is not Call.CONTENT:
            return {}
        # The link leads back to the server that fails.
        return {f"GET /v1/videos/{self.ref}": answer({"status": "done", "video": {"url": "/outputs/v.mp4"}})}


# What the API answered in the recording, with its own figures.
PENDING = {"status": "pending", "progress": 18}
DONE = {
    "status": "done",
    "video": {"url": "", "duration": 1, "respect_moderation": True},
    "model": "grok-imagine-video",
    "usage": {"cost_in_usd_ticks": 500_000_000},
    "progress": 100,
}


async def test_the_recorded_answers(bench: XaiBench) -> None:
    ref = await bench.provider.submit(request_for(bench))
    bench.api.outputs.videos[ref] = VIDEO
    bench.api.states[ref] = (202, PENDING)
    status = await bench.provider.poll(ref)
    assert (status.state, status.progress_percent, status.cost_usd) == (JobState.RENDERING, 18.0, None)
    bench.api.states[ref] = (200, DONE)
    status = await bench.provider.poll(ref)
    assert (status.state, status.progress_percent, status.cost_usd) == (JobState.SUCCEEDED, 100.0, 0.05)


async def test_a_running_job_may_answer_without_a_body(bench: XaiBench) -> None:
    ref = await bench.provider.submit(request_for(bench))
    bench.api.states[ref] = (202, None)
    assert (await bench.provider.poll(ref)).state is JobState.RENDERING


async def test_an_older_answer_has_a_video_and_no_status(bench: XaiBench) -> None:
    ref = await finished(bench)
    bench.api.states[ref] = (200, {"video": DONE["video"], "model": MODEL})
    assert (await bench.provider.poll(ref)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("1280x720", ("16:9", "720p")),
        ("854x480", ("16:9", "480p")),
        ("720x1280", ("9:16", "720p")),
        ("480x720", ("2:3", "480p")),
        ("1080x720", ("3:2", "720p")),
        ("480x480", ("1:1", "480p")),
        ("960x720", ("4:3", "720p")),
    ],
)
async def test_a_size_is_a_ratio_and_a_resolution(bench: XaiBench, size: str, words: tuple[str, str]) -> None:
    width, height = parse_size(size)
    ref = await bench.provider.submit(request_for(bench, width=width, height=height))
    assert bench.sent(ref) == {
        "model": MODEL,
        "prompt": "a paper boat in the rain",
        "duration": 8,
        "aspect_ratio": words[0],
        "resolution": words[1],
    }


async def test_every_size_of_the_spec_is_one_that_the_api_has_words_for(bench: XaiBench) -> None:
    for model in bench.provider.spec.models.values():
        pairs = set()
        for size in model.sizes:
            width, height = parse_size(size)
            ref = await bench.provider.submit(request_for(bench, width=width, height=height))
            pairs.add((bench.sent(ref)["aspect_ratio"], bench.sent(ref)["resolution"]))
        assert len(pairs) == len(model.sizes)


@pytest.mark.parametrize(
    ("kind", "path", "more"),
    [
        (VideoKind.REMIX, "/v1/videos/edits", {}),
        (VideoKind.EDIT, "/v1/videos/edits", {}),
        (VideoKind.EXTEND, "/v1/videos/extensions", {"duration": 6}),
    ],
)
async def test_a_video_starts_from_the_link_of_its_source(
    bench: XaiBench, kind: VideoKind, path: str, more: Mapping[str, Any]
) -> None:
    source = await finished(bench)
    bytes_too = media(VIDEO, "video/mp4")
    request = request_for(bench, kind=kind, seconds=6, source_ref=source, source_video=bytes_too)
    ref = await bench.provider.submit(request)
    link = bench.api.outputs.link(source)
    assert bench.sent(ref) == {"model": MODEL, "prompt": request.prompt, "video": {"url": link}, **more}
    assert bench.api.asked[-1].path == path


async def test_a_source_whose_link_is_dead_is_sent_as_bytes(bench: XaiBench) -> None:
    source = await finished(bench)
    await bench.advance(source, Said.GONE)
    request = request_for(bench, kind=VideoKind.EDIT, source_ref=source, source_video=media(VIDEO, "video/mp4"))
    ref = await bench.provider.submit(request)
    assert bench.source_of(ref) == VIDEO
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, kind=VideoKind.EDIT, source_ref=source))
    assert (refused.value.failure.stage, refused.value.failure.field) == (FailureStage.INPUT, "video")


async def test_a_null_of_the_caller_takes_a_member_out(bench: XaiBench) -> None:
    image = media(b"\x89PNG\r\n\x1a\n", "image/png")
    ref = await bench.provider.submit(request_for(bench, image=image, extra={"aspect_ratio": None}))
    assert "aspect_ratio" not in bench.sent(ref)
    assert bench.sent(ref)["image"] == {"url": "data:image/png;base64,iVBORw0KGgo="}


@pytest.mark.parametrize("audio", [True, False])
async def test_sound_is_asked_for(bench: XaiBench, audio: bool) -> None:
    ref = await bench.provider.submit(request_for(bench, audio=audio))
    assert bench.sent(ref)["generate_audio"] is audio


async def test_a_prompt_that_moderation_refuses(bench: XaiBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, prompt="forbidden"))
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.charged) == (FailureStage.INPUT, "content_policy_violation", False)


@pytest.mark.parametrize(
    ("error", "stage", "code", "retryable"),
    [
        (
            {"code": "invalid_argument", "message": "Prompt cannot be empty."},
            "input",
            "provider_rejected_request",
            False,
        ),
        ({"code": "invalid_argument", "message": "Blocked by moderation."}, "input", "content_policy_violation", False),
        ("Content moderation refused the image.", "input", "content_policy_violation", False),
        ({"code": "failed_precondition", "message": "No edits."}, "input", "provider_rejected_request", False),
        ({"code": "permission_denied", "message": "team 1"}, "gateway", "provider_credentials_refused", False),
        ({"code": "service_unavailable", "message": ""}, "provider", "provider_unavailable", True),
        ({"code": "internal_error", "message": "host 10.0.0.7"}, "provider", "provider_failed", True),
        ({"code": "brand_new", "message": "host 10.0.0.7"}, "provider", "provider_failed", True),
        ({}, "provider", "provider_failed", True),
        (None, "provider", "provider_failed", True),
    ],
)
async def test_a_failed_job_says_why(bench: XaiBench, error: Any, stage: str, code: str, retryable: bool) -> None:
    ref = await bench.provider.submit(request_for(bench))
    bench.api.states[ref] = (200, {"status": "failed", "error": error})
    failure = (await bench.provider.poll(ref)).failure
    assert failure is not None
    assert (failure.stage, failure.code, failure.retryable, failure.charged) == (stage, code, retryable, False)
    assert "10.0.0.7" not in failure.message


async def test_what_moderation_withholds_may_have_cost_something(bench: XaiBench) -> None:
    ref = await bench.provider.submit(request_for(bench))
    for cost_usd in (0.0, 0.4):
        await bench.advance(ref, Said.MODERATED, cost_usd=cost_usd)
        status = await bench.provider.poll(ref)
        assert status.failure is not None
        assert (status.failure.stage, status.failure.charged) == (FailureStage.OUTPUT, cost_usd > 0)
        assert status.cost_usd == cost_usd


async def test_an_account_without_credit_is_the_operators_matter(bench: XaiBench) -> None:
    bench.api.credit = False
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench))
    assert refused.value.failure.code == "provider_credit_exhausted"
    assert refused.value.failure.stage is FailureStage.GATEWAY


async def test_a_player_that_seeks_asks_for_one_link(bench: XaiBench) -> None:
    ref = await finished(bench)
    provider = bench.provider
    assert isinstance(provider, XaiVideos)
    first = await provider.origin(ref, method="GET")
    assert await provider.origin(ref, method="HEAD") == first
    assert first.headers == {}
    content = await provider.open(ref, VideoVariant.VIDEO)
    parts = await asyncio.gather(*(read(content, at, at + 10) for at in range(0, 100, 10)))
    assert b"".join(parts) == VIDEO[:100]
    assert len([asked for asked in bench.api.asked if asked.method == "GET"]) == 1
    assert all("authorization" not in asked.headers for asked in bench.api.outputs.host.asked)


async def test_a_link_is_asked_for_again_after_a_minute(bench: XaiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.linked_videos.LINKS_MAX", 2)
    now = 0.0
    provider = bench.provider
    assert isinstance(provider, XaiVideos)
    provider._clock = lambda: now
    refs = [await finished(bench, f"video_{number}") for number in range(3)]

    async def asked() -> int:
        before = len(bench.api.asked)
        await provider.origin(refs[0], method="GET")
        return len(bench.api.asked) - before

    assert [await asked(), await asked()] == [1, 0]
    now = 59.0
    assert await asked() == 0
    now = 61.0
    assert [await asked(), await asked()] == [1, 0]
    for ref in refs[1:]:
        await provider.origin(ref, method="GET")
    assert await asked() == 1


async def test_a_source_that_cannot_be_asked_for_now_is_waited_for(
    bench: XaiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
    source = await finished(bench)
    bench.api.states[source] = (500, {})
    submits = bench.submits()
    with pytest.raises(ProviderBusy):
        await bench.provider.submit(request_for(bench, kind=VideoKind.EXTEND, seconds=5, source_ref=source))
    assert bench.submits() == submits


async def test_a_length_that_is_not_told_is_no_output(bench: XaiBench) -> None:
    ref = await finished(bench)
    link = bench.api.outputs.link(ref).removeprefix(bench.api.outputs.host.url)
    held = bench.api.outputs.host.objects[link]
    held.chunked, held.ignores_range = True, True
    provider = bench.provider
    assert isinstance(provider, XaiVideos)
    provider.link = _always(f"{bench.api.outputs.host.url}{link}")  # type: ignore[method-assign]
    with pytest.raises(ProviderFailed):
        await provider.open(ref, VideoVariant.VIDEO)


def _always(url: str) -> Any:
    async def link(_: str) -> str:
        return url

    return link


@pytest.mark.parametrize("base", ["https://proxy.example", "https://proxy.example/v1/"])
def test_an_account_without_a_key_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match="XAI_API_KEY"):
        build_videos(Account("xai", "xai", api_base=base))
    provider = build_videos(Account("xai", "xai", api_base=base, environ={"XAI_API_KEY": "k"}))
    assert isinstance(provider, XaiVideos)
    assert provider._http.url("/v1/videos/1") == "https://proxy.example/v1/videos/1"

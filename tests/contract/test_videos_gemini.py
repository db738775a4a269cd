"""Gemini's videos: the suites that every video provider passes, and what only this API has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Unpack

import pytest

from mediagate.core.errors import Unavailable, Unsupported
from mediagate.core.sizes import parse_size
from mediagate.providers.account import Account
from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoVariant,
)
from mediagate.providers.gemini import video_inputs, videos
from mediagate.providers.gemini.videos import GeminiVideos
from mediagate.providers.registry import build_videos
from tests.contract.interactions_bench import TEXT, WORDS, say
from tests.contract.video_bench import ALL_SAID, ELSEWHERE, VIDEO, Details, Said, VideoBench, media, request_for
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract, finished, read
from tests.doubles.faulty import answer
from tests.doubles.gemini_videos import GeminiVideosApi

MODEL = "gemini-omni-1.2-flash"


def account(url: str, **members: Any) -> Account:
    """An account at `url`."""
    return Account("gemini", "gemini", api_key="test-key", api_base=url, **members)


class GeminiBench(VideoBench):
    """One project."""

    model = MODEL
    absent_ref = "v1_absent"
    says = ALL_SAID
    words = WORDS
    extra: ClassVar[Mapping[str, Any]] = {
        "response_format": {"resolution": "1080p"},
        "generation_config": {"seed": 7},
        "labels": {"team": "a"},
    }
    tells_when_to_poll = True
    streams_inputs = True
    forgets = True

    def __init__(self, api: GeminiVideosApi, provider: VideoProvider) -> None:
        self.api = api
        self.provider = provider

    def submits(self) -> int:
        return self.api.submits

    def jobs(self) -> int:
        return len(self.api.interactions)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        self.api.remove(ref)
        if said in (Said.SUCCEEDED, Said.WORD):
            self.api.write(ref, details.get("video", VIDEO))
        say(self.api.interactions[ref], said, details)

    async def made(self, ref: str) -> bytes:
        file = self.api.output(ref)
        assert file is not None
        return file.data

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.interactions[ref].body

    def image_of(self, ref: str) -> bytes:
        return self.api.media(ref, "image")

    def source_of(self, ref: str) -> bytes:
        return self.api.media(ref, "video")

    async def cut(self, ref: str, at: int) -> None:
        self.api.cut(ref, at)

    async def expire_links(self) -> None:
        self.api.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.redirect = url


@pytest.fixture
def api() -> Iterator[GeminiVideosApi]:
    with GeminiVideosApi().running() as running:
        yield running


@pytest.fixture
async def bench(api: GeminiVideosApi) -> Any:
    provider = build_videos(account(api.url, options={"media_hosts": ELSEWHERE}))
    yield GeminiBench(api, provider)
    await provider.close()


class TestGemini(VideoProviderContract):
    @pytest.fixture
    async def bench(self, api: GeminiVideosApi) -> Any:
        provider = build_videos(account(api.url, options={"media_hosts": ELSEWHERE}))
        yield GeminiBench(api, provider)
        await provider.close()


class TestGeminiFaults(VideoFaultContract):
    model = MODEL
    ref = "v1_ChdQ"

    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, options={"timeout": 0.5}))

    def answers(self, call: Call) -> Mapping[str, bytes]:
        if call is not Call.CONTENT:
            return {}
        video = {"type": "video", "uri": "https://generativelanguage.googleapis.com/v1/files/abc:download?alt=media"}
        steps = [{"type": "model_output", "content": [video]}]
        return {f"GET /v1/interactions/{self.ref}": answer({"id": self.ref, "status": "completed", "steps": steps})}


async def test_the_body_of_a_text(bench: GeminiBench) -> None:
    ref = await bench.provider.submit(request_for(bench, seconds=12, width=1080, height=1920))
    assert bench.sent(ref) == {
        "model": MODEL,
        "input": [{"type": "user_input", "content": [{"type": "text", "text": "a paper boat in the rain"}]}],
        "background": True,
        "response_format": {
            "type": "video",
            "delivery": "uri",
            "resolution": "1080p",
            "duration": "12s",
            "aspect_ratio": "9:16",
        },
        "generation_config": {"video_config": {"task": "text_to_video"}},
    }
    asked = bench.api.asked[-1]
    assert str(asked) == "POST /v1/interactions"
    assert asked.headers["x-goog-api-key"] == "test-key"


async def test_an_image_is_the_first_frame(bench: GeminiBench) -> None:
    image = media(b"\x89PNG\r\n\x1a\n", "image/png")
    ref = await bench.provider.submit(request_for(bench, image=image))
    assert bench.sent(ref)["input"][0]["content"][1] == {
        "type": "image",
        "mime_type": "image/png",
        "data": "iVBORw0KGgo=",
    }
    assert bench.sent(ref)["generation_config"] == {"video_config": {"task": "image_to_video"}}


async def test_every_size_of_the_spec_is_one_that_the_api_has_words_for(bench: GeminiBench) -> None:
    for model in bench.provider.spec.models.values():
        pairs = set()
        for size in model.sizes:
            width, height = parse_size(size)
            ref = await bench.provider.submit(request_for(bench, width=width, height=height))
            form = bench.sent(ref)["response_format"]
            pairs.add((form["aspect_ratio"], form["resolution"]))
        assert len(pairs) == len(model.sizes) == 8


@pytest.mark.parametrize(
    ("kind", "form", "task"),
    [
        (VideoKind.REMIX, {"resolution": "720p"}, None),
        (VideoKind.EDIT, {"resolution": "720p"}, None),
        (VideoKind.EXTEND, {"resolution": "720p", "duration": "5s"}, "extend"),
    ],
)
async def test_what_this_account_made_is_gone_on_from(
    bench: GeminiBench, kind: VideoKind, form: Mapping[str, Any], task: str | None
) -> None:
    source = await finished(bench)
    bytes_too = media(VIDEO, "video/mp4")
    ref = await bench.provider.submit(
        request_for(bench, kind=kind, seconds=5, source_ref=source, source_video=bytes_too)
    )
    sent = bench.sent(ref)
    assert sent["previous_interaction_id"] == source
    assert [part["type"] for part in sent["input"][0]["content"]] == ["text"]
    assert sent["response_format"] == {"type": "video", "delivery": "uri", **form}
    assert sent.get("generation_config") == (task and {"video_config": {"task": task}})


@pytest.mark.parametrize(
    ("kind", "task"), [(VideoKind.REMIX, "edit"), (VideoKind.EDIT, "edit"), (VideoKind.EXTEND, "extend")]
)
async def test_a_video_from_elsewhere_is_sent(bench: GeminiBench, kind: VideoKind, task: str) -> None:
    ref = await bench.provider.submit(request_for(bench, kind=kind, seconds=5, source_video=media(VIDEO, "video/mp4")))
    assert bench.sent(ref)["generation_config"] == {"video_config": {"task": task}}
    assert bench.source_of(ref) == VIDEO


async def test_a_source_that_the_api_has_forgotten_is_the_inputs_fault(bench: GeminiBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, kind=VideoKind.EDIT, source_ref="v1_forgotten"))
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.field) == (FailureStage.INPUT, "missing_video", "video")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that can hold next to nothing, and looks at files that cost no time."""
    monkeypatch.setattr(videos, "INLINE_BYTES_MAX", 3)
    monkeypatch.setattr(video_inputs, "LOOK_S", 0.0)


@pytest.mark.usefixtures("small")
async def test_an_input_that_no_request_can_hold_becomes_a_file(bench: GeminiBench) -> None:
    bench.api.processing = 2
    ref = await bench.provider.submit(request_for(bench, kind=VideoKind.EDIT, source_video=media(VIDEO, "video/mp4")))
    part = bench.sent(ref)["input"][0]["content"][1]
    (file,) = bench.api.files.values()
    assert part == {"type": "video", "mime_type": "video/mp4", "uri": f"{bench.api.url}/v1/{file.name}"}
    assert (file.data, file.mime_type) == (VIDEO, "video/mp4")
    # It was looked at until it was ready.
    assert file.polls < 0
    # A second attempt takes the place of the first one.
    await bench.provider.submit(request_for(bench, kind=VideoKind.EDIT, source_video=media(VIDEO, "video/mp4")))
    assert list(bench.api.files) == [file.name]


@pytest.mark.usefixtures("small")
async def test_an_input_that_the_api_cannot_read_starts_nothing(bench: GeminiBench) -> None:
    bench.api.fails = True
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, kind=VideoKind.EDIT, source_video=media(VIDEO, "video/mp4")))
    assert refused.value.failure.stage is FailureStage.INPUT
    assert not bench.submits()


@pytest.mark.usefixtures("small")
async def test_an_input_that_is_looked_at_for_too_long_may_come_again(
    bench: GeminiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_inputs, "READY_S_MAX", 0.0)
    bench.api.processing = 1000
    with pytest.raises(ProviderBusy):
        await bench.provider.submit(request_for(bench, kind=VideoKind.EDIT, source_video=media(VIDEO, "video/mp4")))
    assert not bench.submits()


async def test_a_source_that_the_api_has_forgotten_is_sent_again(bench: GeminiBench) -> None:
    source = media(VIDEO, "video/mp4")
    ref = await bench.provider.submit(
        request_for(bench, kind=VideoKind.EDIT, source_ref="v1_forgotten", source_video=source)
    )
    assert "previous_interaction_id" not in bench.sent(ref)
    assert bench.source_of(ref) == VIDEO


async def test_a_callback_is_named(bench: GeminiBench) -> None:
    ref = await bench.provider.submit(request_for(bench, callback_url="https://gateway.example/hook"))
    assert bench.sent(ref)["webhook_config"] == {"uris": ["https://gateway.example/hook"]}


@pytest.mark.parametrize("model", ["veo-3.1-generate-preview", "veo-4.0-generate-001", "gemini-3.8-flash"])
async def test_other_models_are_refused_by_name(bench: GeminiBench, model: str) -> None:
    bench.model = model
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench))
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.field) == (FailureStage.INPUT, "model_not_found", "model")
    assert "gemini-omni-1.2-flash, gemini-omni-1.1-flash" in failure.message
    assert not bench.submits()


def test_veo_is_gone_with_its_days(bench: GeminiBench) -> None:
    gone = bench.provider.spec.shut_down
    assert gone["veo-3.0-generate-001"] == "2026-06-30"
    assert gone["veo-3.1-generate-preview"] == "2026-10-22"
    assert not any(name.startswith("veo") for name in bench.provider.spec.models)


async def test_a_prompt_that_is_refused_at_once(bench: GeminiBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, prompt="forbidden"))
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.field) == (FailureStage.INPUT, "content_policy_violation", "prompt")


@pytest.mark.parametrize(
    ("more", "stage", "code", "charged"),
    [
        ({}, FailureStage.OUTPUT, "no_video", False),
        ({"steps": []}, FailureStage.OUTPUT, "no_video", False),
        (
            {"usage": {"output_tokens_by_modality": [{"modality": "video", "tokens": 46_336}]}},
            FailureStage.OUTPUT,
            "no_video",
            True,
        ),
        (
            {"steps": [{"type": "model_output", "content": [TEXT]}]},
            FailureStage.INPUT,
            "content_policy_violation",
            False,
        ),
        # What the caller sent in is a video too, and not the one that was asked for.
        (
            {"steps": [{"type": "user_input", "content": [{"type": "video", "uri": "https://a.example/b"}]}]},
            FailureStage.OUTPUT,
            "no_video",
            False,
        ),
        ({"errors": [{"code": "SAFETY", "message": "no"}]}, FailureStage.OUTPUT, "content_policy_violation", False),
        ({"errors": [{"code": "x", "message": "no"}]}, FailureStage.PROVIDER, "provider_failed", False),
    ],
)
async def test_completed_without_a_video_is_a_failure(
    bench: GeminiBench, more: dict[str, Any], stage: FailureStage, code: str, charged: bool
) -> None:
    ref = await bench.provider.submit(request_for(bench))
    found = bench.api.interactions[ref]
    found.status, found.more = "completed", more
    status = await bench.provider.poll(ref)
    assert status.state is JobState.FAILED
    assert status.failure is not None
    assert (status.failure.stage, status.failure.code, status.failure.charged) == (stage, code, charged)


@pytest.mark.parametrize(
    ("error", "stage", "code", "retryable"),
    [
        ({"code": 3, "message": "The seed is out of range."}, "input", "provider_rejected_request", False),
        ({"code": 3, "message": "The input image violates our policies."}, "input", "content_policy_violation", False),
        ({"code": 7, "message": "project 1"}, "gateway", "provider_credentials_refused", False),
        ({"code": 8, "message": ""}, "provider", "provider_rate_limited", True),
        ({"code": 14, "message": "host 10.0.0.7"}, "provider", "provider_unavailable", True),
        ({"code": 99, "message": "host 10.0.0.7"}, "provider", "provider_failed", False),
    ],
)
async def test_a_failed_job_says_why(
    bench: GeminiBench, error: Mapping[str, Any], stage: str, code: str, retryable: bool
) -> None:
    ref = await bench.provider.submit(request_for(bench))
    found = bench.api.interactions[ref]
    found.status, found.more = "failed", {"steps": [{"type": "model_output", "error": error}]}
    failure = (await bench.provider.poll(ref)).failure
    assert failure is not None
    assert (failure.stage, failure.code, failure.retryable) == (stage, code, retryable)
    assert "10.0.0.7" not in failure.message


async def test_a_video_that_came_with_a_warning_is_a_video(bench: GeminiBench) -> None:
    ref = await finished(bench)
    bench.api.interactions[ref].more = {"errors": [{"code": "x", "message": "slow"}]}
    assert (await bench.provider.poll(ref)).state is JobState.SUCCEEDED


async def test_a_poll_that_is_refused_is_no_verdict(bench: GeminiBench) -> None:
    ref = await bench.provider.submit(request_for(bench))
    provider = build_videos(Account("gemini", "gemini", api_key="wrong", api_base=bench.api.url))
    with pytest.raises(FateUnknown):
        await provider.poll(ref)
    await provider.close()


async def test_a_video_inside_of_the_answer(bench: GeminiBench) -> None:
    ref = await finished(bench)
    bench.api.inline.add(ref)
    assert (await bench.provider.poll(ref)).state is JobState.SUCCEEDED
    content = await bench.provider.open(ref, VideoVariant.VIDEO)
    assert (content.size_bytes, content.content_type) == (len(VIDEO), "video/mp4")
    assert await read(content) == VIDEO
    assert await read(content, 7, 99) == VIDEO[7:99]
    assert isinstance(bench.provider, GeminiVideos)
    with pytest.raises(Unsupported):
        await bench.provider.origin(ref, method="GET")


async def test_a_file_that_is_still_written_is_asked_for_again_later(bench: GeminiBench) -> None:
    ref = await finished(bench)
    file = bench.api.output(ref)
    assert file is not None
    file.polls = 1
    with pytest.raises(Unavailable):
        await bench.provider.open(ref, VideoVariant.VIDEO)
    file.polls = 1
    assert isinstance(bench.provider, GeminiVideos)
    with pytest.raises(Unavailable):
        await bench.provider.origin(ref, method="GET")
    assert await read(await bench.provider.open(ref, VideoVariant.VIDEO)) == VIDEO


async def test_a_proxy_stays_in_between(bench: GeminiBench) -> None:
    ref = await finished(bench)
    bench.api.public_url = "https://generativelanguage.googleapis.com"
    assert await read(await bench.provider.open(ref, VideoVariant.VIDEO)) == VIDEO


async def test_the_edge_is_given_a_link_that_is_remembered_for_a_while(bench: GeminiBench) -> None:
    assert isinstance(bench.provider, GeminiVideos)
    ref = await finished(bench)
    first = await bench.provider.origin(ref, method="GET")
    asked = len(bench.api.asked)
    assert await bench.provider.origin(ref, method="GET") == first
    assert len(bench.api.asked) == asked
    assert first.url.startswith(f"{bench.api.url}/download/v1/files/")
    with pytest.raises(Unsupported):
        await bench.provider.origin(ref, method="HEAD")


async def test_a_delete_takes_the_file_too(bench: GeminiBench) -> None:
    ref = await finished(bench)
    await bench.provider.delete(ref)
    assert (bench.api.files, bench.api.interactions) == ({}, {})


async def test_a_version_in_the_address_is_used(api: GeminiVideosApi) -> None:
    provider = build_videos(account(f"{api.url}/v1beta"))
    await provider.submit(request_for(GeminiBench(api, provider)))
    assert str(api.asked[-1]) == "POST /v1beta/interactions"
    await provider.close()


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing"):
        build_videos(Account("gemini", "gemini"))

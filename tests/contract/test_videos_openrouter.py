"""Videos by OpenRouter: the contract over a double that reads with the official client's types, and the wire."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

import pytest
import pytest_asyncio

from mediagate.providers.account import Account
from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.files import ServesDirectly
from mediagate.providers.registry import build_videos
from tests.contract.video_bench import ALL_SAID, ELSEWHERE, VIDEO, Details, Said, VideoBench, media
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract, read
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.openrouter import WORDS, OpenRouterApi


class OpenRouterBench(VideoBench):
    """An account at the double."""

    model = "google/veo-3.1"
    absent_ref = "gen-vid-1-absent"
    says = ALL_SAID
    words = WORDS
    extra: Mapping[str, Any] = {  # type: ignore[misc]
        "seed": 42,
        "duration": 6,
        "provider": {"options": {"google-vertex": {"parameters": {"negativePrompt": "blurry"}}}},
    }
    streams_inputs = True

    def __init__(self, api: OpenRouterApi) -> None:
        self.api = api
        self.provider = openrouter(api)

    def submits(self) -> int:
        return len([asked for asked in self.api.asked if asked.method == "POST"])

    def jobs(self) -> int:
        return len(self.api.jobs)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        self.api.say(ref, said, **details)

    async def made(self, ref: str) -> bytes:
        return self.api.jobs[ref].video

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.jobs[ref].sent

    def image_of(self, ref: str) -> bytes:
        return _decoded(self.api.jobs[ref].sent["frame_images"][0]["image_url"]["url"], "image/png")

    def source_of(self, ref: str) -> bytes:
        return _decoded(self.api.jobs[ref].sent["input_references"][0]["video_url"]["url"], "video/mp4")

    async def cut(self, ref: str, at: int) -> None:
        self.api.jobs[ref].cut_at = at

    async def expire_links(self) -> None:
        self.api.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.far = url


def _decoded(uri: str, content_type: str) -> bytes:
    head, _, data = uri.partition(",")
    assert head == f"data:{content_type};base64"
    return base64.b64decode(data, validate=True)


def openrouter(api: OpenRouterApi, **options: Any) -> VideoProvider:
    """An account at the double."""
    return build_videos(
        Account(
            "r",
            "openrouter",
            api_key=api.key,
            api_base=f"{api.url}/api/v1",
            options={"media_hosts": ELSEWHERE, **options},
        )
    )


class TestOpenRouter(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self) -> AsyncIterator[VideoBench]:  # type: ignore[override]
        with OpenRouterApi().running() as api:
            bench = OpenRouterBench(api)
            yield bench
            await bench.provider.close()


class TestOpenRouterFaults(VideoFaultContract):
    model = "google/veo-3.1"
    ref = "gen-vid-1-abc"

    async def build(self, url: str) -> VideoProvider:
        account = Account("r", "openrouter", api_key="k", api_base=f"{url}/api/v1", options={"timeout": 0.5})
        return build_videos(account)

    def answers(self, call: Call) -> Mapping[str, bytes]:
        if call is not Call.CONTENT:
            return {}
        job = {"id": self.ref, "status": "completed", "unsigned_urls": ["https://127.0.0.1:1/content"]}
        return {f"GET /api/v1/videos/{self.ref}$": answer(job)}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[OpenRouterApi]:
    """A recorder without stored copies."""
    with OpenRouterApi(stores=False).running() as double:
        yield double


def wanted(**fields: Any) -> VideoRequest:
    """A request for a video of eight seconds."""
    values = {
        "token": "video_0001",
        "kind": VideoKind.CREATE,
        "model": "google/veo-3.1",
        "prompt": "a paper boat",
        "seconds": 8,
        "width": 1280,
        "height": 720,
    }
    return VideoRequest(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (1280, 720, {"aspect_ratio": "16:9", "resolution": "720p"}),
        (720, 1280, {"aspect_ratio": "9:16", "resolution": "720p"}),
        (1920, 1080, {"aspect_ratio": "16:9", "resolution": "1080p"}),
        (3840, 2160, {"aspect_ratio": "16:9", "resolution": "4K"}),
        (854, 480, {"aspect_ratio": "16:9", "resolution": "480p"}),
        (768, 768, {"aspect_ratio": "1:1", "resolution": "768p"}),
        (1792, 1024, {"size": "1792x1024"}),
        (960, 540, {"size": "960x540"}),
        (1000, 300, {"size": "1000x300"}),
    ],
)
async def test_the_size_in_the_words_of_the_models(
    api: OpenRouterApi, width: int, height: int, shape: dict[str, str]
) -> None:
    provider = openrouter(api)
    ref = await provider.submit(wanted(width=width, height=height))
    assert api.jobs[ref].sent == {"model": "google/veo-3.1", "prompt": "a paper boat", "duration": 8} | shape
    await provider.close()


@pytest.mark.parametrize("kind", [VideoKind.REMIX, VideoKind.EDIT, VideoKind.EXTEND])
async def test_a_job_goes_on_from_another(api: OpenRouterApi, kind: VideoKind) -> None:
    provider = openrouter(api)
    first = await provider.submit(wanted())
    more = {"duration": 4} if kind is VideoKind.EXTEND else {}
    ref = await provider.submit(wanted(kind=kind, seconds=4, source_ref=first, source_video=media(VIDEO, "video/mp4")))
    assert (
        api.jobs[ref].sent
        == {
            "model": "google/veo-3.1",
            "prompt": "a paper boat",
            "previous_job_id": first,
        }
        | more
    )
    await provider.close()


async def test_only_its_own_videos_are_extended(api: OpenRouterApi) -> None:
    provider = openrouter(api)
    for request in (
        wanted(kind=VideoKind.EXTEND, source_video=media(VIDEO, "video/mp4")),
        wanted(kind=VideoKind.EDIT),
    ):
        with pytest.raises(SubmitRefused) as refused:
            await provider.submit(request)
        assert refused.value.failure.field == "video"
    assert not api.asked
    await provider.close()


async def test_sound_a_callback_and_who_asks(api: OpenRouterApi) -> None:
    provider = openrouter(api, site_url="https://example.org", app_name="films")
    ref = await provider.submit(wanted(audio=False, callback_url="https://example.org/hook"))
    sent = api.jobs[ref].sent
    assert (sent["generate_audio"], sent["callback_url"]) == (False, "https://example.org/hook")
    plain = await provider.submit(wanted(callback_url="http://example.org/hook"))
    assert not {"generate_audio", "callback_url"} & set(api.jobs[plain].sent)
    headers = api.asked[-1].headers
    assert (headers["http-referer"], headers["x-openrouter-title"]) == ("https://example.org", "films")
    await provider.close()


@pytest.mark.parametrize(
    ("prompt", "stage", "code"),
    [
        ("something forbidden", FailureStage.INPUT, "content_policy_violation"),
        ("a poor man", FailureStage.GATEWAY, "provider_credit_exhausted"),
    ],
)
async def test_refusals(api: OpenRouterApi, prompt: str, stage: FailureStage, code: str) -> None:
    provider = openrouter(api)
    with pytest.raises(SubmitRefused) as refused:
        await provider.submit(wanted(prompt=prompt))
    assert (refused.value.failure.stage, refused.value.failure.code) == (stage, code)
    await provider.close()


async def test_without_a_stored_copy_the_api_itself_has_the_content(api: OpenRouterApi) -> None:
    provider = openrouter(api)
    ref = await provider.submit(wanted())
    api.say(ref, Said.SUCCEEDED, video=VIDEO)
    assert (await provider.poll(ref)).expires_at is None
    assert await read(await provider.open(ref, VideoVariant.VIDEO)) == VIDEO
    assert isinstance(provider, ServesDirectly)
    origin = await provider.origin(ref, method="GET")
    assert origin.url == f"{api.url}/api/v1/videos/{ref}/content?index=0"
    assert origin.headers == {"authorization": f"Bearer {api.key}"}
    await provider.close()


async def test_content_without_a_length_is_read_all_the_same(api: OpenRouterApi) -> None:
    api.measures = False
    provider = openrouter(api)
    ref = await provider.submit(wanted())
    api.say(ref, Said.SUCCEEDED, video=VIDEO)
    content = await provider.open(ref, VideoVariant.VIDEO)
    assert (content.size_bytes, content.content_type) == (len(VIDEO), "video/mp4")
    assert await read(content) == VIDEO
    assert await read(content, 1000, 2000) == VIDEO[1000:2000]
    await provider.close()


@pytest.mark.parametrize(
    ("usage", "cost_usd"),
    [
        ({"cost": 0.42, "is_byok": False}, 0.42),
        ({"cost": 0}, 0.0),
        ({"cost": 0.02, "is_byok": True}, None),
        ({"cost": None}, None),
        ({"cost": True}, None),
        ({}, None),
        (None, None),
    ],
)
async def test_what_a_job_costs(usage: dict[str, Any] | None, cost_usd: float | None) -> None:
    tree: dict[str, object] = {"id": "j", "status": "completed", "urls": ["https://x/y"], "usage": usage}
    async with faulty_server("500", {"GET /api/v1/videos/j": answer(tree)}) as server:
        provider = build_videos(Account("r", "openrouter", api_key="k", api_base=f"{server.url}/api/v1"))
        assert (await provider.poll("j")).cost_usd == cost_usd
        await provider.close()


@pytest.mark.parametrize("members", [{"usage": "free"}, {"usage": [1]}, {"expires_at": "soon"}, {"status": ["done"]}])
async def test_members_of_another_type_are_no_verdict(members: dict[str, Any]) -> None:
    tree: dict[str, object] = {"id": "j", "status": "completed", "urls": ["https://x/y"], **members}
    async with faulty_server("500", {"GET /api/v1/videos/j": answer(tree)}) as server:
        provider = build_videos(Account("r", "openrouter", api_key="k", api_base=f"{server.url}/api/v1"))
        with pytest.raises(FateUnknown):
            await provider.poll("j")
        await provider.close()


async def test_a_job_that_was_given_up(api: OpenRouterApi) -> None:
    provider = openrouter(api)
    ref = await provider.submit(wanted())
    api.say(ref, Said.WORD, word="expired")
    failure = (await provider.poll(ref)).failure
    assert failure is not None
    assert (failure.code, failure.retryable) == ("provider_expired", True)
    await provider.close()


def test_an_account_needs_a_key() -> None:
    with pytest.raises(ValueError, match="api_key is missing"):
        build_videos(Account("r", "openrouter"))

"""Videos in OpenAI's shape: OpenAI and Azure, whose models are gone, and any server that speaks the same API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

import pytest
import pytest_asyncio

from mediagate.providers.account import Account
from mediagate.providers.base import CharacterMaker, SubmitRefused, VideoKind, VideoProvider, VideoRequest
from mediagate.providers.registry import build_videos
from tests.contract.video_bench import ALL_SAID, ELSEWHERE, Details, Said, VideoBench, media
from tests.contract.video_fault_suite import VideoFaultContract
from tests.contract.video_suite import VideoProviderContract
from tests.doubles.openai_videos import WORDS, Flavour, OpenAIVideosApi


class OpenAIBench(VideoBench):
    """An account at the double."""

    model = "some-model"
    absent_ref = "video_absent"
    says = ALL_SAID - {Said.NO_VIDEO, Said.CANCELLED}
    words = WORDS
    extra: Mapping[str, Any] = {"seconds": "8", "size": "1792x1024"}  # type: ignore[misc]
    tells_when_to_poll = True
    streams_inputs = True
    forgets = True
    pictures = True

    def __init__(self, api: OpenAIVideosApi, provider: VideoProvider) -> None:
        self.api = api
        self.provider = provider

    def submits(self) -> int:
        return len([asked for asked in self.api.asked if asked.method == "POST" and not asked.path.endswith("/cancel")])

    def jobs(self) -> int:
        return len(self.api.jobs)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        self.api.say(ref, said, **details)

    async def made(self, ref: str) -> bytes:
        return self.api.jobs[ref].video

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.jobs[ref].sent

    def image_of(self, ref: str) -> bytes:
        part = self.api.jobs[ref].file
        assert part is not None
        return part.data

    source_of = image_of

    async def cut(self, ref: str, at: int) -> None:
        self.api.jobs[ref].cut_at = at

    async def expire_links(self) -> None:
        self.api.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.redirect = url


class VllmBench(OpenAIBench):
    extra: Mapping[str, Any] = {  # type: ignore[misc]
        "seed": "42",
        "negative_prompt": "blurry",
        "size": "832x480",
        "extra_params": '{"preencode_mp4": true}',
    }
    pictures = False


class GatewayBench(OpenAIBench):
    says = ALL_SAID - {Said.NO_VIDEO}
    extra: Mapping[str, Any] = {"seed": "42", "seconds": "11"}  # type: ignore[misc]


def compatible(api: OpenAIVideosApi, **options: Any) -> VideoProvider:
    """An account at a server of the same shape."""
    account = Account(
        "c",
        "openai_compatible",
        api_key=api.key,
        api_base=f"{api.url}/v1",
        options={"media_hosts": ELSEWHERE, **options},
    )
    return build_videos(account)


class TestOpenAI(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self) -> AsyncIterator[VideoBench]:  # type: ignore[override]
        with OpenAIVideosApi(links=True).running() as api:
            options = {"media_hosts": ELSEWHERE}
            provider = build_videos(Account("o", "openai", api_key=api.key, api_base=f"{api.url}/v1", options=options))
            yield OpenAIBench(api, provider)
            await provider.close()


class TestAzure(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self) -> AsyncIterator[VideoBench]:  # type: ignore[override]
        with OpenAIVideosApi().running() as api:
            options = {"media_hosts": ELSEWHERE}
            provider = build_videos(Account("a", "azure", api_key=api.key, api_base=api.url, options=options))
            yield OpenAIBench(api, provider)
            await provider.close()


class TestVllm(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self) -> AsyncIterator[VideoBench]:  # type: ignore[override]
        with OpenAIVideosApi(Flavour.VLLM).running() as api:
            provider = compatible(api, derive_by_create=True)
            yield VllmBench(api, provider)
            await provider.close()


class TestGateway(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self) -> AsyncIterator[VideoBench]:  # type: ignore[override]
        with OpenAIVideosApi(Flavour.GATEWAY).running() as api:
            provider = compatible(api)
            yield GatewayBench(api, provider)
            await provider.close()


class TestCharacters:
    async def test_one_is_made_and_shown(self) -> None:
        with OpenAIVideosApi(Flavour.GATEWAY).running() as api:
            provider = compatible(api)
            assert isinstance(provider, CharacterMaker)
            ref = await provider.make_character("Zoë", media(b"a clip", "video/mp4"))
            assert api.characters == {ref: ("Zoë", b"a clip")}
            request = VideoRequest("t", VideoKind.CREATE, "m", "a boat", 4, 1280, 720, characters=(ref,))
            job = await provider.submit(request)
            assert api.jobs[job].sent["characters"] == [{"id": ref}]
            await provider.close()

    async def test_a_server_that_keeps_none_says_so(self) -> None:
        with OpenAIVideosApi(Flavour.VLLM).running() as api:
            provider = compatible(api)
            assert isinstance(provider, CharacterMaker)
            with pytest.raises(SubmitRefused) as refused:
                await provider.make_character("Bo", media(b"a clip", "video/mp4"))
            assert (refused.value.failure.field, refused.value.failure.retryable) == ("characters", False)
            await provider.close()


class OpenAIFaults(VideoFaultContract):
    model = "some-model"
    ref = "video_0123"

    def ref_has_its_place(self, provider: VideoProvider) -> bool:
        return True


class TestOpenAIFaults(OpenAIFaults):
    async def build(self, url: str) -> VideoProvider:
        return build_videos(Account("o", "openai", api_key="sk-test", api_base=f"{url}/v1", options={"timeout": 0.5}))


class TestAzureFaults(OpenAIFaults):
    async def build(self, url: str) -> VideoProvider:
        return build_videos(Account("a", "azure", api_key="sk-test", api_base=url, options={"timeout": 0.5}))


class TestCompatibleFaults(OpenAIFaults):
    async def build(self, url: str) -> VideoProvider:
        account = Account("c", "openai_compatible", api_key="k", api_base=f"{url}/v1", options={"timeout": 0.5})
        return build_videos(account)

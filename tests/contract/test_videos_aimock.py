"""Videos at aimock, a server of another hand that plays OpenAI's Videos API (create and get) and OpenRouter's."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from mediagate.providers.account import Account
from mediagate.providers.base import FailureStage, FateUnknown, JobState, SubmitRefused, VideoProvider, VideoVariant
from mediagate.providers.registry import build_videos
from tests.contract.test_videos_openai_wire import PNG, wanted
from tests.contract.video_bench import VIDEO, media
from tests.contract.video_suite import read
from tests.doubles.aimock.server import KEY, aimock_server

OUTPUT = base64.b64encode(VIDEO).decode()
VIDEOS = {
    "boat": {"id": "video_1", "status": "processing"},
    "stone": {"id": "video_2", "status": "failed", "error": "The model ran out of memory."},
    "light": {"id": "video_3", "status": "completed", "b64": OUTPUT, "cost": 0.35},
    "blood": {"id": "video_4", "status": "failed", "error": "The provider's content moderation removed it."},
}


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    """aimock with answers for three prompts."""
    fixtures = [
        {"match": {"endpoint": "video", "userMessage": word}, "response": {"video": video}}
        for word, video in VIDEOS.items()
    ]
    with aimock_server(fixtures) as url:
        yield url


def account(url: str, provider: str, key: str = KEY) -> VideoProvider:
    """An account at aimock."""
    path = {"openai_compatible": "v1", "openrouter": "api/v1"}[provider]
    return build_videos(Account("x", provider, api_key=key, api_base=f"{url}/{path}"))


@pytest.mark.parametrize(
    ("prompt", "state"), [("a boat", JobState.RENDERING), ("a stone", JobState.FAILED), ("a light", JobState.SUCCEEDED)]
)
async def test_openais_shape(aimock: str, prompt: str, state: JobState) -> None:
    provider = account(aimock, "openai_compatible")
    ref = await provider.submit(wanted(prompt=prompt, image=media(PNG, "image/png")))
    assert ref == VIDEOS[prompt.split()[1]]["id"]
    assert (await provider.poll(ref)).state is state
    with pytest.raises(FateUnknown):
        await provider.poll("video_unknown")
    await provider.close()


async def test_openrouters_shape(aimock: str) -> None:
    provider = account(aimock, "openrouter")
    ref = await provider.submit(wanted(prompt="a light", image=media(PNG, "image/png")))
    status = await provider.poll(ref)
    assert (status.state, status.cost_usd) == (JobState.SUCCEEDED, 0.35)
    content = await provider.open(ref, VideoVariant.VIDEO)
    assert await read(content) == VIDEO
    # It knows no ranges, and then the whole is read.
    assert await read(content, 1000, 2000) == VIDEO[1000:2000]
    await provider.close()


@pytest.mark.parametrize(
    ("prompt", "code"), [("a stone", "provider_failed"), ("some blood", "content_policy_violation")]
)
async def test_openrouters_failures(aimock: str, prompt: str, code: str) -> None:
    provider = account(aimock, "openrouter")
    ref = await provider.submit(wanted(prompt=prompt))
    failure = (await provider.poll(ref)).failure
    assert failure is not None
    assert failure.code == code
    with pytest.raises(FileNotFoundError):
        await provider.open(ref, VideoVariant.VIDEO)
    await provider.close()


@pytest.mark.parametrize("provider", ["openai_compatible", "openrouter"])
@pytest.mark.parametrize(
    ("key", "prompt", "stage"),
    [(KEY, "nothing that is known", FailureStage.PROVIDER), ("no-key", "a boat", FailureStage.GATEWAY)],
)
async def test_refusals(aimock: str, provider: str, key: str, prompt: str, stage: FailureStage) -> None:
    asked = account(aimock, provider, key)
    with pytest.raises(SubmitRefused) as refused:
        await asked.submit(wanted(prompt=prompt))
    assert refused.value.failure.stage is stage
    await asked.close()

"""fal's videos: the contract, and its failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio

from mediagate.providers.account import Account
from mediagate.providers.base import VideoProvider
from mediagate.providers.registry import build_videos
from tests.contract.fal_video_bench import ANY, REF, FalBench, account, running_fal
from tests.contract.video_bench import VideoBench
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract
from tests.doubles.fal_videos import FalApi
from tests.doubles.faulty import answer


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


class TestFal(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self, fal: FalBench) -> VideoBench:  # type: ignore[override]
        return fal


class TestFalFaults(VideoFaultContract):
    model = ANY
    ref = REF

    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, timeout=0.5, media_hosts=url.removeprefix("http://")))

    def answers(self, call: Call) -> Mapping[str, bytes]:
        return {"GET /v1/models$": answer({"models": []})}

    def content_answers(self, url: str) -> Mapping[str, bytes]:
        return {f"GET /{self.ref}$": answer({"video": {"url": f"{url}/output.mp4"}})}


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing"):
        build_videos(Account("fal-1", "fal"))
    assert build_videos(Account("fal-1", "fal", environ={"FAL_KEY": "k"})).spec.name == "fal"

"""Replicate's videos: the contract, and its failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio

from mediagate.providers.account import Account
from mediagate.providers.base import VideoProvider
from mediagate.providers.registry import build_videos
from tests.contract.replicate_video_bench import ANY, ReplicateBench, account, running_replicate
from tests.contract.video_bench import VideoBench
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract
from tests.doubles.faulty import answer
from tests.doubles.replicate_videos import MODELS, ReplicateApi


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


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing"):
        build_videos(Account("replicate-1", "replicate"))
    assert build_videos(Account("r", "replicate", environ={"REPLICATE_API_TOKEN": "k"})).spec.name == "replicate"

"""Vertex AI's videos, of both families: the suites that every video provider passes, and how an account is found."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import httpx
import pytest
import pytest_asyncio

from mediagate.core.ids import new_video_id
from mediagate.providers.account import Account
from mediagate.providers.base import (
    FailureStage,
    JobState,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoVariant,
)
from mediagate.providers.files import NewFile, ServesDirectly
from mediagate.providers.registry import build_files, build_videos
from mediagate.providers.vertex_ai.endpoint import base_url_of, endpoint_of
from tests.contract.vertex_video_bench import OMNI, VEO, OmniBench, VeoBench, account, done
from tests.contract.video_bench import VIDEO, VideoBench, media, request_for
from tests.contract.video_fault_suite import FAULTS, Call, VideoFaultContract
from tests.contract.video_suite import VideoProviderContract, read
from tests.doubles.faulty import answer
from tests.doubles.gcs import BUCKET, gcs_double
from tests.doubles.vertex_videos import VertexVideosApi


@pytest_asyncio.fixture
async def api() -> AsyncIterator[VertexVideosApi]:
    async with gcs_double() as bucket:
        with VertexVideosApi(bucket).running() as running:
            yield running


@pytest_asyncio.fixture
async def provider(api: VertexVideosApi) -> AsyncIterator[VideoProvider]:
    made = build_videos(account(api.url, api.bucket.url))
    yield made
    await made.close()


@pytest.fixture
def veo(api: VertexVideosApi, provider: VideoProvider) -> VeoBench:
    return VeoBench(api, provider)


@pytest.fixture
def omni(api: VertexVideosApi, provider: VideoProvider) -> OmniBench:
    return OmniBench(api, provider)


class _VertexContract(VideoProviderContract):
    async def test_a_source_video_arrives_as_it_is(self, bench: VideoBench) -> None:
        # It goes by way of the bucket, whose writer holds two chunks of 8 MiB.
        bench.streams_inputs = False  # type: ignore[misc]
        await super().test_a_source_video_arrives_as_it_is(bench)


class TestVeo(_VertexContract):
    @pytest.fixture
    def bench(self, veo: VeoBench) -> VideoBench:
        return veo

    async def test_a_cancel_is_truthful(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        # The spec is of both families, and this one cannot.
        assert not await bench.provider.cancel(ref)
        assert (await bench.provider.poll(ref)).state is JobState.RENDERING


class TestOmni(_VertexContract):
    @pytest.fixture
    def bench(self, omni: OmniBench) -> VideoBench:
        return omni


class _VertexFaults(VideoFaultContract):
    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, url, timeout=0.5))

    listing: ClassVar[Mapping[str, bytes]] = {f"GET /storage/v1/b/{BUCKET}/o$": answer({})}
    uri = f"gs://{BUCKET}/mediagate/videos/video_0001/1/sample_0.mp4"


class TestVeoFaults(_VertexFaults):
    model = VEO
    name = f"projects/p/locations/us-central1/publishers/google/models/{VEO}"
    ref = f"{name}/operations/abc#video_0001"

    def answers(self, call: Call) -> Mapping[str, bytes]:
        if call is not Call.CONTENT:
            return {}
        operation = {"name": self.ref.partition("#")[0], **done({"videos": [{"gcsUri": self.uri}]})}
        return {f"POST /v1/{self.name}:fetchPredictOperation": answer(operation)}

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_delete(self, fault: str) -> None:
        if fault == "404":
            pytest.skip("the bucket itself is missing, which is no end of a delete")
        await super().test_delete(fault)


class TestOmniFaults(_VertexFaults):
    model = OMNI
    path = "projects/p/locations/global/interactions/abc"
    ref = f"{path}#video_0001"

    def answers(self, call: Call) -> Mapping[str, bytes]:
        if call is Call.DELETE:
            return self.listing
        if call is not Call.CONTENT:
            return {}
        steps = [{"type": "model_output", "content": [{"type": "video", "uri": self.uri}]}]
        return {f"GET /v1beta1/{self.path}": answer({"id": "abc", "status": "completed", "steps": steps})}


async def test_inputs_and_outputs_in_a_real_bucket(api: VertexVideosApi, gcs_url: str) -> None:
    members = account(api.url, gcs_url)
    provider, store = build_videos(members), build_files(members)
    bench = VeoBench(api, provider)
    token = new_video_id()
    source = media(VIDEO, "video/mp4")
    ref = await provider.submit(request_for(bench, token, kind=VideoKind.EXTEND, source_video=source))
    uri = bench.sent_instance(ref)["video"]["gcsUri"]
    assert await read(await store.open(uri)) == VIDEO
    longer = VIDEO + VIDEO
    writer = await store.create(NewFile(key=f"videos/{token}/1", filename="sample_0.mp4", content_type="video/mp4"))
    await writer.write(longer)
    made = (await writer.commit()).ref
    api.operations[bench.name_of(ref)].tree = done({"videos": [{"gcsUri": made}]})
    assert (await provider.poll(ref)).state is JobState.SUCCEEDED
    content = await provider.open(ref, VideoVariant.VIDEO)
    assert (content.content_type, await read(content)) == ("video/mp4", longer)
    assert isinstance(provider, ServesDirectly)
    origin = await provider.origin(ref, method="HEAD")
    async with httpx.AsyncClient(verify=False) as plain:
        answer = await plain.get(origin.url, headers={**origin.headers, "range": "bytes=10-19"})
    assert answer.content == longer[10:20]
    await provider.delete(ref)
    for gone in (uri, made):
        with pytest.raises(FileNotFoundError):
            await store.open(gone)
    await provider.close()
    await store.close()


async def test_credentials_that_nobody_named_do_not_travel_in_clear_text(api: VertexVideosApi) -> None:
    members = replace(account(api.url, api.bucket.url), api_key=None)
    provider = build_videos(members)
    with pytest.raises(SubmitRefused) as refused:
        await provider.submit(request_for(VeoBench(api, provider)))
    assert refused.value.failure.stage is FailureStage.GATEWAY
    assert "authorization" not in api.asked[-1].headers
    await provider.close()


def test_what_is_shut_down_has_its_day(veo: VeoBench) -> None:
    gone = veo.provider.spec.shut_down
    assert {gone["veo-2.0-generate-001"], gone["veo-3.0-generate-001"]} == {"2026-06-30"}


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_every_location_has_its_address(location: str, url: str) -> None:
    assert endpoint_of(location) == url


@pytest.mark.parametrize(
    ("members", "url"),
    [
        ({}, None),
        # The address of a store is none of the models.
        ({"api_base": "https://storage.example"}, None),
        ({"api_base": "https://europe-west4-aiplatform.googleapis.com/v1/projects/p"},
         "https://europe-west4-aiplatform.googleapis.com"),
        ({"options": {"vertex_api_base": "proxy.example/google/v1beta1"}}, "https://proxy.example/google"),
        ({"environ": {"GOOGLE_VERTEX_BASE_URL": "http://127.0.0.1:1/"}}, "http://127.0.0.1:1"),
    ],
)  # fmt: skip
def test_another_address(members: dict[str, Any], url: str | None) -> None:
    assert base_url_of(Account("v", "vertex_ai", **members)) == url


def test_an_account_that_lacks_something_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="bucket_name is missing"):
        build_videos(Account("v", "vertex_ai"))
    with pytest.raises(ValueError, match="vertex_project is missing"):
        build_videos(Account("v", "vertex_ai", bucket_name=BUCKET))
    key = {"vertex_credentials": json.dumps({"type": "service_account", "project_id": "p"})}
    assert build_videos(Account("v", "vertex_ai", bucket_name=BUCKET, options=key)).spec.name == "vertex_ai"

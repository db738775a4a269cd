"""Every video provider at its double: what tests over all of them set up."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from mediagate.providers.registry import build_videos
from tests.contract import test_videos_fal as fal
from tests.contract import test_videos_gemini as gemini
from tests.contract import test_videos_openrouter as openrouter
from tests.contract import test_videos_replicate as replicate
from tests.contract import test_videos_runwayml as runwayml
from tests.contract import test_videos_xai as xai
from tests.contract import vertex_video_bench as vertex
from tests.contract.test_videos_bedrock import BedrockBench
from tests.contract.test_videos_local import LocalBench
from tests.contract.test_videos_openai import GatewayBench, compatible
from tests.contract.video_bench import VideoBench
from tests.doubles import bedrock_videos
from tests.doubles.delivery import delivery
from tests.doubles.fal_videos import FalApi
from tests.doubles.gcs import BUCKET, gcs_double
from tests.doubles.gemini_videos import GeminiVideosApi
from tests.doubles.openai_videos import Flavour, OpenAIVideosApi
from tests.doubles.openrouter import OpenRouterApi
from tests.doubles.origin import running_origin
from tests.doubles.outputs import Outputs
from tests.doubles.replicate_videos import ReplicateApi
from tests.doubles.runwayml_videos import RunwayApi
from tests.doubles.s3 import sdk
from tests.doubles.vertex_videos import PROJECT, VertexVideosApi
from tests.doubles.xai_videos import XaiVideosApi

S3_BUCKET: Final = "mediagate-videos"


class Server(Protocol):
    """Something that listens; what it says of its own address follows from `port`."""

    port: int


Front = Callable[[str, Server], None]
"""Told of each server of a stand before anybody asks where that is, so that something can be put in front of it."""


@dataclass(frozen=True)
class Wire:
    """How the provider's requests look: `METHOD /path` patterns of a submit and of a poll. Other reading requests fetch
    content, or look something up."""

    submit: re.Pattern[str]
    poll: re.Pattern[str]


@dataclass
class Stand:
    """One provider, its bench and the double behind that. `params` is the account in a gateway's configuration; `refs`
    are the jobs that the double has. `failed` is what the bench's `FAILED` means: stage and code."""

    name: str
    bench: VideoBench
    wire: Wire | None
    failed: tuple[str, str]
    refs: Callable[[], list[str]]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.bench.provider.spec.name

    def job_of(self, ref: str) -> str:
        """What every request about a job holds, in its path or its body."""
        ref = ref.partition("#")[0].partition(",")[0]
        return ref.rpartition("/")[2]


def _wire(submit: str, poll: str) -> Wire:
    return Wire(re.compile(submit), re.compile(poll))


WIRES: Final[Mapping[str, Wire]] = {
    "xai": _wire("POST /v1/videos/generations$", r"GET /v1/videos/[\w-]+$"),
    "runwayml": _wire("POST /v1/text_to_video$", r"GET /v1/tasks/[\w-]+$"),
    "bedrock": _wire("POST /async-invoke$", "GET /async-invoke/"),
    "openai_compatible": _wire("POST /v1/videos$", r"GET /v1/videos/[\w-]+$"),
    "openrouter": _wire("POST /api/v1/videos$", r"GET /api/v1/videos/[\w-]+$"),
    "fal": _wire("POST /acme/films", "GET .*/status$"),
    "replicate": _wire("POST .*/predictions$", "GET /v1/predictions/"),
    "veo": _wire("POST .*:predictLongRunning$", "POST .*:fetchPredictOperation$"),
    "omni": _wire("POST .*/interactions$", "GET .*/interactions/"),
    "gemini": _wire("POST .*/interactions$", "GET .*/interactions/"),
}
FAILED: Final[Mapping[str, tuple[str, str]]] = {
    "xai": ("input", "provider_rejected_request"),
    "veo": ("input", "provider_rejected_request"),
    "local": ("provider", "render_failed"),
}


@asynccontextmanager
async def every_stand(
    moto_url: str, folder: Path, front: Front = lambda name, server: None
) -> AsyncIterator[dict[str, Stand]]:
    """All of them, by name: a provider's, or that of a family of models where a provider has several."""
    async with AsyncExitStack() as stack:
        made = [
            _xai(stack, front),
            _runwayml(stack, front),
            _bedrock(stack, front, moto_url),
            _compatible(stack, front),
            _openrouter(stack, front),
            _fal(stack, front),
            _replicate(stack, front),
            await _vertex(stack, front, "veo"),
            await _vertex(stack, front, "omni"),
            _gemini(stack, front),
            _local(folder),
        ]
        for stand in made:
            stack.push_async_callback(stand.bench.provider.close)
        yield {stand.name: stand for stand in made}


def _stand(name: str, bench: VideoBench, refs: Callable[[], list[str]], **params: Any) -> Stand:
    return Stand(name, bench, WIRES.get(name), FAILED.get(name, ("provider", "provider_failed")), refs, params)


def _xai(stack: AsyncExitStack, front: Front) -> Stand:
    host = stack.enter_context(running_origin())
    api = stack.enter_context(XaiVideosApi(Outputs(host)).running())
    for server in (host, api):
        front("xai", server)
    allowed = {"media_hosts": api.outputs.media_hosts}
    bench = xai.XaiBench(api, build_videos(xai.account(api.url, options=allowed)))
    return _stand("xai", bench, lambda: list(api.bodies), api_base=api.url, api_key=api.key, **allowed)


def _runwayml(stack: AsyncExitStack, front: Front) -> Stand:
    host = stack.enter_context(running_origin())
    api = stack.enter_context(RunwayApi(Outputs(host)).running())
    for server in (host, api):
        front("runwayml", server)
    allowed = {"media_hosts": api.outputs.media_hosts}
    bench = runwayml.RunwayBench(api, build_videos(runwayml.account(api.url, options=allowed)))
    return _stand("runwayml", bench, lambda: list(api.bodies), api_base=api.url, api_key=api.key, **allowed)


def _bedrock(stack: AsyncExitStack, front: Front, moto_url: str) -> Stand:
    s3 = sdk(moto_url)
    stack.callback(s3.close)
    s3.create_bucket(Bucket=S3_BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    api = stack.enter_context(bedrock_videos.BedrockApi(moto_url).running())
    front("bedrock", api)
    account = bedrock_videos.account(api.url, api.url, S3_BUCKET)
    bench = BedrockBench(api, build_videos(account), s3, S3_BUCKET)

    def refs() -> list[str]:
        jobs = list(api.jobs.items())
        return [f"{arn},{job['outputDataConfig']['s3OutputDataConfig']['s3Uri']}" for arn, job in jobs]

    return _stand("bedrock", bench, refs, bucket_name=S3_BUCKET, **account.options)


def _compatible(stack: AsyncExitStack, front: Front) -> Stand:
    api = stack.enter_context(OpenAIVideosApi(Flavour.GATEWAY).running())
    front("openai_compatible", api)
    bench = GatewayBench(api, compatible(api))
    return _stand("openai_compatible", bench, lambda: list(api.jobs), api_base=f"{api.url}/v1", api_key=api.key)


def _openrouter(stack: AsyncExitStack, front: Front) -> Stand:
    api = stack.enter_context(OpenRouterApi().running())
    front("openrouter", api)
    bench = openrouter.OpenRouterBench(api)
    return _stand("openrouter", bench, lambda: list(api.jobs), api_base=f"{api.url}/api/v1", api_key=api.key)


def _fal(stack: AsyncExitStack, front: Front) -> Stand:
    there = stack.enter_context(delivery("test-key"))
    api = stack.enter_context(FalApi(there).running())
    for server in (there.origin, api):
        front("fal", server)
    bases = {"fal_storage_base": api.url, "fal_platform_base": api.url, "media_hosts": there.host}
    return _stand(
        "fal",
        fal.FalBench(api),
        lambda: [f"{queued.app}/requests/{queued.id}" for queued in list(api.requests.values())],
        api_base=api.url,
        api_key=api.key,
        **bases,
    )


def _replicate(stack: AsyncExitStack, front: Front) -> Stand:
    there = stack.enter_context(delivery("test-key"))
    api = stack.enter_context(ReplicateApi(there).running())
    for server in (there.origin, api):
        front("replicate", server)
    params = {"api_base": api.url, "api_key": api.key, "media_hosts": there.host}
    return _stand("replicate", replicate.ReplicateBench(api), lambda: list(api.predictions), **params)


async def _vertex(stack: AsyncExitStack, front: Front, family: str) -> Stand:
    bucket = await stack.enter_async_context(gcs_double())
    api = stack.enter_context(VertexVideosApi(bucket).running())
    for server in (bucket, api):
        front(family, server)
    provider = build_videos(vertex.account(api.url, bucket.url))
    params = {
        "api_key": api.key,
        "bucket_name": BUCKET,
        "vertex_project": PROJECT,
        "vertex_api_base": api.url,
        "api_base": bucket.url,
    }
    if family == "veo":
        return _stand(
            family,
            vertex.VeoBench(api, provider),
            lambda: [f"{name}#{_token(made.body['parameters']['storageUri'])}" for name, made in _copy(api.operations)],
            **params,
        )
    parent = f"projects/{PROJECT}/locations/global/interactions"
    return _stand(
        family,
        vertex.OmniBench(api, provider),
        lambda: [
            f"{parent}/{name}#{_token(made.body['response_format']['gcs_uri'])}"
            for name, made in _copy(api.interactions)
        ],
        **params,
    )


def _copy(jobs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(jobs.items())


def _token(folder: str) -> str:
    """The last part of the folder that a job writes into, which is its own."""
    return folder.rstrip("/").rpartition("/")[2]


def _gemini(stack: AsyncExitStack, front: Front) -> Stand:
    api = stack.enter_context(GeminiVideosApi().running())
    front("gemini", api)
    bench = gemini.GeminiBench(api, build_videos(gemini.account(api.url)))
    return _stand("gemini", bench, lambda: list(api.interactions), api_base=api.url, api_key=api.key)


def _local(folder: Path) -> Stand:
    bench = LocalBench(folder)
    return _stand("local", bench, lambda: [path.name for path in folder.iterdir() if not path.name.startswith(".")])

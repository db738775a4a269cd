"""Runway's videos: the suites that every video provider passes, and what only this API has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Unpack

import pytest
from runwayml import RunwayML
from runwayml.types import TaskRetrieveResponse

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
)
from mediagate.providers.registry import build_videos
from mediagate.providers.runwayml.failures import failure_of
from mediagate.providers.runwayml.models import MODELS
from mediagate.providers.runwayml.videos import RunwayVideos
from tests.contract.video_bench import ALL_SAID, VIDEO, Details, Said, VideoBench, media, request_for
from tests.contract.video_fault_suite import Call, VideoFaultContract
from tests.contract.video_suite import MIB, PNG, VideoProviderContract, finished
from tests.doubles.faulty import answer
from tests.doubles.origin import running_origin
from tests.doubles.outputs import Outputs
from tests.doubles.runwayml_videos import RunwayApi, kinds

TASK = "17f20503-6c24-4c16-946b-35dbbce2af2f"


def account(url: str, **members: Any) -> Account:
    """An account at `url`."""
    return Account("runwayml", "runwayml", api_key="test-key", api_base=url, **members)


class RunwayBench(VideoBench):
    """One organization. `model` is one that changes videos too."""

    model = "seedance2_5"
    absent_ref = TASK
    says = ALL_SAID - {Said.WITH_ERROR}
    words: ClassVar[Mapping[str, JobState]] = {
        "PENDING": JobState.QUEUED,
        "THROTTLED": JobState.QUEUED,
        "RUNNING": JobState.RENDERING,
        "SUCCEEDED": JobState.SUCCEEDED,
        "FAILED": JobState.FAILED,
        "CANCELLED": JobState.CANCELLED,
    }
    extra: ClassVar[Mapping[str, Any]] = {
        "ratio": "960:960",
        "seed": 7,
        "references": [{"uri": "https://example.com/1.png"}],
    }
    tells_when_to_poll = True
    streams_inputs = True
    forgets = True

    def __init__(self, api: RunwayApi, provider: VideoProvider) -> None:
        self.api = api
        self.provider = provider

    def submits(self) -> int:
        return self.api.submits

    def jobs(self) -> int:
        return len(self.api.bodies)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        self.api.outputs.videos[ref] = details.get("video", self.api.outputs.videos.get(ref, VIDEO))
        after = details.get("poll_after_s")
        self.api.headers[ref] = {} if after is None else {"retry-after": str(int(after))}
        self.api.tasks[ref] = self._said(said, details)
        if said is Said.GONE:
            self.api.outputs.remove(ref)

    def _said(self, said: Said, details: Details) -> dict[str, Any]:
        done = {
            "status": "SUCCEEDED",
            "output": ["link"],
            "cost": {"credits": round(details.get("cost_usd", 0.35) * 100)},
        }
        failed = {"status": "FAILED", "failure": details.get("reason", ""), "cost": {"credits": 0}}
        match said:
            case Said.QUEUED:
                return {"status": "THROTTLED", "estimatedCost": {"credits": 25}}
            case Said.RENDERING:
                return {
                    "status": "RUNNING",
                    "progress": details.get("progress_percent", 40) / 100,
                    "estimatedCost": {"credits": 25},
                }
            case Said.FAILED:
                return {**failed, "failureCode": "INTERNAL"}
            case Said.MODERATED:
                return {**failed, "failureCode": "SAFETY.OUTPUT.VIDEO", "cost": {"credits": 25}}
            case Said.CANCELLED:
                return {"status": "CANCELLED", "cost": {"credits": 25}}
            case Said.NO_VIDEO | Said.GONE:
                return {**done, "output": []}
            case Said.WORD:
                return {**done, "status": details["word"]}
            case _:
                return done

    async def made(self, ref: str) -> bytes:
        return self.api.outputs.videos[ref]

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.bodies[ref]

    def image_of(self, ref: str) -> bytes:
        return self.api.media(ref, "promptImage")

    def source_of(self, ref: str) -> bytes:
        return self.api.media(ref, "promptVideo", "videoUri")

    async def cut(self, ref: str, at: int) -> None:
        self.api.outputs.cut(ref, at)

    async def expire_links(self) -> None:
        self.api.outputs.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.outputs.lead_to(url)


@pytest.fixture
def api() -> Iterator[RunwayApi]:
    with running_origin() as host, RunwayApi(Outputs(host)).running() as api:
        yield api


@pytest.fixture
async def bench(api: RunwayApi) -> Any:
    provider = build_videos(account(api.url, options={"media_hosts": api.outputs.media_hosts}))
    yield RunwayBench(api, provider)
    await provider.close()


class TestRunway(VideoProviderContract):
    @pytest.fixture
    async def bench(self, api: RunwayApi) -> Any:
        provider = build_videos(account(api.url, options={"media_hosts": api.outputs.media_hosts}))
        yield RunwayBench(api, provider)
        await provider.close()


class TestRunwayFaults(VideoFaultContract):
    model = "gen4.5"
    ref = TASK

    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, options={"timeout": 0.5}))

    def answers(self, call: Call) -> Mapping[str, bytes]:
        if call is Call.CONTENT:
            # The link leads back to the server that fails.
            return {f"GET /v1/tasks/{self.ref}": answer({"status": "SUCCEEDED", "output": ["/outputs/v.mp4"]})}
        return {}


async def test_the_bodies_of_the_three_endpoints(bench: RunwayBench) -> None:
    image, source = media(PNG, "image/png"), media(VIDEO, "video/mp4")
    cases: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({}, "/v1/text_to_video", {"ratio": "1280:720", "duration": 5}),
        ({"audio": False}, "/v1/text_to_video", {"ratio": "1280:720", "duration": 5, "audio": False}),
        (
            {"image": image},
            "/v1/image_to_video",
            {"ratio": "1280:720", "duration": 5, "promptImage": "data:image/png;base64,iVBORw0KGgo="},
        ),
        ({"kind": VideoKind.EDIT}, "/v1/video_to_video", {"mode": "edit", "duration": "auto"}),
        ({"kind": VideoKind.EXTEND}, "/v1/video_to_video", {"mode": "extend", "duration": 5}),
    ]
    for fields, path, members in cases:
        more = {"source_video": source} if "kind" in fields else {}
        ref = await bench.provider.submit(request_for(bench, **fields, **more))
        sent = dict(bench.sent(ref))
        sent.pop("promptVideo", None)
        assert sent == {"model": "seedance2_5", "promptText": "a paper boat in the rain", **members}
        assert bench.api.asked[-1].path == path
        assert bench.api.asked[-1].headers["x-runway-version"] == "2024-11-06"


def requests_of(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every endpoint of a model with every size that it makes there, and with sound where it can have some."""
    model = MODELS[name]
    inputs = {"text": {}, "image": {"image": media(PNG, "image/png")}}
    for start, endpoint in model.endpoints.items():
        for size in endpoint.sizes or ("1280x720",):
            width, height = parse_size(size)
            shape = {"width": width, "height": height, "seconds": (model.seconds or (5,))[-1]}
            shape |= {"audio": True} if endpoint.audible else {}
            if start != "video":
                yield start, {**shape, **inputs[start]}
                continue
            for kind in model.kinds:
                yield start, {**shape, "kind": VideoKind(kind), "source_video": media(VIDEO, "video/mp4")}


@pytest.mark.parametrize("name", MODELS)
async def test_every_model_takes_what_the_spec_says(bench: RunwayBench, name: str) -> None:
    bench.model = name
    for _, fields in requests_of(name):
        await bench.provider.submit(request_for(bench, **fields))
    assert bench.jobs() > 0


def test_no_model_of_the_sdk_is_missing_and_none_has_an_endpoint_less() -> None:
    starts = {"/v1/text_to_video": "text", "/v1/image_to_video": "image", "/v1/video_to_video": "video"}
    ours = {(name, start) for name, model in MODELS.items() for start in model.endpoints}
    assert ours == {(name, start) for path, start in starts.items() for name in kinds(path)}


@pytest.mark.parametrize(
    ("size", "has"),
    [(5_000_000 * 3 // 4 - 200, "data:"), (5_000_000 * 3 // 4, "runway://")],
)
async def test_what_is_too_long_for_a_data_uri_is_uploaded(bench: RunwayBench, size: int, has: str) -> None:
    data = PNG + bytes(size - len(PNG))
    ref = await bench.provider.submit(request_for(bench, image=media(data, "image/png")))
    assert bench.sent(ref)["promptImage"].startswith(has)
    assert bench.image_of(ref) == data
    storage = [asked for asked in bench.api.asked if asked.path.startswith("/storage/")]
    assert len(storage) == (has == "runway://")
    for asked in storage:
        assert [name for name, _ in asked.form] == ["key", "policy", "x-amz-signature", "file"]
        assert asked.form[-1][1] == "<file.png>"


@pytest.mark.parametrize(("status", "kind"), [(500, ProviderBusy), (503, ProviderBusy), (403, SubmitRefused)])
async def test_an_upload_that_fails_starts_nothing(bench: RunwayBench, status: int, kind: type[Exception]) -> None:
    bench.api.upload_status = status
    with pytest.raises(kind):
        await bench.provider.submit(request_for(bench, image=media(bytes(5 * MIB), "image/png")))
    assert bench.submits() == 0


async def test_a_model_says_what_it_cannot_start_from(bench: RunwayBench) -> None:
    bench.model = "gen4_turbo"
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench))
    assert refused.value.failure.field == "input_reference"
    bench.model = "gen4.5"
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, width=960, height=960))
    assert (refused.value.failure.field, refused.value.failure.code) == ("size", "invalid_size")
    assert "1280x720, 720x1280" in refused.value.failure.message
    assert bench.submits() == 0
    image = media(PNG, "image/png")
    ref = await bench.provider.submit(request_for(bench, width=960, height=960, image=image))
    assert bench.sent(ref)["ratio"] == "960:960"


async def test_a_model_that_came_later_is_sent_as_usual(bench: RunwayBench) -> None:
    bench.model = "gen6"
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench))
    assert refused.value.failure.field == "model"
    assert bench.api.asked[-1].json == {
        "model": "gen6",
        "promptText": "a paper boat in the rain",
        "ratio": "1280:720",
        "duration": 5,
    }


@pytest.mark.parametrize(
    ("extra", "field"), [({"ratio": "1:2"}, "size"), ({"duration": "long"}, "seconds"), ({"nonsense": 1}, None)]
)
async def test_a_refusal_names_the_field_at_fault(bench: RunwayBench, extra: Any, field: str | None) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, extra=extra))
    failure = refused.value.failure
    assert (failure.stage, failure.field) == (FailureStage.INPUT, field)
    assert next(iter(extra)) in failure.message


async def test_a_prompt_that_moderation_refuses_at_once(bench: RunwayBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await bench.provider.submit(request_for(bench, prompt="forbidden"))
    failure = refused.value.failure
    assert (failure.code, failure.field, failure.charged) == ("content_policy_violation", "prompt", False)


@pytest.mark.parametrize(
    ("code", "stage", "name", "field", "retryable"),
    [
        ("SAFETY.INPUT.TEXT", "input", "content_policy_violation", "prompt", False),
        ("SAFETY.INPUT.IMAGE", "input", "content_policy_violation", "input_reference", False),
        ("SAFETY.INPUT.VIDEO", "input", "content_policy_violation", "video", False),
        ("SAFETY.INPUT.AUDIO", "input", "content_policy_violation", None, False),
        ("SAFETY.OUTPUT.VIDEO", "output", "content_policy_violation", None, False),
        ("SAFETY.OUTPUT.TEXT", "output", "content_policy_violation", None, False),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "input", "content_policy_violation", "prompt", False),
        ("INPUT_PREPROCESSING.INTERNAL", "provider", "provider_failed", None, True),
        ("ASSET.INVALID", "input", "invalid_input", None, False),
        ("INTERNAL", "provider", "provider_failed", None, True),
        ("INTERNAL.BAD_OUTPUT.CODE01", "output", "bad_output", None, True),
        ("INTERNALS", "provider", "provider_failed", None, True),
        ("THIRD_PARTY.UNAVAILABLE", "provider", "provider_unavailable", None, True),
        ("BRAND.NEW", "provider", "provider_failed", None, True),
        ("", "provider", "provider_failed", None, True),
    ],
)
def test_the_tree_of_failure_codes(code: str, stage: str, name: str, field: str | None, retryable: bool) -> None:
    failure = failure_of(code, charged=False)
    assert (failure.stage, failure.code, failure.field, failure.retryable) == (stage, name, field, retryable)
    assert failure.message


@pytest.mark.parametrize(
    ("code", "cost", "charged", "cost_usd"),
    [
        ("SAFETY.OUTPUT.VIDEO", {"credits": 25}, True, 0.25),
        ("SAFETY.OUTPUT.VIDEO", {"credits": 0}, False, 0.0),
        ("SAFETY.INPUT.TEXT", None, True, None),
        ("INTERNAL", {"credits": 0}, False, 0.0),
        ("INTERNAL", None, False, None),
        (None, {"credits": 3}, True, 0.03),
    ],
)
async def test_what_a_failure_costs(
    bench: RunwayBench, code: str | None, cost: Any, charged: bool, cost_usd: float | None
) -> None:
    ref = await bench.provider.submit(request_for(bench))
    bench.api.tasks[ref] = {"status": "FAILED", "failure": "no", "failureCode": code} | ({"cost": cost} if cost else {})
    status = await bench.provider.poll(ref)
    assert status.failure is not None
    assert (status.failure.charged, status.cost_usd) == (charged, cost_usd)


async def test_a_cancel_leaves_a_finished_video_alone(bench: RunwayBench) -> None:
    ref = await finished(bench)
    assert not await bench.provider.cancel(ref)
    assert all(asked.method != "DELETE" for asked in bench.api.asked)
    running = await bench.provider.submit(request_for(bench, "video_0002"))
    await bench.advance(running, Said.RENDERING)
    assert await bench.provider.cancel(running)
    status = await bench.provider.poll(running)
    assert (status.state, status.cost_usd) == (JobState.CANCELLED, 0.25)
    with pytest.raises(FateUnknown):
        await bench.provider.cancel(TASK)


async def test_a_remix_starts_from_a_fresh_link(bench: RunwayBench) -> None:
    source = await finished(bench)
    bench.model = "aleph2"
    await bench.expire_links()
    request = request_for(bench, kind=VideoKind.REMIX, source_ref=source, source_video=media(VIDEO, "video/mp4"))
    ref = await bench.provider.submit(request)
    link = bench.api.outputs.link(source)
    assert bench.sent(ref) == {"model": "aleph2", "promptText": "a paper boat in the rain", "videoUri": link}
    bench.api.outputs.remove(source)
    assert isinstance(bench.provider, RunwayVideos)
    bench.provider.forget(source)
    await bench.advance(source, Said.GONE)
    ref = await bench.provider.submit(request)
    assert bench.source_of(ref) == VIDEO


async def test_the_official_client_reads_the_double(bench: RunwayBench) -> None:
    """So the double's tasks are what the API's own description says."""
    ref = await bench.provider.submit(request_for(bench))
    bench.api.outputs.videos[ref] = VIDEO
    with RunwayML(
        api_key="test-key", base_url=bench.api.url, max_retries=0, _strict_response_validation=True
    ) as client:
        for said in (Said.QUEUED, Said.RENDERING, Said.SUCCEEDED, Said.FAILED, Said.MODERATED, Said.CANCELLED):
            await bench.advance(ref, said)
            task: TaskRetrieveResponse = client.tasks.retrieve(ref)
            assert RunwayBench.words[task.status] is (await bench.provider.poll(ref)).state
        uri = client.uploads.create_ephemeral(file=("a.png", PNG)).uri
        assert bench.api.uploads[uri] == PNG
        theirs = client.image_to_video.create(
            model="gen4.5", prompt_image=uri, prompt_text="a paper boat in the rain", ratio="1280:720", duration=5
        )
    bench.model = "gen4.5"
    ours = await bench.provider.submit(request_for(bench, image=media(PNG, "image/png")))
    body = bench.sent(ours)
    assert {**body, "promptImage": uri} == bench.sent(theirs.id)


def test_where_the_account_is() -> None:
    with pytest.raises(ValueError, match="RUNWAYML_API_SECRET"):
        build_videos(Account("r", "runwayml"))
    environ = {"RUNWAYML_API_SECRET": "k", "RUNWAYML_BASE_URL": "https://runway.example/"}
    provider = build_videos(Account("r", "runwayml", environ=environ))
    assert isinstance(provider, RunwayVideos)
    assert provider._http.url("/v1/tasks/1") == "https://runway.example/v1/tasks/1"

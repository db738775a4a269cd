"""Bedrock's videos: the suites that every video provider passes, what only Bedrock has, and ministack as a second
opinion."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Unpack

import httpx
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from mediagate.core.sizes import parse_size
from mediagate.providers.account import Account
from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    ProviderBusy,
    SubmitRefused,
    VideoProvider,
    VideoVariant,
)
from mediagate.providers.bedrock.runtime import runtime_of
from mediagate.providers.bedrock.videos import BedrockVideos, _job
from mediagate.providers.registry import build_videos, video_spec
from tests.contract.video_bench import VIDEO, Details, Said, VideoBench, media, request_for
from tests.contract.video_fault_suite import VideoFaultContract
from tests.contract.video_suite import PNG, VideoProviderContract, finished, read
from tests.doubles.bedrock_videos import MODEL, SECRET_KEY, BedrockApi, account
from tests.doubles.ministack.server import ministack_server

ARN = "arn:aws:bedrock:us-west-2:123456789012:async-invoke/0a1b2c3d4e5f"
FRAME = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


class BedrockBench(VideoBench):
    """One account; the bucket is moto's."""

    model = MODEL
    secret = SECRET_KEY
    says = frozenset({Said.RENDERING, Said.SUCCEEDED, Said.FAILED, Said.MODERATED, Said.GONE, Said.WORD})
    words: ClassVar[Mapping[str, JobState]] = {
        "InProgress": JobState.RENDERING,
        "Completed": JobState.SUCCEEDED,
        "Failed": JobState.FAILED,
    }
    extra: ClassVar[Mapping[str, Any]] = {"loop": True, "resolution": "540p", "keyframes": {"frame1": FRAME}}
    forgets = True
    far_content = False

    def __init__(self, api: BedrockApi, provider: VideoProvider, s3: Any, bucket: str) -> None:
        self.api = api
        self.provider = provider
        self.s3 = s3
        self.bucket = bucket
        self.absent_ref = f"{ARN},s3://{bucket}/mediagate/videos/video_absent/"

    def submits(self) -> int:
        return self.api.submits

    def jobs(self) -> int:
        return len(self.api.jobs)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        states = {
            Said.RENDERING: {"status": "InProgress"},
            Said.FAILED: {"status": "Failed", "failureMessage": details.get("reason", "")},
            Said.MODERATED: {
                "status": "Failed",
                "failureMessage": "This generated video has been blocked by our content filters.",
            },
            Said.WORD: {"status": details.get("word", "")},
        }
        self.api.states[_job(ref).arn] = states.get(said, {"status": "Completed"})
        if "video" in details:
            await asyncio.to_thread(self.put, ref, details["video"])
        if said is Said.GONE:
            await asyncio.to_thread(self.s3.delete_object, Bucket=self.bucket, Key=_job(ref).output.key)

    def put(self, ref: str, video: bytes) -> None:
        """Write the output as Bedrock does."""
        self.s3.put_object(Bucket=self.bucket, Key=_job(ref).output.key, Body=video)

    async def made(self, ref: str) -> bytes:
        answer = await asyncio.to_thread(self.s3.get_object, Bucket=self.bucket, Key=_job(ref).output.key)
        return bytes(answer["Body"].read())

    def sent(self, ref: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.api.jobs[_job(ref).arn]["modelInput"]
        return found

    def image_of(self, ref: str) -> bytes:
        source = self.sent(ref)["keyframes"]["frame0"]["source"]
        assert source["media_type"] == "image/png"
        return base64.b64decode(source["data"], validate=True)

    async def cut(self, ref: str, at: int) -> None:
        self.api.cuts[_job(ref).output.key] = at

    async def expire_links(self) -> None:
        """Ours are signed anew for every use."""


@pytest.fixture
def api(moto_url: str) -> Iterator[BedrockApi]:
    with BedrockApi(moto_url).running() as api:
        yield api


@pytest.fixture
async def bench(api: BedrockApi, s3_client: Any, s3_bucket: str) -> Any:
    provider = build_videos(account(api.url, api.url, s3_bucket))
    yield BedrockBench(api, provider, s3_client, s3_bucket)
    await provider.close()


class TestBedrock(VideoProviderContract):
    @pytest.fixture
    async def bench(self, api: BedrockApi, s3_client: Any, s3_bucket: str) -> Any:
        provider = build_videos(account(api.url, api.url, s3_bucket))
        yield BedrockBench(api, provider, s3_client, s3_bucket)
        await provider.close()


class TestBedrockFaults(VideoFaultContract):
    model = MODEL
    ref = f"{ARN},s3://bucket/mediagate/videos/video_0001/"

    async def build(self, url: str) -> VideoProvider:
        return build_videos(account(url, url, "bucket", timeout=0.5))

    def ref_has_its_place(self, provider: VideoProvider) -> bool:
        return True


async def test_what_is_sent(bench: BedrockBench) -> None:
    ref = await bench.provider.submit(request_for(bench, "video_0001", image=media(PNG, "image/png")))
    arn, _, s3_uri = ref.partition(",")
    assert s3_uri == f"s3://{bench.bucket}/mediagate/videos/video_0001/"
    assert bench.api.jobs[arn] == {
        "clientRequestToken": "video_0001",
        "modelId": "luma.ray-v2:0",
        "modelInput": {
            "prompt": "a paper boat in the rain",
            "aspect_ratio": "16:9",
            "duration": "5s",
            "resolution": "720p",
            "keyframes": {"frame0": FRAME},
        },
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": s3_uri}},
    }


async def test_every_size_and_length_of_the_spec_is_one_of_lumas(bench: BedrockBench) -> None:
    model = bench.provider.spec.models[MODEL]
    pairs = set()
    for size in model.sizes:
        for seconds in model.seconds:
            width, height = parse_size(size)
            token = f"video_{size}_{seconds}"
            ref = await bench.provider.submit(request_for(bench, token, width=width, height=height, seconds=seconds))
            pairs.add(tuple(bench.sent(ref)[name] for name in ("aspect_ratio", "resolution", "duration")))
    assert len(pairs) == len(model.sizes) * len(model.seconds) == 28


async def test_the_output_is_encrypted_with_the_accounts_key(api: BedrockApi, s3_client: Any, s3_bucket: str) -> None:
    key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    provider = build_videos(account(api.url, api.url, s3_bucket, s3_encryption_key_id=key))
    bench = BedrockBench(api, provider, s3_client, s3_bucket)
    ref = await provider.submit(request_for(bench))
    config = api.jobs[_job(ref).arn]["outputDataConfig"]["s3OutputDataConfig"]
    assert config["kmsKeyId"] == key
    await provider.close()


async def test_a_token_with_other_parameters_is_no_verdict(bench: BedrockBench) -> None:
    await bench.provider.submit(request_for(bench, "video_same"))
    with pytest.raises(FateUnknown):
        await bench.provider.submit(request_for(bench, "video_same", prompt="another"))


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "failure"),
    [
        (429, "ThrottlingException", "slow", ProviderBusy, None),
        (400, "ServiceQuotaExceededException", "quota", ProviderBusy, None),
        (403, "AccessDeniedException", "no", SubmitRefused, ("gateway", "provider_credentials_refused")),
        (403, "ExpiredTokenException", "old", SubmitRefused, ("gateway", "provider_credentials_refused")),
        (400, "ValidationException", "bad", SubmitRefused, ("input", "provider_rejected_request")),
        (
            400,
            "ValidationException",
            "This request has been blocked by our content filters.",
            SubmitRefused,
            ("input", "content_policy_violation"),
        ),
        (404, "ResourceNotFoundException", "no model", SubmitRefused, ("provider", "provider_not_found")),
        (500, "InternalServerException", "oh", FateUnknown, None),
        (503, "ServiceUnavailableException", "oh", FateUnknown, None),
    ],
)
async def test_what_bedrock_refuses(
    bench: BedrockBench, status: int, code: str, message: str, kind: type[Exception], failure: tuple[str, str] | None
) -> None:
    assert isinstance(bench.provider, BedrockVideos)
    with Stubber(bench.provider._runtime._opened()) as stub:
        stub.add_client_error("start_async_invoke", code, message, http_status_code=status)
        with pytest.raises(kind) as failed:
            await bench.provider.submit(request_for(bench))
    if isinstance(failed.value, SubmitRefused):
        assert (failed.value.failure.stage, failed.value.failure.code) == failure
    assert "S3" not in str(failed.value)


@pytest.mark.parametrize(
    ("answer", "state", "failure"),
    [
        ({"status": "InProgress"}, JobState.RENDERING, None),
        ({"status": "Completed", "endTime": "2026-11-21T10:01:00Z"}, JobState.SUCCEEDED, None),
        (
            {"status": "Failed", "failureMessage": "Internal error at ip-10-0-0-7"},
            JobState.FAILED,
            (FailureStage.PROVIDER, "provider_failed", None),
        ),
        ({"status": "Failed"}, JobState.FAILED, (FailureStage.PROVIDER, "provider_failed", None)),
        (
            {"status": "Failed", "failureMessage": "The prompt was blocked by content moderation."},
            JobState.FAILED,
            (FailureStage.INPUT, "content_policy_violation", "prompt"),
        ),
        (
            {"status": "Failed", "failureMessage": "The image violates our content policy."},
            JobState.FAILED,
            (FailureStage.INPUT, "content_policy_violation", "input_reference"),
        ),
        (
            {"status": "Failed", "failureMessage": "This generated video has been blocked by our content filters."},
            JobState.FAILED,
            (FailureStage.OUTPUT, "content_policy_violation", None),
        ),
    ],
)
async def test_answers_that_the_sdks_model_allows(
    bench: BedrockBench, answer: Mapping[str, Any], state: JobState, failure: Any
) -> None:
    """The stubber holds both the call and the answer against botocore's model."""
    assert isinstance(bench.provider, BedrockVideos)
    whole = {
        "invocationArn": ARN,
        "modelArn": f"arn:aws:bedrock:us-west-2::foundation-model/{MODEL}",
        "submitTime": "2026-11-21T10:00:00Z",
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/p/"}},
        **answer,
    }
    with Stubber(bench.provider._runtime._opened()) as stub:
        stub.add_response("get_async_invoke", whole, {"invocationArn": ARN})
        status = await bench.provider.poll(f"{ARN},s3://bucket/p/")
        stub.assert_no_pending_responses()
    assert status.state is state
    found = status.failure and (status.failure.stage, status.failure.code, status.failure.field)
    assert found == failure
    assert not status.failure or "10-0-0-7" not in status.failure.message


async def test_what_a_job_leaves_is_removed_with_it(bench: BedrockBench) -> None:
    ref, other = await finished(bench), await finished(bench, "video_0002")
    folder = f"mediagate/videos/video_0001/{_job(ref).output.key.split('/')[-2]}"
    bench.s3.put_object(Bucket=bench.bucket, Key=f"{folder}/manifest.json", Body=b"{}")
    await bench.provider.delete(ref)
    left = [record["Key"] for record in bench.s3.list_objects_v2(Bucket=bench.bucket)["Contents"]]
    assert left == [_job(other).output.key]


async def test_a_head_has_a_signature_of_its_own(bench: BedrockBench) -> None:
    ref = await finished(bench)
    assert isinstance(bench.provider, BedrockVideos)
    origin = await bench.provider.origin(ref, method="HEAD")
    async with httpx.AsyncClient(verify=ssl.create_default_context()) as plain:
        answer = await plain.head(origin.url, headers=origin.headers)
    assert (answer.status_code, int(answer.headers["content-length"])) == (200, len(VIDEO))
    assert SECRET_KEY not in origin.url


async def test_a_bedrock_api_key_signs_the_calls(s3_bucket: str) -> None:
    sent = []

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield b'{"invocationArn": "%s"}' % ARN.encode()

    def before_send(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {"content-type": "application/json"}, Raw())

    options = {"aws_region_name": "us-west-2"}
    provider = build_videos(Account("b", "bedrock", api_key="ABSK-key", bucket_name=s3_bucket, options=options))
    assert isinstance(provider, BedrockVideos)
    provider._runtime._opened().meta.events.register("before-send.bedrock-runtime", before_send)
    bench = BedrockBench(BedrockApi(""), provider, None, s3_bucket)
    assert (await provider.submit(request_for(bench))).startswith(ARN)
    assert sent[0].url == "https://bedrock-runtime.us-west-2.amazonaws.com/async-invoke"
    assert sent[0].headers["authorization"] in (b"Bearer ABSK-key", "Bearer ABSK-key")
    await provider.close()


async def test_an_api_key_is_not_sent_in_the_clear(api: BedrockApi, s3_bucket: str) -> None:
    options = {"aws_bedrock_runtime_endpoint": api.url, "aws_region_name": "us-west-2"}
    made = Account("b", "bedrock", api_key="ABSK-key", bucket_name=s3_bucket, options=options)
    provider = build_videos(made)
    with pytest.raises(SubmitRefused) as refused:
        await provider.submit(request_for(BedrockBench(api, provider, None, s3_bucket)))
    assert refused.value.failure.stage is FailureStage.GATEWAY
    assert not api.asked
    await provider.close()
    assert "ABSK" not in f"{runtime_of(made)} {made}"


@pytest.mark.parametrize(
    ("members", "endpoint"),
    [
        ({}, None),
        (
            {"api_base": "https://bedrock-runtime.us-west-2.amazonaws.com"},
            "https://bedrock-runtime.us-west-2.amazonaws.com",
        ),
        ({"api_base": "https://s3.example"}, None),
        ({"options": {"aws_bedrock_runtime_endpoint": "https://vpce.example"}}, "https://vpce.example"),
        (
            {"environ": {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://b:1", "AWS_ENDPOINT_URL": "http://a:1"}},
            "http://b:1",
        ),
        ({"environ": {"AWS_ENDPOINT_URL": "http://a:1"}}, "http://a:1"),
    ],
)
def test_where_the_models_are(members: dict[str, Any], endpoint: str | None) -> None:
    assert runtime_of(Account("b", "bedrock", bucket_name="b", **members)).endpoint == endpoint


def test_what_an_account_lacks() -> None:
    with pytest.raises(ValueError, match="bucket_name"):
        build_videos(Account("b", "bedrock"))
    with pytest.raises(ValueError, match="aws_bedrock_runtime_endpoint"):
        build_videos(Account("b", "bedrock", bucket_name="b", options={"aws_bedrock_runtime_endpoint": "here"}))


def test_nova_reel_is_gone() -> None:
    assert video_spec("bedrock").shut_down["amazon.nova-reel-v1:1"] == "2026-09-30"


@pytest.fixture(scope="module")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where ministack plays S3 and Bedrock."""
    with ministack_server(tmp_path_factory.mktemp("ministack")) as url:
        yield url


async def test_a_video_at_a_server_of_another_hand(ministack_url: str) -> None:
    # Its root key. It checks the signatures of presigned URLs.
    root = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    provider = build_videos(account(ministack_url, ministack_url, "videos", **root))
    assert isinstance(provider, BedrockVideos)
    bucket = await provider._s3.run(
        lambda client: client.create_bucket(
            Bucket="videos", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
        )
    )
    assert bucket["ResponseMetadata"]["HTTPStatusCode"] == 200
    bench = BedrockBench(BedrockApi(ministack_url), provider, None, "videos")
    ref = await provider.submit(request_for(bench, image=media(PNG, "image/png")))
    assert (await provider.poll(ref)).state is JobState.SUCCEEDED
    with pytest.raises(FileNotFoundError):
        await provider.open(ref, VideoVariant.VIDEO)
    await provider._s3.call("put_object", **_job(ref).output.params, Body=VIDEO)
    content = await provider.open(ref, VideoVariant.VIDEO)
    assert (content.size_bytes, content.content_type) == (len(VIDEO), "video/mp4")
    assert await read(content) == VIDEO
    origin = await provider.origin(ref, method="GET")
    async with httpx.AsyncClient(verify=ssl.create_default_context()) as plain:
        answer = await plain.get(origin.url, headers={"range": "bytes=7-99"})
    assert answer.status_code == 206, answer.text
    assert answer.content == VIDEO[7:100]
    with pytest.raises(FateUnknown):
        await provider.poll(f"{ARN},s3://videos/p/")
    await provider.delete(ref)
    with pytest.raises(FileNotFoundError):
        await provider.open(ref, VideoVariant.VIDEO)
    await provider.close()

"""Videos of Bedrock's models: asynchronous invocations, whose output Bedrock writes into the account's bucket."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mediagate.core.errors import InvalidRequest, MediagateError
from mediagate.core.sizes import aspect_ratio, resolution
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, reading
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    FateUnknown,
    InputBusy,
    JobState,
    JobStatus,
    MediaInput,
    SubmitRefused,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.files import BedrockFiles
from mediagate.providers.bedrock.names import Place, place_of
from mediagate.providers.bedrock.runtime import BedrockRuntime, RuntimePlace, runtime_of
from mediagate.providers.bedrock.settings import Settings, settings_of
from mediagate.providers.bedrock.spec import VIDEOS
from mediagate.providers.bedrock.uploads import objects_under
from mediagate.providers.files import Origin
from mediagate.providers.media_body import merged
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_calls import VIDEO_TYPE, asking, submitting
from mediagate.providers.video_refusals import blocked, is_about_content

STATES: Final[Mapping[str, JobState]] = {
    "InProgress": JobState.RENDERING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
}
FOLDER: Final = "videos"
OUTPUT: Final = "output.mp4"
_ARN: Final = re.compile(r"arn:aws(?:-[^:,]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:async-invoke/(?P<id>[a-z0-9]{1,64})")
_ABOUT_OUTPUT: Final = re.compile(r"generated|output", re.IGNORECASE)
_ABOUT_IMAGE: Final = re.compile(r"image|frame", re.IGNORECASE)
_OPERATIONS: Final = {"GET": "get_object", "HEAD": "head_object"}


@dataclass(frozen=True, slots=True)
class _Job:
    """A `ref` taken apart: the invocation's ARN and the `s3Uri` that it was given, with a comma between. What was made
    is found from it without asking Bedrock, which forgets old invocations."""

    arn: str
    s3_uri: str

    @property
    def ref(self) -> str:
        return f"{self.arn},{self.s3_uri}"

    @property
    def folder(self) -> Place:
        """Where everything of this job lies."""
        return place_of(self.s3_uri)

    @property
    def output(self) -> Place:
        """The video."""
        folder, match = self.folder, _ARN.fullmatch(self.arn)
        assert match is not None
        return Place(folder.bucket, f"{folder.key}{match['id']}/{OUTPUT}")


class BedrockVideos:
    """One account's videos, below `prefix/videos/` of its bucket."""

    spec = VIDEOS

    def __init__(self, settings: Settings, place: RuntimePlace) -> None:
        self._settings = settings
        self._runtime = BedrockRuntime(settings, place)
        self._s3 = S3Client(settings)
        self._files = BedrockFiles(settings, s3=self._s3)

    async def submit(self, request: VideoRequest) -> str:
        """Start the invocation; two with one token are one."""
        members = merged(await _members(request), request.extra)
        return await submitting(self._started(request, members))

    async def _started(self, request: VideoRequest, members: Tree) -> str:
        s3_uri = f"s3://{self._settings.bucket}/{self._settings.prefix}/{FOLDER}/{request.token}/"
        key = {"kmsKeyId": self._settings.kms_key_id} if self._settings.kms_key_id else {}
        try:
            answer = await self._runtime.call(
                "start_async_invoke",
                clientRequestToken=request.token,
                modelId=request.model,
                modelInput=members,
                outputDataConfig={"s3OutputDataConfig": {"s3Uri": s3_uri, **key}},
            )
        except InvalidRequest as error:
            raise SubmitRefused(_rejected(error.message)) from error
        with reading(self.spec.title):
            job = _job(f"{answer['invocationArn']},{s3_uri}")
        return job.ref

    async def poll(self, ref: str) -> JobStatus:
        """Ask once."""
        return await asking(self._asked(ref))

    async def _asked(self, ref: str) -> JobStatus:
        answer = await self._runtime.call("get_async_invoke", invocationArn=_job(ref).arn)
        with reading(self.spec.title):
            state = STATES.get(answer["status"])
            said = str(answer.get("failureMessage") or "")
        if state is None:
            raise FateUnknown("Amazon Bedrock gives a state that is not known")
        return JobStatus(state, failure=_failure(said) if state is JobState.FAILED else None)

    async def cancel(self, ref: str) -> bool:
        """False: Bedrock cannot stop an invocation."""
        return False

    async def delete(self, ref: str) -> None:
        """Remove what the job has made. What a running one makes afterwards stays."""
        with suppress(FileNotFoundError):
            folder = _job(ref).folder
            async for record in objects_under(self._s3, folder.bucket, folder.key):
                await self._s3.call("delete_object", **Place(folder.bucket, record["Key"]).params)

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The video in the bucket. Raises `FileNotFoundError` where it is not there, and for pictures."""
        if variant is not VideoVariant.VIDEO:
            raise FileNotFoundError("Bedrock makes no pictures of a video")
        content = await self._files.open(_job(ref).output.ref)
        if not content.content_type.startswith("video/"):
            content.content_type = VIDEO_TYPE
        return content

    async def origin(self, ref: str, *, method: str) -> Origin:
        """A URL with a signature of its own. Made without a request, so the object may be gone."""
        return Origin(await self._s3.presigned(_OPERATIONS[method], _job(ref).output.params, method))

    async def close(self) -> None:
        """Wait for the calls that run, then close connections."""
        await self._runtime.close()
        await self._s3.close()


def build(account: Account) -> BedrockVideos:
    """The account's videos. Raises `ValueError` with a sentence for an account that lacks what it needs."""
    return BedrockVideos(settings_of(account), runtime_of(account))


def _job(ref: str) -> _Job:
    arn, _, s3_uri = ref.partition(",")
    if not _ARN.fullmatch(arn) or not s3_uri.startswith("s3://") or not s3_uri.endswith("/"):
        raise FileNotFoundError("not a job of Bedrock")
    return _Job(arn, s3_uri)


async def _members(request: VideoRequest) -> Tree:
    """Luma's `modelInput`."""
    members: Tree = {
        "prompt": request.prompt,
        "aspect_ratio": aspect_ratio(request.width, request.height),
        "duration": f"{request.seconds}s",
        "resolution": resolution(request.width, request.height),
    }
    if request.image is not None:
        members["keyframes"] = {"frame0": await _frame(request.image)}
    return members


async def _frame(image: MediaInput) -> dict[str, Any]:
    # The SDK signs the body as one text, so the image is held here.
    data = bytearray()
    try:
        async for chunk in image.open():
            data += chunk
    except (OSError, MediagateError) as error:
        raise InputBusy("An input of the video cannot be read at the moment.") from error
    if len(data) != image.size_bytes:
        message = "An input of the video is not as long as it was."
        raise SubmitRefused(Failure(FailureStage.INPUT, "input_changed", message, retryable=True))
    source = {"type": "base64", "media_type": image.content_type, "data": base64.b64encode(data).decode()}
    return {"type": "image", "source": source}


def _rejected(said: str) -> Failure:
    if is_about_content(said):
        return blocked(FailureStage.INPUT, field=_field(said))
    message = safe_words(said) or f"{VIDEOS.title} does not take this request."
    return Failure(FailureStage.INPUT, "provider_rejected_request", message, retryable=False)


def _failure(said: str) -> Failure:
    """What `failureMessage` means: a sentence, beside which there is no code."""
    if is_about_content(said):
        if _ABOUT_OUTPUT.search(said):
            return blocked(FailureStage.OUTPUT)
        return blocked(FailureStage.INPUT, field=_field(said))
    message = "Amazon Bedrock failed to make the video. Try again."
    return Failure(FailureStage.PROVIDER, "provider_failed", message, retryable=True)


def _field(said: str) -> str:
    return "input_reference" if _ABOUT_IMAGE.search(said) else "prompt"

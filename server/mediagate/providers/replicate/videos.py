"""Videos of the models at Replicate: a prediction that is asked for until it ends; its output lives for an hour."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from mediagate.core.errors import ContentPolicyViolation
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_rfc3339, matched, reading
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    MediaInput,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoRequest,
)
from mediagate.providers.http import ProviderHttp
from mediagate.providers.input_schema import InputSchema, Schemas, media_name, members_of, place, schema_of
from mediagate.providers.linked_videos import LinkedVideos
from mediagate.providers.media_body import FormBody, JsonBody, merged
from mediagate.providers.media_hosts import MISPLACED, MediaHosts
from mediagate.providers.replicate.failures import cancelled, explain, failure_of, out_of_time
from mediagate.providers.replicate.spec import VIDEOS
from mediagate.providers.settings import key_of, root_of, silence_of
from mediagate.providers.video_calls import asking, submitting
from mediagate.providers.video_refusals import blocked, no_video

STATES: Final[Mapping[str, JobState]] = {
    "starting": JobState.QUEUED,
    "processing": JobState.RENDERING,
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELLED,
    "aborted": JobState.FAILED,
}
IMAGE_NAMES: Final = (
    "image",
    "start_image",
    "first_frame_image",
    "first_frame",
    "input_image",
    "image_url",
    "reference_image",
    "images",
    "input_images",
    "reference_images",
)
VIDEO_NAMES: Final = ("video", "input_video", "source_video", "video_url", "reference_video", "reference_videos")
# What the API asks to be sent inside the request, because it keeps no copy of it.
DATA_URI_BYTES_MAX: Final = 256 * 1024
FILE_BYTES_MAX: Final = 100 * 1024 * 1024
# The API's documented places of outputs.
MEDIA_HOSTS: Final = ("replicate.delivery", ".replicate.delivery")
# A cancel is carried out behind the answer.
CANCEL_CHECKS: Final = 3
CANCEL_CHECK_S: Final = 1.0

_NAME: Final = r"[A-Za-z0-9](?:[\w.-]*\w)?"
_OFFICIAL: Final = re.compile(rf"({_NAME})/({_NAME})", re.ASCII)
_VERSIONED: Final = re.compile(rf"(?:({_NAME})/({_NAME}):)?([0-9a-f]{{64}})", re.ASCII)
_DEPLOYMENT: Final = re.compile(rf"deployments/({_NAME})/({_NAME})", re.ASCII)
_REF: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class ReplicateVideos(LinkedVideos):
    """One account's predictions. A `ref` is the prediction's id."""

    spec = VIDEOS

    def __init__(self, http: ProviderHttp, hosts: MediaHosts) -> None:
        super().__init__(http, hosts)
        self._schemas = Schemas(self._schema)

    async def submit(self, request: VideoRequest) -> str:
        """Start the prediction; sent once, because the API has no token that would tell two submits from one."""
        path, version = _place(request.model)
        schema = await self._schemas.of(request.model)
        body = JsonBody()
        members: Tree = {"input": await self._input(request, schema, body), **version}
        # Any other address would refuse the whole request.
        if request.callback_url is not None and request.callback_url.startswith("https://"):
            members |= {"webhook": request.callback_url, "webhook_events_filter": ["completed"]}
        body.tree = merged(members, request.extra)
        return await submitting(self._started(path, body))

    async def _started(self, path: str, body: JsonBody) -> str:
        # Past our own deadline nobody would fetch the video, and a prediction that has not started then is free.
        headers = {"cancel-after": f"{self.spec.deadline_s / 60:.0f}m"}
        try:
            answer = await body.send(self._http, path, headers=headers)
        except ContentPolicyViolation as error:
            raise SubmitRefused(blocked(FailureStage.INPUT)) from error
        with reading(self.spec.title):
            return matched(_REF, answer["id"])

    async def _input(self, request: VideoRequest, schema: InputSchema | None, body: JsonBody) -> Tree:
        members = members_of(request, schema)
        # Before anything is uploaded, what the model does not take is refused.
        if request.image is not None:
            media_name(IMAGE_NAMES, schema, "input_reference")
        if request.kind is not VideoKind.CREATE:
            media_name(VIDEO_NAMES, schema, "video")
            source = await self.source(request)
            uri = source if isinstance(source, str) else await self._uri(source, body, "video")
            place(members, VIDEO_NAMES, uri, schema)
        if request.image is not None:
            place(members, IMAGE_NAMES, await self._uri(request.image, body, "input_reference"), schema)
        return members

    async def _uri(self, media: MediaInput, body: JsonBody, about: str) -> str:
        """What a request names `media` by. Raises as a submit that started nothing."""
        if media.size_bytes <= DATA_URI_BYTES_MAX:
            return body.data_uri(media)
        if media.size_bytes > FILE_BYTES_MAX:
            too_large = "Replicate takes files of up to 100 MB."
            raise SubmitRefused(Failure(FailureStage.INPUT, "input_too_large", too_large, retryable=False, field=about))
        try:
            return await submitting(self._uploaded(media))
        except FateUnknown as error:
            # Nobody has asked for a video yet: what became of the upload is of no consequence.
            raise ProviderBusy(str(error)) from error

    async def _uploaded(self, media: MediaInput) -> str:
        answer = await FormBody({}, file_field="content", media=media).send(self._http, "/v1/files")
        with reading(self.spec.title):
            return str(answer["urls"]["get"])

    async def _schema(self, model: str) -> InputSchema:
        owner, name, version = _owner_name_version(model)
        path = f"/v1/models/{owner}/{name}"
        if version:
            tree = await self._http.json("GET", f"{path}/versions/{version}", repeatable=False)
        else:
            tree = (await self._http.json("GET", path, repeatable=False))["latest_version"]
        schemas = tree["openapi_schema"]["components"]["schemas"]
        return schema_of(schemas["Input"], schemas)

    async def poll(self, ref: str) -> JobStatus:
        """Ask once."""
        return await asking(self._asked(ref))

    async def _asked(self, ref: str) -> JobStatus:
        tree = await self._http.json("GET", _path(ref), repeatable=False)
        with reading(self.spec.title):
            return _status(tree, self._hosts)

    async def link(self, ref: str) -> str:
        """The link that the prediction has now; none where its data was removed, which it is after an hour."""
        tree = await self._http.json("GET", _path(ref))
        with reading(self.spec.title):
            url = _output(tree.get("output"))
        if url is None or not self._hosts.has(url):
            raise FileNotFoundError("Replicate has no output of this prediction")
        return url

    async def cancel(self, ref: str) -> bool:
        """Ask for it, and look for some seconds whether it ends."""
        return await asking(self._cancelled(ref))

    async def _cancelled(self, ref: str) -> bool:
        tree = await self._http.json("POST", f"{_path(ref)}/cancel", repeatable=False)
        for _ in range(CANCEL_CHECKS):
            if STATES.get(str(tree["status"])) not in (JobState.QUEUED, JobState.RENDERING):
                break
            await asyncio.sleep(CANCEL_CHECK_S)
            tree = await self._http.json("GET", _path(ref), repeatable=False)
        return tree["status"] in ("canceled", "aborted")

    async def delete(self, ref: str) -> None:
        """Nothing: the API cannot remove a prediction, whose data is gone after an hour."""
        self.forget(ref)


def build(account: Account) -> ReplicateVideos:
    """The account's videos. Raises `ValueError` for an account without a key."""
    key = key_of(account, "REPLICATE_API_TOKEN")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "REPLICATE_BASE_URL", "https://api.replicate.com")
    return ReplicateVideos(
        ProviderHttp(VIDEOS.title, root, headers, silence_s=silence_of(account), explain=explain),
        MediaHosts(account, *MEDIA_HOSTS),
    )


def _place(model: str) -> tuple[str, Tree]:
    """Where a prediction of this model is started, and the member that names its version. Raises `SubmitRefused`."""
    if match := _DEPLOYMENT.fullmatch(model):
        return f"/v1/deployments/{match[1]}/{match[2]}/predictions", {}
    if match := _VERSIONED.fullmatch(model):
        return "/v1/predictions", {"version": match[3]}
    if match := _OFFICIAL.fullmatch(model):
        return f"/v1/models/{match[1]}/{match[2]}/predictions", {}
    raise SubmitRefused(
        Failure(
            FailureStage.INPUT,
            "invalid_model",
            "A model of Replicate's is written owner/name, owner/name:version or deployments/owner/name.",
            retryable=False,
            field="model",
        )
    )


def _owner_name_version(model: str) -> tuple[str, str, str]:
    if _DEPLOYMENT.fullmatch(model):
        raise LookupError(model)
    name, _, version = model.partition(":")
    owner, _, short = name.partition("/")
    if not short:
        raise LookupError(model)
    return owner, short, version


def _path(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise FileNotFoundError("no such prediction")
    return f"/v1/predictions/{ref}"


def _status(tree: Tree, hosts: MediaHosts) -> JobStatus:
    word = tree["status"]
    state = STATES.get(word)
    if state is None:
        raise FateUnknown("Replicate gives a state that is not known")
    failure = _failure(tree, word, state, hosts)
    if state is JobState.SUCCEEDED and failure is not None:
        state = JobState.FAILED
    ended = at_rfc3339(tree.get("completed_at")) if state is JobState.SUCCEEDED else None
    return JobStatus(state, failure=failure, expires_at=_gone_at(ended))


def _failure(tree: Tree, word: str, state: JobState, hosts: MediaHosts) -> Failure | None:
    said = tree.get("error")
    if word == "aborted":
        return out_of_time()
    if state is JobState.CANCELLED:
        return cancelled(started=bool(tree.get("started_at")))
    if state is JobState.FAILED or (state is JobState.SUCCEEDED and said):
        return failure_of(str(said or ""))
    if state is not JobState.SUCCEEDED or tree.get("data_removed"):
        return None
    url = _output(tree.get("output"))
    if url is None:
        return no_video()
    return None if hosts.has(url) else MISPLACED


def _gone_at(ended: datetime | None) -> datetime | None:
    life_s = VIDEOS.output_life_s
    return None if ended is None or life_s is None else ended + timedelta(seconds=life_s)


def _output(output: Any) -> str | None:
    """The link in an output: a text, the first of a list, or a member of an object."""
    if isinstance(output, list):
        output = output[0] if output else None
    if isinstance(output, Mapping):
        output = next((output[name] for name in ("video", "output", "url") if output.get(name)), None)
    return output if isinstance(output, str) and output else None

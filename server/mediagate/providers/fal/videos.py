"""Videos of the models at fal, through its queue: a request that waits, runs and ends with the model's own answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from mediagate.core.errors import InvalidRequest, MediagateError
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, reading
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    MediaInput,
    SubmitRefused,
    VideoKind,
    VideoRequest,
)
from mediagate.providers.fal.failures import CANCELLED, PLATFORM, Broke, Refused, explain, told
from mediagate.providers.fal.spec import VIDEOS
from mediagate.providers.fal.uploads import uploaded
from mediagate.providers.http import ProviderHttp, json_of
from mediagate.providers.input_schema import InputSchema, Schemas, media_name, members_of, place, schema_of
from mediagate.providers.linked_videos import LinkedVideos
from mediagate.providers.media_body import merged
from mediagate.providers.media_hosts import MISPLACED, MediaHosts
from mediagate.providers.settings import key_of, silence_of
from mediagate.providers.video_calls import asking, submitting
from mediagate.providers.video_refusals import no_video

QUEUE: Final = "https://queue.fal.run"
STORAGE: Final = "https://rest.fal.ai"
PLATFORM_API: Final = "https://api.fal.ai"
STATES: Final[Mapping[str, JobState]] = {
    "IN_QUEUE": JobState.QUEUED,
    "IN_PROGRESS": JobState.RENDERING,
    "COMPLETED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "CANCELED": JobState.CANCELLED,
}
IMAGE_NAMES: Final = (
    "image_url",
    "start_image_url",
    "first_frame_url",
    "first_frame_image_url",
    "input_image_url",
    "image_urls",
    "reference_image_urls",
    "reference_image_url",
)
VIDEO_NAMES: Final = ("video_url", "input_video_url", "source_video_url", "video_urls", "reference_video_urls")
# The CDN of the platform.
MEDIA_HOSTS: Final = ("fal.media", ".fal.media")
# A cancel is carried out behind the answer.
CANCEL_CHECKS: Final = 3
CANCEL_CHECK_S: Final = 1.0
# Ids of the platform's own that stand before owner and app.
NAMESPACES: Final = ("workflows", "comfy")

_PART: Final = r"[A-Za-z0-9_](?:[\w.-]*\w)?"
_MODEL: Final = re.compile(rf"{_PART}(?:/{_PART})+", re.ASCII)
_REQUEST: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_REF: Final = re.compile(rf"(?:(?:{'|'.join(NAMESPACES)})/)?{_PART}/{_PART}/requests/{_REQUEST.pattern}", re.ASCII)


class FalVideos(LinkedVideos):
    """One account's requests. A `ref` is the path of a request in the queue: `OWNER/APP/requests/ID`."""

    spec = VIDEOS

    def __init__(self, queue: ProviderHttp, storage: ProviderHttp, platform: ProviderHttp, hosts: MediaHosts) -> None:
        super().__init__(queue, hosts)
        self._storage = storage
        self._platform = platform
        self._schemas = Schemas(self._schema)

    async def submit(self, request: VideoRequest) -> str:
        """Start the request; sent once, because the queue has no token that would tell two submits from one."""
        if not _MODEL.fullmatch(request.model):
            raise SubmitRefused(
                Failure(
                    FailureStage.INPUT,
                    "invalid_model",
                    "A model of fal's is written owner/app, with its path behind.",
                    retryable=False,
                    field="model",
                )
            )
        body = merged(await self._input(request, await self._schemas.of(request.model)), request.extra)
        return await submitting(self._started(request, body))

    async def _started(self, request: VideoRequest, body: Tree) -> str:
        calls_back = request.callback_url is not None and request.callback_url.startswith("https://")
        params = {"fal_webhook": request.callback_url} if calls_back else {}
        # Past our own deadline nobody would fetch the video, and a request that has not started then is free.
        headers = {"x-fal-request-timeout": f"{self.spec.deadline_s:.0f}"}
        try:
            answer = await self._http.json(
                "POST", f"/{request.model}", repeatable=False, json=body, params=params, headers=headers
            )
        except Refused as error:
            raise SubmitRefused(error.failure) from error
        with reading(self.spec.title):
            return _ref(answer, request.model)

    async def _input(self, request: VideoRequest, schema: InputSchema | None) -> Tree:
        members = members_of(request, schema)
        # Before anything is uploaded, what the model does not take is refused.
        if request.image is not None:
            media_name(IMAGE_NAMES, schema, "input_reference")
        if request.kind is not VideoKind.CREATE:
            media_name(VIDEO_NAMES, schema, "video")
            source = await self.source(request)
            place(members, VIDEO_NAMES, await self._link_of(source), schema)
        if request.image is not None:
            place(members, IMAGE_NAMES, await self._link_of(request.image), schema)
        return members

    async def _link_of(self, source: str | MediaInput) -> str:
        return source if isinstance(source, str) else await uploaded(self._storage, source)

    async def _schema(self, model: str) -> InputSchema:
        answer = await self._platform.json(
            "GET", "/v1/models", repeatable=False, params={"endpoint_id": model, "expand": "openapi-3.0"}
        )
        document = answer["models"][0]["openapi"]
        body = document["paths"][f"/{model}"]["post"]["requestBody"]
        return schema_of(body["content"]["application/json"]["schema"], document["components"]["schemas"])

    async def poll(self, ref: str) -> JobStatus:
        """Ask once. How a request that has ended went is in the model's answer, which is a second request."""
        return await asking(self._asked(ref))

    async def _asked(self, ref: str) -> JobStatus:
        tree = await self._http.json("GET", f"{_path(ref)}/status", repeatable=False)
        with reading(self.spec.title):
            word, position = tree["status"], tree.get("queue_position")
            state = STATES.get(word)
        if state is None:
            raise FateUnknown("fal gives a state that is not known")
        if state in (JobState.SUCCEEDED, JobState.FAILED):
            return await self._ended(ref, state, tree)
        # The queue counts those before it.
        place = position + 1 if state is JobState.QUEUED and isinstance(position, int) else None
        return JobStatus(state, position=place)

    async def _ended(self, ref: str, state: JobState, tree: Tree) -> JobStatus:
        failure = _failure(state, tree)
        try:
            response = await self._http.call("GET", _path(ref), repeatable=False)
        except (Refused, Broke) as error:
            failure = error.failure
        except (MediagateError, OSError):
            # Without the model's answer, only what the queue has said is known.
            if failure is None:
                raise
        else:
            if failure is None and response.status_code == 202:
                return JobStatus(JobState.FINALIZING)
            if failure is None:
                failure = self._missing(_output(json_of(response, self.spec.title)))
        if failure is None:
            return JobStatus(JobState.SUCCEEDED)
        ended = JobState.CANCELLED if failure.code == PLATFORM[CANCELLED].code else JobState.FAILED
        return JobStatus(ended, failure=failure)

    def _missing(self, url: str | None) -> Failure | None:
        if url is None:
            return no_video()
        return None if self._hosts.has(url) else MISPLACED

    async def link(self, ref: str) -> str:
        """The link in the model's answer, which fal keeps for an hour at least."""
        try:
            response = await self._http.call("GET", _path(ref))
        except InvalidRequest:
            raise FileNotFoundError("fal has no video of this request") from None
        url = _output(json_of(response, self.spec.title))
        if url is None or not self._hosts.has(url):
            raise FileNotFoundError("fal has no video of this request")
        return url

    async def cancel(self, ref: str) -> bool:
        """Ask for it. What waits is taken out of the queue; what runs is told to stop, and whether it does is looked
        at for some seconds."""
        return await asking(self._cancelled(ref))

    async def _cancelled(self, ref: str) -> bool:
        try:
            answer = await self._http.json("PUT", f"{_path(ref)}/cancel", repeatable=False)
        except (InvalidRequest, FileNotFoundError):
            # Already completed, or not known any more.
            return False
        if answer["status"] != "CANCELLATION_REQUESTED":
            return bool(answer["status"] == "OK")
        for _ in range(CANCEL_CHECKS):
            try:
                status = await self._http.json("GET", f"{_path(ref)}/status", repeatable=False)
            except FileNotFoundError:
                # It was there when it was cancelled.
                return True
            if STATES.get(str(status["status"])) not in (JobState.QUEUED, JobState.RENDERING):
                return (await self._asked(ref)).state is JobState.CANCELLED
            await asyncio.sleep(CANCEL_CHECK_S)
        return False

    async def delete(self, ref: str) -> None:
        """Nothing: the queue cannot remove a request. Its answer is gone after an hour."""
        self.forget(ref)

    async def close(self) -> None:
        """Close every connection."""
        await super().close()
        for http in (self._storage, self._platform):
            await http.close()


def build(account: Account) -> FalVideos:
    """The account's videos. Raises `ValueError` for an account without a key."""
    key, silence_s = key_of(account, "FAL_KEY"), silence_of(account)

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Key {key}"}

    def at(url: str) -> ProviderHttp:
        return ProviderHttp(VIDEOS.title, url, headers, silence_s=silence_s, explain=explain)

    return FalVideos(
        at(account.api_base or QUEUE),
        at(account.option("fal_storage_base") or STORAGE),
        at(account.option("fal_platform_base") or PLATFORM_API),
        MediaHosts(account, *MEDIA_HOSTS),
    )


def _ref(answer: Tree, model: str) -> str:
    """The path that the answer gives, which leaves out the model's own path; else what it is by the rule."""
    request_id = answer["request_id"]
    if not isinstance(request_id, str) or not _REQUEST.fullmatch(request_id):
        raise ValueError(request_id)
    given = urlsplit(str(answer.get("response_url") or "")).path.strip("/")
    if _REF.fullmatch(given) and given.endswith(f"/{request_id}"):
        return given
    parts = model.split("/")
    return "/".join([*parts[: 3 if parts[0] in NAMESPACES else 2], "requests", request_id])


def _path(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise FileNotFoundError("no such request")
    return f"/{ref}"


def _failure(state: JobState, tree: Tree) -> Failure | None:
    """What the queue itself says of an end, less than the model's answer does."""
    if state is JobState.SUCCEEDED and not tree.get("error") and not tree.get("error_type"):
        return None
    return told({"error_type": tree.get("error_type") or "internal_error"}, httpx.Headers())


def _output(answer: Tree) -> str | None:
    """The link to the video, in the shapes that models answer with."""
    found: Any = next((answer[name] for name in ("video", "videos", "video_url", "output") if answer.get(name)), None)
    if isinstance(found, list):
        found = found[0]
    if isinstance(found, Mapping):
        found = found.get("url")
    return found if isinstance(found, str) and found else None

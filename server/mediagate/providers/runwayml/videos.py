"""Videos of the models behind Runway's API: one task per video, and links to its output that are given anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mediagate.core.errors import ContentPolicyViolation
from mediagate.core.sizes import aspect_ratio
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, matched, reading, text_in
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    SubmitRefused,
    VideoKind,
    VideoRequest,
)
from mediagate.providers.http import ProviderHttp, json_of
from mediagate.providers.http_failures import pause_of
from mediagate.providers.linked_videos import LinkedVideos
from mediagate.providers.media_body import JsonBody, merged
from mediagate.providers.media_hosts import PublicHosts
from mediagate.providers.runwayml.failures import explain, failure_of
from mediagate.providers.runwayml.models import MODELS, UNKNOWN, Endpoint, Shape
from mediagate.providers.runwayml.spec import VIDEOS
from mediagate.providers.runwayml.uploads import uri_of
from mediagate.providers.settings import key_of, root_of, silence_of
from mediagate.providers.video_calls import asking, submitting
from mediagate.providers.video_refusals import blocked, no_video

VERSION: Final = "2024-11-06"
STATES: Final[Mapping[str, JobState]] = {
    "PENDING": JobState.QUEUED,
    # Accepted, and held until the account has fewer tasks that run.
    "THROTTLED": JobState.QUEUED,
    "RUNNING": JobState.RENDERING,
    "SUCCEEDED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
RUNNING: Final = (JobState.QUEUED, JobState.RENDERING)
USD_PER_CREDIT: Final = 0.01
_REF: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class RunwayVideos(LinkedVideos):
    """One organization's videos. A `ref` is the id of a task."""

    spec = VIDEOS

    async def submit(self, request: VideoRequest) -> str:
        """Start the task; sent once, because the API has no token that would tell two submits from one. Large inputs
        are uploaded before. Raises `SubmitRefused` also for a size that the model makes, but not from such an input."""
        body = JsonBody()
        path, members = await self._members(request, body)
        body.tree = merged(members, request.extra)
        return await submitting(self._started(path, body))

    async def _started(self, path: str, body: JsonBody) -> str:
        try:
            answer = await body.send(self._http, path)
        except ContentPolicyViolation as error:
            raise SubmitRefused(blocked(FailureStage.INPUT, field=error.param)) from error
        with reading(self.spec.title):
            return matched(_REF, answer["id"])

    async def _members(self, request: VideoRequest, body: JsonBody) -> tuple[str, Tree]:
        model = MODELS.get(request.model, UNKNOWN)
        members: Tree = {"model": request.model, "promptText": request.prompt}
        if request.kind is not VideoKind.CREATE:
            endpoint = _has(model.video, "video")
            source = await self.source(request)
            if not isinstance(source, str):
                source = await uri_of(self._http, source, body)
            members[endpoint.video] = source
            return "/v1/video_to_video", {**members, **_changed(endpoint, request), **_sound(endpoint, request)}
        if request.image is not None:
            endpoint = _has(model.image, "input_reference")
            shape = _shape(endpoint, request)
            members["promptImage"] = await uri_of(self._http, request.image, body)
            return "/v1/image_to_video", {**members, **shape, **_length(endpoint, request), **_sound(endpoint, request)}
        endpoint = _has(model.text, "input_reference")
        shape = _shape(endpoint, request)
        return "/v1/text_to_video", {**members, **shape, **_length(endpoint, request), **_sound(endpoint, request)}

    async def poll(self, ref: str) -> JobStatus:
        """Ask once."""
        return await asking(self._asked(ref))

    async def _asked(self, ref: str) -> JobStatus:
        response = await self._http.call("GET", _path(ref), repeatable=False)
        tree = json_of(response, self.spec.title)
        with reading(self.spec.title):
            return _status(tree, pause_of(response.headers.get("retry-after")))

    async def link(self, ref: str) -> str:
        """The first link that the task has now; each lives for one or two days."""
        tree = await self._http.json("GET", _path(ref))
        with reading(self.spec.title):
            links = tree.get("output") or []
            if not links:
                raise FileNotFoundError("Runway has no output of this task")
            return text_in(links[0])

    async def cancel(self, ref: str) -> bool:
        """Stop the task. The same call deletes a task that has ended, so it is looked at before."""
        return await asking(self._stopped(ref))

    async def _stopped(self, ref: str) -> bool:
        if (await self._asked(ref)).state not in RUNNING:
            return False
        await self._http.call("DELETE", _path(ref))
        return True

    async def delete(self, ref: str) -> None:
        """Remove the task and its output; a task that runs is stopped."""
        self.forget(ref)
        try:
            await self._http.call("DELETE", _path(ref))
        except FileNotFoundError:
            return


def build(account: Account) -> RunwayVideos:
    """The account's videos. Raises `ValueError` for an account without a key."""
    key = key_of(account, "RUNWAYML_API_SECRET", "RUNWAY_API_SECRET")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}", "x-runway-version": account.api_version or VERSION}

    root = root_of(account, "RUNWAYML_BASE_URL", "https://api.dev.runwayml.com")
    http = ProviderHttp(VIDEOS.title, root, headers, silence_s=silence_of(account), explain=explain)
    return RunwayVideos(http, PublicHosts(account))


def _has(endpoint: Endpoint | None, field: str) -> Endpoint:
    if endpoint is None:
        needs = "makes no videos from one" if field == "video" else "takes another input"
        message = f"This model {needs}. See the inputs of the model."
        raise SubmitRefused(Failure(FailureStage.INPUT, "unsupported_input", message, retryable=False, field=field))
    return endpoint


def _shape(endpoint: Endpoint, request: VideoRequest) -> Tree:
    size = f"{request.width}x{request.height}"
    if endpoint.sizes and size not in endpoint.sizes:
        choices = ", ".join(endpoint.sizes)
        message = f"With this input the model makes {choices}."
        raise SubmitRefused(Failure(FailureStage.INPUT, "invalid_size", message, retryable=False, field="size"))
    match endpoint.shape:
        case Shape.PIXELS:
            return {"ratio": f"{request.width}:{request.height}"}
        case Shape.ASPECT:
            return {"ratio": aspect_ratio(request.width, request.height), "resolution": endpoint.resolution(size)}
        case Shape.RESOLUTION:
            return {"resolution": endpoint.resolution(size)}
        case Shape.AUTO:
            return {"ratio": f"auto_{endpoint.resolution(size)}"}
        case Shape.NONE:
            return {}


def _length(endpoint: Endpoint, request: VideoRequest) -> Tree:
    return {"duration": request.seconds} if endpoint.timed else {}


def _changed(endpoint: Endpoint, request: VideoRequest) -> Tree:
    """The members of a request that starts from a video. An edit keeps the source's length."""
    if not endpoint.modes:
        return {**_shape(endpoint, request), **_length(endpoint, request)}
    mode = endpoint.modes[request.kind.value]
    return {"mode": mode, "duration": request.seconds if request.kind is VideoKind.EXTEND else "auto"}


def _sound(endpoint: Endpoint, request: VideoRequest) -> Tree:
    return {"audio": request.audio} if endpoint.audible and request.audio is not None else {}


def _status(tree: Tree, poll_after_s: float | None) -> JobStatus:
    state = STATES.get(text_in(tree["status"]))
    if state is None:
        raise FateUnknown("Runway gives a state that is not known")
    credits = (tree.get("cost") or {}).get("credits")
    cost_usd = None if credits is None else round(float(credits) * USD_PER_CREDIT, 6)
    if state is JobState.FAILED:
        code = tree.get("failureCode") or ""
        # Whatever content moderation stops costs as much as a video; a final cost of nothing says otherwise.
        charged = "SAFETY" in code if cost_usd is None else cost_usd > 0
        return JobStatus(state, failure=failure_of(code, charged=charged), cost_usd=cost_usd)
    if state is JobState.SUCCEEDED and not tree.get("output"):
        return JobStatus(JobState.FAILED, failure=no_video(charged=bool(cost_usd)), cost_usd=cost_usd)
    return JobStatus(state, progress_percent=_percent(tree, state), poll_after_s=poll_after_s, cost_usd=cost_usd)


def _percent(tree: Tree, state: JobState) -> float | None:
    if state is JobState.SUCCEEDED:
        return 100.0
    told = tree.get("progress")
    return None if told is None else min(100.0, max(0.0, float(told) * 100))


def _path(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise FileNotFoundError("not the id of a task")
    return f"/v1/tasks/{ref}"

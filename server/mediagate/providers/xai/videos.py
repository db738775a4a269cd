"""Videos of xAI's grok-imagine models: one request that starts, one that asks, and a link that lives for a day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import ContentPolicyViolation
from mediagate.core.sizes import aspect_ratio, resolution
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
from mediagate.providers.safe_words import safe_words
from mediagate.providers.settings import key_of, root_of, silence_of
from mediagate.providers.video_calls import asking, submitting
from mediagate.providers.video_refusals import blocked, explained, is_about_content, no_video
from mediagate.providers.xai.spec import VIDEOS

PATHS: Final[Mapping[VideoKind, str]] = {
    VideoKind.CREATE: "/v1/videos/generations",
    VideoKind.REMIX: "/v1/videos/edits",
    VideoKind.EDIT: "/v1/videos/edits",
    VideoKind.EXTEND: "/v1/videos/extensions",
}
STATES: Final[Mapping[str, JobState]] = {
    "pending": JobState.RENDERING,
    "done": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "expired": JobState.FAILED,
}
# What `error.code` says of a failed job: stage, code, whether a new attempt can help.
FAILURES: Final[Mapping[str, tuple[FailureStage, str, bool]]] = {
    "invalid_argument": (FailureStage.INPUT, "provider_rejected_request", False),
    "failed_precondition": (FailureStage.INPUT, "provider_rejected_request", False),
    "permission_denied": (FailureStage.GATEWAY, "provider_credentials_refused", False),
    "service_unavailable": (FailureStage.PROVIDER, "provider_unavailable", True),
    "internal_error": (FailureStage.PROVIDER, "provider_failed", True),
}
_MESSAGES: Final[Mapping[str, str]] = {
    "provider_rejected_request": "xAI does not take this request.",
    "provider_credentials_refused": "The gateway's account at xAI may not make this video.",
    "provider_unavailable": "xAI was temporarily unavailable. Try again later.",
    "provider_failed": "xAI failed to make the video. Try again.",
}
TICKS_PER_USD: Final = 1e10
_REF: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class XaiVideos(LinkedVideos):
    """One team's videos. A `ref` is the API's `request_id`."""

    spec = VIDEOS

    async def submit(self, request: VideoRequest) -> str:
        """Start the job; sent once, because the API has no token that would tell two submits from one."""
        body = JsonBody()
        body.tree = merged(await self._members(request, body), request.extra)
        return await submitting(self._started(PATHS[request.kind], body))

    async def _started(self, path: str, body: JsonBody) -> str:
        try:
            answer = await body.send(self._http, path)
        except ContentPolicyViolation as error:
            raise SubmitRefused(blocked(FailureStage.INPUT)) from error
        with reading(self.spec.title):
            return matched(_REF, answer["request_id"])

    async def _members(self, request: VideoRequest, body: JsonBody) -> Tree:
        members: Tree = {"model": request.model, "prompt": request.prompt}
        if request.kind is not VideoKind.CREATE:
            # An edit keeps the source's length and shape, an extension its shape.
            if request.kind is VideoKind.EXTEND:
                members["duration"] = request.seconds
            source = await self.source(request)
            return {**members, "video": {"url": source if isinstance(source, str) else body.data_uri(source)}}
        members |= {
            "duration": request.seconds,
            "aspect_ratio": aspect_ratio(request.width, request.height),
            "resolution": resolution(request.width, request.height),
        }
        if request.audio is not None:
            members["generate_audio"] = request.audio
        if request.image is not None:
            members["image"] = {"url": body.data_uri(request.image)}
        return members

    async def poll(self, ref: str) -> JobStatus:
        """Ask once. An answer of 202 says that the job runs, also without a body."""
        return await asking(self._asked(ref))

    async def _asked(self, ref: str) -> JobStatus:
        response = await self._http.call("GET", _path(ref), repeatable=False)
        tree = _tree(response, self.spec.title)
        with reading(self.spec.title):
            return _status(tree, pause_of(response.headers.get("retry-after")))

    async def link(self, ref: str) -> str:
        """The link that the API gives now."""
        tree = _tree(await self._http.call("GET", _path(ref)), self.spec.title)
        with reading(self.spec.title):
            url = (tree.get("video") or {}).get("url")
        if not url:
            raise FileNotFoundError("xAI has no link to this video")
        return text_in(url)

    async def cancel(self, ref: str) -> bool:
        """False: the API cannot stop a job."""
        return False

    async def delete(self, ref: str) -> None:
        """Nothing: the API cannot remove a video, which is gone after a day."""
        self.forget(ref)


def build(account: Account) -> XaiVideos:
    """The account's videos. Raises `ValueError` for an account without a key."""
    key = key_of(account, "XAI_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "XAI_BASE_URL", "https://api.x.ai")
    http = ProviderHttp(VIDEOS.title, root, headers, silence_s=silence_of(account), explain=explained)
    return XaiVideos(http, PublicHosts(account))


def _tree(response: httpx.Response, title: str) -> Tree:
    if response.status_code == 202 and not response.content.strip():
        return {"status": "pending"}
    return json_of(response, title)


def _status(tree: Tree, poll_after_s: float | None) -> JobStatus:
    video, cost_usd = tree.get("video") or {}, _cost_usd(tree)
    # Older answers have no status beside a finished video.
    word = tree.get("status", "done" if video.get("url") else "")
    state = STATES.get(word)
    if state is None:
        raise FateUnknown("xAI gives a state that is not known")
    failure = None
    charged = bool(cost_usd)
    if state is JobState.FAILED:
        failure = _failure(word, tree.get("error"), charged)
    elif state is JobState.SUCCEEDED and video.get("respect_moderation") is False:
        failure = blocked(FailureStage.OUTPUT, charged=charged)
    elif state is JobState.SUCCEEDED and not video.get("url"):
        failure = no_video(charged=charged)
    if failure is not None:
        return JobStatus(JobState.FAILED, failure=failure, cost_usd=cost_usd)
    return JobStatus(state, progress_percent=_percent(tree), poll_after_s=poll_after_s, cost_usd=cost_usd)


def _failure(word: str, error: Any, charged: bool) -> Failure:
    if word == "expired":
        return Failure(
            FailureStage.PROVIDER,
            "provider_expired",
            "xAI gave the video up. Try again.",
            retryable=True,
            charged=charged,
        )
    # A text instead of an object: the reason why the input was blocked.
    code, said = ("invalid_argument", error) if isinstance(error, str) else _code_and_words(error or {})
    if is_about_content(said):
        return blocked(FailureStage.INPUT, charged=charged)
    stage, name, retryable = FAILURES.get(code, FAILURES["internal_error"])
    message = safe_words(said) if stage is FailureStage.INPUT else ""
    return Failure(stage, name, message or _MESSAGES[name], retryable=retryable, charged=charged)


def _code_and_words(error: Mapping[str, Any]) -> tuple[str, str]:
    return str(error.get("code") or ""), str(error.get("message") or "")


def _cost_usd(tree: Tree) -> float | None:
    ticks = (tree.get("usage") or {}).get("cost_in_usd_ticks")
    return None if ticks is None else float(ticks) / TICKS_PER_USD


def _percent(tree: Tree) -> float | None:
    told = tree.get("progress")
    return None if told is None else min(100.0, max(0.0, float(told)))


def _path(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise FileNotFoundError("not the id of a request")
    return f"/v1/videos/{ref}"

"""Videos of the models that OpenRouter routes to: JSON in, a job to ask for, links out.

https://openrouter.ai/docs/api_reference/videos
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import ContentPolicyViolation, ProviderFailed
from mediagate.core.sizes import aspect_ratio, resolution, size_of
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_unix, reading
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    SubmitRefused,
    VideoKind,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.http_failures import provider_message
from mediagate.providers.linked_videos import LinkedVideos
from mediagate.providers.media_body import JsonBody, merged
from mediagate.providers.media_hosts import PublicHosts
from mediagate.providers.openai.wire import checked_ref, id_of
from mediagate.providers.openrouter.account import connect
from mediagate.providers.openrouter.spec import VIDEOS
from mediagate.providers.safe_words import safe_words
from mediagate.providers.settings import silence_of
from mediagate.providers.unmeasured_video import video_at
from mediagate.providers.video_calls import NO_LENGTH, asking, submitting
from mediagate.providers.video_refusals import BLOCKED, blocked, explained, is_about_content, no_video
from mediagate.providers.video_spool import VideoSpool

STATES: Final[Mapping[str, JobState]] = {
    "pending": JobState.QUEUED,
    "in_progress": JobState.RENDERING,
    "completed": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "expired": JobState.FAILED,
}
# The words of the API for what models list; a size that they do not hit goes as it is.
RESOLUTIONS: Final[Mapping[str, str]] = {
    "360p": "360p",
    "480p": "480p",
    "720p": "720p",
    "768p": "768p",
    "1080p": "1080p",
    "4k": "4K",
}
_SENT_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
_SOURCE_ELSEWHERE: Final = Failure(
    FailureStage.INPUT,
    "source_not_found",
    "OpenRouter extends only videos that it made for the same account.",
    retryable=False,
    field="video",
)
_EXPIRED: Final = Failure(
    FailureStage.PROVIDER, "provider_expired", "OpenRouter gave the video up. Try again.", retryable=True
)


class OpenRouterVideos(LinkedVideos):
    """One account's videos. A `ref` is the API's job id."""

    spec = VIDEOS

    async def submit(self, request: VideoRequest) -> str:
        """Start the job; sent once, because the API has no token that would tell two submits from one."""
        body = JsonBody()
        body.tree = merged(_members(request, body), request.extra)
        return await submitting(self._started(body))

    async def _started(self, body: JsonBody) -> str:
        try:
            answer = await body.send(self._http, "videos")
        except ContentPolicyViolation as error:
            raise SubmitRefused(blocked(FailureStage.INPUT)) from error
        return id_of(answer, self.spec.title)

    async def poll(self, ref: str) -> JobStatus:
        """Ask once."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> JobStatus:
        tree = await self._http.json("GET", f"videos/{checked_ref(ref)}", repeatable=False)
        with reading(self.spec.title):
            return _status(tree)

    async def cancel(self, ref: str) -> bool:
        """False: the API cannot stop a job."""
        del ref
        return False

    async def delete(self, ref: str) -> None:
        """Nothing: the API cannot remove a video."""
        self.forget(ref)

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The output; it waits in a file where its length is not told, which the API does not promise. Raises
        `FileNotFoundError` where it is gone, and for pictures, of which the API makes none."""
        kept = self._spool.kept(ref) if variant is VideoVariant.VIDEO else None
        if kept is not None:
            return kept
        try:
            return await super().open(ref, variant)
        except ProviderFailed as error:
            if error.code != NO_LENGTH:
                raise
        return await video_at(self._http, await self.link(ref), self._spool, key=ref, hosts=self._hosts)

    async def link(self, ref: str) -> str:
        """A signed link to OpenRouter's copy where there is one, else the API's own address of the output."""
        path = f"videos/{checked_ref(ref)}"
        tree = await self._http.json("GET", path)
        with reading(self.spec.title):
            done = STATES.get(tree["status"]) is JobState.SUCCEEDED
        if not done or not _links(tree):
            raise FileNotFoundError("OpenRouter has no output of this job")
        signed = _texts(tree.get("urls"))
        return signed[0] if signed else f"{path}/content?index=0"


def _members(request: VideoRequest, body: JsonBody) -> Tree:
    members: Tree = {"model": request.model, "prompt": request.prompt, **_source(request, body)}
    goes_on = "previous_job_id" in members
    # An edit keeps the length and the shape of what it edits, an extension the shape.
    if not goes_on or request.kind is VideoKind.EXTEND:
        members["duration"] = request.seconds
    if not goes_on:
        members |= _shape(request.width, request.height)
    if request.audio is not None:
        members["generate_audio"] = request.audio
    if request.callback_url is not None and request.callback_url.startswith("https://"):
        members["callback_url"] = request.callback_url
    if request.image is not None:
        first = {"type": "image_url", "image_url": {"url": body.data_uri(request.image)}, "frame_type": "first_frame"}
        members["frame_images"] = [first]
    return members


def _source(request: VideoRequest, body: JsonBody) -> Tree:
    """The job that this one goes on from, or a reference for models that take videos."""
    if request.kind is VideoKind.CREATE:
        return {}
    if request.source_ref is not None:
        return {"previous_job_id": request.source_ref}
    if request.source_video is None or request.kind is VideoKind.EXTEND:
        raise SubmitRefused(_SOURCE_ELSEWHERE)
    return {"input_references": [{"type": "video_url", "video_url": {"url": body.data_uri(request.source_video)}}]}


def _shape(width: int, height: int) -> Tree:
    ratio, word = aspect_ratio(width, height), resolution(width, height)
    exact = word in RESOLUTIONS and ratio in _SENT_RATIOS and _is_near(size_of(ratio, word), width, height)
    return {"aspect_ratio": ratio, "resolution": RESOLUTIONS[word]} if exact else {"size": f"{width}x{height}"}


def _is_near(size: str, width: int, height: int) -> bool:
    across, down = (int(side) for side in size.split("x"))
    return abs(across - width) <= 16 and abs(down - height) <= 16


def _status(tree: Tree) -> JobStatus:
    state = STATES.get(tree["status"])
    if state is None:
        raise FateUnknown("OpenRouter gives a state that is not known")
    cost_usd = _cost_usd(tree)
    failure = _failure(state, tree, charged=bool(cost_usd))
    expires_at = tree.get("expires_at")
    return JobStatus(
        JobState.FAILED if failure else state,
        failure=failure,
        cost_usd=cost_usd,
        expires_at=at_unix(expires_at) if expires_at else None,
    )


def _failure(state: JobState, tree: Tree, *, charged: bool) -> Failure | None:
    if state is JobState.SUCCEEDED and not tree.get("error"):
        return None if _links(tree) else no_video(charged=charged)
    if state not in (JobState.SUCCEEDED, JobState.FAILED):
        return None
    if tree["status"] == "expired":
        return _EXPIRED
    said = tree.get("error")
    said = said.get("message") if isinstance(said, Mapping) else said
    # There is no code beside the sentence.
    if isinstance(said, str) and is_about_content(said):
        return blocked(FailureStage.OUTPUT, charged=charged)
    message = safe_words(said) or "The provider could not make this video."
    return Failure(FailureStage.PROVIDER, "provider_failed", message, retryable=True, charged=charged)


def _links(tree: Tree) -> list[str]:
    return _texts(tree.get("urls")) + _texts(tree.get("unsigned_urls"))


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str) and item] if isinstance(value, list) else []


def _cost_usd(tree: Tree) -> float | None:
    usage = tree.get("usage") or {}
    cost = usage.get("cost")
    # With the operator's own key at the model's maker, this is OpenRouter's fee alone.
    if isinstance(cost, bool) or not isinstance(cost, int | float) or usage.get("is_byok") is True:
        return None
    return float(cost) if math.isfinite(cost) and cost >= 0 else None


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means. A 403 is the account's own, but where it says what was flagged."""
    if response.status_code == 403 and (_was_flagged(response) or is_about_content(provider_message(response))):
        return ContentPolicyViolation(f"{title} refuses this content.", code=BLOCKED)
    return explained(response, title)


def _was_flagged(response: httpx.Response) -> bool:
    try:
        tree = response.json()
    except (ValueError, RecursionError):
        return False
    error = tree.get("error") if isinstance(tree, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    return isinstance(metadata, dict) and ("reasons" in metadata or "flagged_input" in metadata)


def build(account: Account) -> OpenRouterVideos:
    """The account's videos. Raises `ValueError` for an account without a key."""
    http = connect(account, VIDEOS.title, explain, silence_s=silence_of(account))
    return OpenRouterVideos(http, PublicHosts(account), VideoSpool.of(account))

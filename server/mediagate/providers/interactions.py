"""Videos by the Interactions API, which the Gemini API and Vertex AI have alike: one interaction is one job.

A later interaction can go on from an earlier one, which the API keeps for some days. The models say no by words in the
place of a video. https://ai.google.dev/gemini-api/docs/omni
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any, Final

import httpx

from mediagate.core.errors import InvalidRequest, ProviderFailed
from mediagate.core.sizes import RESOLUTIONS
from mediagate.providers import http, http_failures
from mediagate.providers.answers import Tree, bad_answer, reading
from mediagate.providers.base import (
    Audio,
    Content,
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    SubmitRefused,
    VideoKind,
    VideoModel,
    VideoRequest,
)
from mediagate.providers.google_errors import failure_of
from mediagate.providers.http import ProviderHttp
from mediagate.providers.long_texts import long_json
from mediagate.providers.media_body import JsonBody, merged
from mediagate.providers.video_calls import submitting
from mediagate.providers.video_refusals import BLOCKED, no_video
from mediagate.providers.video_spool import VideoSpool

STATES: Final[Mapping[str, JobState]] = {
    "queued": JobState.QUEUED,
    "in_progress": JobState.RENDERING,
    "completed": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "incomplete": JobState.FAILED,
    "budget_exceeded": JobState.FAILED,
    "requires_action": JobState.FAILED,
    # Somebody would have to send the token that came with it, and nobody pays for that.
    "requires_continuation": JobState.FAILED,
}
_REASONS: Final[Mapping[str, tuple[FailureStage, str, str]]] = {
    "failed": (FailureStage.PROVIDER, "provider_failed", "{title} could not make this video."),
    "incomplete": (FailureStage.PROVIDER, "provider_incomplete", "{title} ended before the video was done."),
    "requires_continuation": (FailureStage.PROVIDER, "provider_incomplete", "{title} ended before the video was done."),
    "requires_action": (FailureStage.PROVIDER, "provider_needs_action", "{title} asks back, and makes no video."),
    "budget_exceeded": (
        FailureStage.GATEWAY,
        "provider_budget_exceeded",
        "The budget of the gateway's account at {title} is spent. The gateway's operator has to check it.",
    ),
}
SOURCE_GONE: Final = "missing_video"
_TASKS: Final = {VideoKind.REMIX: "edit", VideoKind.EDIT: "edit", VideoKind.EXTEND: "extend"}
WORDS: Final = ("360p", "720p", "1080p", "4k")
SIZES: Final = (
    "640x360",
    "360x640",
    "1280x720",
    "720x1280",
    "1920x1080",
    "1080x1920",
    "3840x2160",
    "2160x3840",
)
# What a path can hold as one part, whatever the API makes of it.
INTERACTION_ID: Final = re.compile(r"(?!\.\.?$)[A-Za-z0-9._~=-]{1,512}")


def omni(name: str, longest_s: int) -> VideoModel:
    """A model of the Omni family, which all take the same and differ in how long a new video may be."""
    return VideoModel(
        name=name,
        sizes=SIZES,
        seconds=tuple(range(3, longest_s + 1)),
        default_size="1280x720",
        default_seconds=8,
        prompt_chars_max=32_000,
        inputs=("text", "image", "video"),
        kinds=tuple(VideoKind),
        audio=Audio.ALWAYS,
        extend_seconds=tuple(range(3, 11)),
    )


class Interactions:
    """The interactions below `parent`, a path that ends with `/interactions`."""

    def __init__(self, calls: ProviderHttp, parent: str) -> None:
        self._http = calls
        self._parent = parent

    async def create(self, body: JsonBody) -> str:
        """Start one in the background; its id. Raises as `VideoProvider.submit`."""
        try:
            answer = await submitting(body.send(self._http, self._parent))
        except SubmitRefused as refused:
            raise _without_source(refused, body.tree) from refused
        found = answer.get("id")
        if not isinstance(found, str) or not INTERACTION_ID.fullmatch(found):
            raise FateUnknown(f"{self._http.title} names no id of what it has started")
        return found

    async def create_from(self, previous: str | None, body: Callable[[str | None], Awaitable[JsonBody]]) -> str:
        """The same with what `body` makes of `previous`, and without it where the API has forgotten it: such a refusal
        starts nothing."""
        if previous is not None:
            try:
                return await self.create(await body(previous))
            except SubmitRefused as refused:
                if refused.failure.code != SOURCE_GONE:
                    raise
        return await self.create(await body(None))

    async def get(self, interaction_id: str) -> Tree:
        """The interaction; in the place of a video that came inside, a text that only `spooled` can read. Raises
        `FileNotFoundError` where it is gone, or was never there."""
        return (await self._asked(interaction_id, repeatable=True))[0]

    async def _asked(self, interaction_id: str, *, repeatable: bool) -> tuple[Tree, httpx.Headers]:
        path = self._path(interaction_id)
        try:
            response = await self._http.call("GET", path, repeatable=repeatable)
        except ProviderFailed as error:
            if error.code != http.TOO_LARGE:
                raise
            tree, texts = await long_json(self._http, path)
            return tree, texts.headers
        return http.json_of(response, self._http.title), response.headers

    async def spooled(self, interaction_id: str, spool: VideoSpool, key: str) -> Content:
        """The video that comes inside of the interaction, as `key` in `spool`. Raises as `get`, and as
        `VideoSpool.copy`."""

        async def fill(file: IO[bytes]) -> str:
            with await asyncio.to_thread(spool.opened) as held:
                tree, texts = await long_json(self._http, self._path(interaction_id), held)
                made = video_of(tree, self._http.title)
                await asyncio.to_thread(texts.decode, str(made.get("data") or ""), file)
            return str(made.get("mime_type") or "")

        return await spool.copy(key, fill)

    async def poll(self, interaction_id: str) -> JobStatus:
        """Ask once. Raises `FateUnknown` for a word that is not known."""
        tree, headers = await self._asked(interaction_id, repeatable=False)
        return status_of(tree, self._http.title, poll_after_s=http_failures.pause_of(headers.get("retry-after")))

    async def cancel(self, interaction_id: str) -> bool:
        """Whether it has stopped."""
        try:
            answer = await self._http.json("POST", f"{self._path(interaction_id)}/cancel", repeatable=False)
        except InvalidRequest:
            # It takes this for what is still running alone.
            return False
        return STATES.get(str(answer.get("status"))) is JobState.CANCELLED

    async def delete(self, interaction_id: str) -> None:
        """Remove it; what is absent is deleted."""
        try:
            await self._http.call("DELETE", self._path(interaction_id))
        except FileNotFoundError:
            return

    def _path(self, interaction_id: str) -> str:
        if not INTERACTION_ID.fullmatch(interaction_id):
            raise FileNotFoundError(f"{self._http.title} does not have it")
        return f"{self._parent}/{interaction_id}"


def body_of(
    request: VideoRequest,
    *,
    delivery: Mapping[str, Any],
    previous: str | None = None,
    image: Mapping[str, Any] | None = None,
    video: Mapping[str, Any] | None = None,
) -> Tree:
    """The request's body. `previous` is the interaction to go on from, in the place of `video`. `image` and `video`
    name the bytes: by `uri`, or as `data`."""
    content: list[Tree] = [{"type": "text", "text": request.prompt}]
    if image is not None and request.image is not None:
        content.append({"type": "image", "mime_type": request.image.content_type, **image})
    if video is not None and previous is None:
        content.append({"type": "video", "mime_type": _video_type(request), **video})
    tree: Tree = {
        "model": request.model,
        "input": [{"type": "user_input", "content": content}],
        # Without it the answer comes with the video, minutes later.
        "background": True,
        "response_format": {"type": "video", **delivery, **_format(request)},
    }
    if previous is not None:
        tree["previous_interaction_id"] = previous
    if task := _task(request, previous):
        tree["generation_config"] = {"video_config": {"task": task}}
    return merged(tree, request.extra)


def _format(request: VideoRequest) -> Tree:
    found: Tree = {"resolution": word_of(request.width, request.height)}
    # An edit is as long and as wide as its source; what is added to a video is as wide.
    if request.kind in (VideoKind.CREATE, VideoKind.EXTEND):
        # A bare number is refused.
        found["duration"] = f"{request.seconds}s"
    if request.kind is VideoKind.CREATE:
        found["aspect_ratio"] = "16:9" if request.width >= request.height else "9:16"
    return found


def _task(request: VideoRequest, previous: str | None) -> str | None:
    if request.kind is VideoKind.CREATE:
        return "text_to_video" if request.image is None else "image_to_video"
    # What an edit goes on from tells the model by itself that it is one.
    return None if previous is not None and request.kind is not VideoKind.EXTEND else _TASKS[request.kind]


def _video_type(request: VideoRequest) -> str:
    return request.source_video.content_type if request.source_video is not None else "video/mp4"


def word_of(width: int, height: int) -> str:
    """The API's word for the resolution that is nearest."""
    return min(WORDS, key=lambda word: abs(RESOLUTIONS[word] - min(width, height)))


def status_of(tree: Tree, title: str, *, poll_after_s: float | None = None) -> JobStatus:
    """What an interaction says of the job. Raises `FateUnknown` for a word that is not known, `ProviderFailed` for an
    answer that cannot be read."""
    with reading(title):
        word = str(tree["status"])
        if word not in STATES:
            raise FateUnknown(f"{title} says a word for the state of a job that is not known")
        state = STATES[word]
        if state is JobState.FAILED:
            return JobStatus(state, failure=_failure(tree, word, title))
        if state is JobState.SUCCEEDED and (failure := _unfinished(tree, title)) is not None:
            return JobStatus(JobState.FAILED, failure=failure)
        return JobStatus(state, poll_after_s=poll_after_s)


def video_of(tree: Tree, title: str) -> Tree:
    """The video that an interaction has made, with its `uri` or its `data`. Raises `FileNotFoundError` where there is
    none yet, or any more."""
    with reading(title):
        found = _video(tree)
    if found is None:
        raise FileNotFoundError(f"{title} does not have it")
    return found


def _video(tree: Tree) -> Tree | None:
    if STATES.get(str(tree.get("status"))) is not JobState.SUCCEEDED:
        return None
    # What an edit started from is a step too, of another type.
    said = [part for step in _outputs(tree) for part in step.get("content") or () if part.get("type") == "video"]
    return next((part for part in reversed(said) if part.get("uri") or part.get("data")), None)


def _outputs(tree: Tree) -> list[Tree]:
    return [step for step in tree.get("steps") or () if step.get("type") == "model_output"]


def _unfinished(tree: Tree, title: str) -> Failure | None:
    """Why a completed interaction is no success; None where it is one."""
    if (error := _step_error(tree)) is not None:
        return failure_of(error, title)
    if _video(tree) is not None:
        return None
    if error := next(iter(_errors(tree)), None):
        return failure_of(error, title)
    # Paid for, and not where it should be.
    if any(
        str(used.get("modality")).lower() == "video" and used.get("tokens", 0) > 0
        for used in (tree.get("usage") or {}).get("output_tokens_by_modality") or ()
    ):
        return no_video(charged=True)
    if any(part.get("type") == "text" for step in _outputs(tree) for part in step.get("content") or ()):
        return Failure(
            FailureStage.INPUT,
            BLOCKED,
            f"{title} answered with words in the place of a video, which is how it refuses content.",
            retryable=False,
        )
    return no_video()


def _failure(tree: Tree, word: str, title: str) -> Failure:
    error = _step_error(tree) or next(iter(_errors(tree)), None)
    if word == "failed" and error is not None:
        return failure_of(error, title)
    stage, code, sentence = _REASONS[word]
    return Failure(stage, code, sentence.format(title=title), retryable=code == "provider_incomplete")


def _step_error(tree: Tree) -> Tree | None:
    found = [tree.get("error"), *(step.get("error") for step in _outputs(tree))]
    return next((error for error in found if isinstance(error, dict) and error), None)


def _errors(tree: Tree) -> list[Tree]:
    errors = tree.get("errors") or []
    if not isinstance(errors, list):
        raise bad_answer("the API")
    return [error for error in errors if isinstance(error, dict)]


def _without_source(refused: SubmitRefused, tree: Tree) -> SubmitRefused:
    """A 404 is about the model, unless an interaction was named that the API does not keep for ever."""
    if refused.failure.code != "provider_not_found" or "previous_interaction_id" not in tree:
        return refused
    return SubmitRefused(
        Failure(
            FailureStage.INPUT,
            SOURCE_GONE,
            "The provider does not have the source video's job any more. Give the video as a file.",
            retryable=False,
            field="video",
        )
    )

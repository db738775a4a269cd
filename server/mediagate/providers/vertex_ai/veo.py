"""Videos by Veo: a long-running prediction, which writes into a bucket of ours.

https://docs.cloud.google.com/gemini-enterprise-agent-platform/reference/models/veo-video-generation
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from mediagate.core.sizes import RESOLUTIONS
from mediagate.providers import http, http_failures
from mediagate.providers.answers import Tree, bad_answer, reading
from mediagate.providers.base import Failure, FateUnknown, JobState, JobStatus, VideoKind, VideoRequest
from mediagate.providers.google_errors import content_refusal, failure_of, is_cancelled
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_body import JsonBody, merged
from mediagate.providers.video_calls import VIDEO_TYPE, submitting
from mediagate.providers.video_refusals import no_video

# The API has no words: an operation is done or not, with an error, a response, or neither.
STATES: Final[Mapping[bool, JobState]] = {False: JobState.RENDERING, True: JobState.SUCCEEDED}
KINDS: Final = (VideoKind.CREATE, VideoKind.EXTEND)
WORDS: Final = ("720p", "1080p", "4k")
DEFAULT_WORD: Final = "720p"
_NAMES: Final = {"uri": "gcsUri", "data": "bytesBase64Encoded"}
_PART: Final = "[A-Za-z0-9][A-Za-z0-9._:~-]*"
OPERATION: Final = re.compile(
    rf"(?P<model>projects/{_PART}/locations/(?P<location>{_PART})/publishers/google/models/{_PART})/operations/{_PART}"
)
# What belongs to the scene; everything else that a caller adds says how it is made.
_OF_INSTANCE: Final = frozenset({"prompt", "image", "lastFrame", "video", "mask", "referenceImages", "cameraControl"})
_OF_BODY: Final = frozenset({"parameters", "labels"})


def body_of(
    request: VideoRequest,
    *,
    storage_uri: str,
    image: Mapping[str, Any] | None = None,
    video: Mapping[str, Any] | None = None,
) -> Tree:
    """The request's body. `image` and `video` name the bytes by `uri`, or as `data`."""
    instance: Tree = {"prompt": request.prompt}
    if image is not None and request.image is not None:
        instance["image"] = _media(image, request.image.content_type)
    if video is not None:
        instance["video"] = _media(video, VIDEO_TYPE)
    body: Tree = {"instances": [instance], "parameters": _parameters(request, storage_uri)}
    for name, value in request.extra.items():
        if name in _OF_BODY:
            body = merged(body, {name: value})
        elif name == "instances" and isinstance(value, list) and value and isinstance(value[0], dict):
            body["instances"] = [merged(body["instances"][0], value[0])]
        elif name in _OF_INSTANCE:
            body["instances"] = [merged(body["instances"][0], {name: value})]
        else:
            body["parameters"] = merged(body["parameters"], {name: value})
    return body


def _media(named: Mapping[str, Any], content_type: str) -> Tree:
    return {_NAMES[name]: value for name, value in named.items()} | {"mimeType": content_type}


def _parameters(request: VideoRequest, storage_uri: str) -> Tree:
    found: Tree = {
        "sampleCount": 1,
        "storageUri": storage_uri,
        # Required of the models that can; they make sound where nobody says.
        "generateAudio": request.audio is not False,
    }
    word = min(WORDS, key=lambda word: abs(RESOLUTIONS[word] - min(request.width, request.height)))
    if request.kind is VideoKind.CREATE:
        ratio = "16:9" if request.width >= request.height else "9:16"
        found |= {"aspectRatio": ratio, "durationSeconds": request.seconds, "resolution": word}
    elif word != DEFAULT_WORD:
        # The shape and the length of an extension are the model's own.
        found["resolution"] = word
    return found


class Veo:
    """Predictions of one account. `endpoint` gives the address of a location's API."""

    def __init__(self, calls: ProviderHttp, endpoint: Callable[[str], str]) -> None:
        self._http = calls
        self._endpoint = endpoint

    async def start(self, parent: str, location: str, body: JsonBody, *, model: str) -> str:
        """Begin a prediction in `parent`, a project's location; the operation's name. Raises as
        `VideoProvider.submit`."""
        path = f"{self._endpoint(location)}/v1/{parent}/publishers/google/models/{model}:predictLongRunning"
        answer = await submitting(body.send(self._http, path))
        name = answer.get("name")
        if not isinstance(name, str) or not OPERATION.fullmatch(name):
            raise FateUnknown(f"{self._http.title} names no operation that it has started")
        return name

    async def poll(self, name: str) -> JobStatus:
        """Ask once."""
        response = await self._fetch(name, again=False)
        tree = http.json_of(response, self._http.title)
        return status_of(
            tree, self._http.title, poll_after_s=http_failures.pause_of(response.headers.get("retry-after"))
        )

    async def made(self, name: str) -> Tree:
        """The video of an operation, with its `uri` or its `data`. Raises `FileNotFoundError` where there is none."""
        tree = http.json_of(await self._fetch(name, again=True), self._http.title)
        with reading(self._http.title):
            found = _video(tree.get("response") or {})
        if found is None:
            raise FileNotFoundError(f"{self._http.title} does not have it")
        return found

    async def _fetch(self, name: str, *, again: bool) -> httpx.Response:
        match = OPERATION.fullmatch(name)
        if match is None:
            raise FileNotFoundError(f"{self._http.title} does not have it")
        path = f"{self._endpoint(match['location'])}/v1/{match['model']}:fetchPredictOperation"
        return await self._http.call("POST", path, json={"operationName": name}, repeatable=again)


def status_of(tree: Tree, title: str, *, poll_after_s: float | None = None) -> JobStatus:
    """What an operation says of the job. Raises `ProviderFailed` for an answer that is no operation."""
    with reading(title):
        # Every operation has its name; until it is done it has little else.
        if not isinstance(tree["name"], str) or not isinstance(tree.get("done", False), bool):
            raise bad_answer(title)
        error = tree.get("error")
        if error:
            failure = failure_of(error, title)
            return JobStatus(JobState.CANCELLED) if is_cancelled(error) else JobStatus(JobState.FAILED, failure=failure)
        state = STATES[tree.get("done", False)]
        if state is not JobState.SUCCEEDED:
            return JobStatus(state, poll_after_s=poll_after_s)
        response = tree.get("response") or {}
        if _video(response) is not None:
            return JobStatus(state)
        return JobStatus(JobState.FAILED, failure=_failure(response, title))


def _video(response: Tree) -> Tree | None:
    """The first video that an operation's response names."""
    videos = list(response.get("videos") or ())
    # The form of the API before it had a name of its own for videos.
    videos += [sample.get("video") or {} for sample in response.get("generatedSamples") or ()]
    for video in videos:
        uri, data = video.get("gcsUri") or video.get("uri"), video.get("bytesBase64Encoded")
        if uri or data:
            return {"uri": uri, "data": data, "mime_type": video.get("mimeType") or ""}
    return None


def _failure(response: Tree, title: str) -> Failure:
    reasons = response.get("raiMediaFilteredReasons") or ()
    if reasons or response.get("raiMediaFilteredCount"):
        return content_refusal(title, " ".join(map(str, reasons)))
    return no_video()

"""xAI's video API.

Paths, members, limits, states and error codes are those of
https://docs.x.ai/developers/model-capabilities/video/generation and of the requests that xai-sdk 1.21 and @ai-sdk/xai
3.0 build. The answers follow a recording of the API in crmne/ruby_llm (the cassette
`video_basic_functionality_xai_grok-imagine-video_can_animate_videos`): 202 while a job runs, and
`usage.cost_in_usd_ticks` at the end.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.doubles.outputs import Outputs
from tests.doubles.recorder import ASKED, Recorder

RATIOS = {"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"}
RESOLUTIONS = {"480p", "720p", "1080p"}
_COMMON = {"model", "prompt", "user", "output", "storage_options"}
MEMBERS = {
    "/v1/videos/generations": {
        *_COMMON,
        *("duration", "aspect_ratio", "resolution", "image", "last_frame", "keyframes"),
        *("reference_images", "reference_audios", "generate_audio"),
    },
    "/v1/videos/edits": {*_COMMON, "video"},
    "/v1/videos/extensions": {*_COMMON, "video", "duration"} - {"user"},
}
SECONDS = {"/v1/videos/generations": range(1, 16), "/v1/videos/extensions": range(2, 11)}


class XaiVideosApi(Recorder):
    """A team. `states` is what the next polls of a job say: a status and a tree."""

    def __init__(self, outputs: Outputs, key: str = "test-key") -> None:
        super().__init__(key)
        self.outputs = outputs
        self.bodies: dict[str, Mapping[str, Any]] = {}
        self.states: dict[str, tuple[int, dict[str, Any] | None]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.submits = 0
        self.credit = True

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token."""
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """`{"code", "error"}`, both text."""
        codes = {404: "Some requested entity was not found", 400: "Client specified an invalid argument"}
        tree = {"code": codes.get(status, "The caller does not have permission"), "error": message}
        return web.json_response(tree, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Three ways to start, one to ask."""
        return [*(web.post(path, self._start) for path in MEMBERS), web.get("/v1/videos/{id}", self._get)]

    async def _start(self, request: web.Request) -> web.Response:
        self.submits += 1
        if not self.credit:
            return self.error(402, "team t-1 has no credits left")
        if request.content_type != "application/json" or request.content_length is None:
            return self.error(415, "Expected request with `Content-Type: application/json`")
        tree = await request.json()
        request[ASKED].json = tree
        wrong = _wrong(request.path, tree)
        if wrong:
            return self.error(422, wrong)
        if "forbidden" in tree["prompt"]:
            return self.error(400, "The prompt was rejected by content moderation.")
        job = str(uuid.uuid4())
        self.bodies[job] = tree
        self.states[job] = (202, {"status": "pending", "progress": 0})
        return web.json_response({"request_id": job})

    async def _get(self, request: web.Request) -> web.Response:
        job = request.match_info["id"]
        if job not in self.states:
            return self.error(404, f"Video {job} was not found")
        status, tree = self.states[job]
        headers = self.headers.get(job, {})
        if tree is None:
            return web.Response(status=status, headers=headers)
        if (tree.get("video") or {}).get("url") == "":
            tree = {**tree, "video": {**tree["video"], "url": self.outputs.link(job)}}
        return web.json_response(tree, status=status, headers=headers)

    def media(self, job: str, member: str) -> bytes:
        """The bytes that came as `image` or `video`."""
        head, _, data = self.bodies[job][member]["url"].partition(",")
        assert head in ("data:image/png;base64", "data:video/mp4;base64")
        return base64.b64decode(data, validate=True)


def _wrong(path: str, tree: Mapping[str, Any]) -> str:
    unknown = set(tree) - MEMBERS[path]
    if unknown:
        return f"unknown field `{sorted(unknown)[0]}`"
    if not tree.get("prompt") or not tree.get("model"):
        return "missing field `prompt`"
    if path != "/v1/videos/generations" and not (tree.get("video") or {}).get("url"):
        return "missing field `video`"
    if "duration" in tree and (type(tree["duration"]) is not int or tree["duration"] not in SECONDS[path]):
        return "invalid duration"
    if tree.get("aspect_ratio", "1:1") not in RATIOS or tree.get("resolution", "480p") not in RESOLUTIONS:
        return "unknown variant"
    return ""

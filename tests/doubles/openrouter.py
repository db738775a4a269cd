"""OpenRouter's video API: https://openrouter.ai/docs/api_reference/videos.

Fields, states and the shape of answers are those of the types in the official client, `openrouter` 1.3, with which the
bodies that arrive and the answers that leave are read. Errors are `{"error": {"code", "message", "metadata"}}`
(https://openrouter.ai/docs/api/reference/errors-and-debugging). That content has a length and takes ranges is not
documented.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from openrouter.components import VideoGenerationRequest, VideoGenerationResponse
from pydantic import ValidationError

from mediagate.providers.base import JobState
from tests.contract.video_bench import Said
from tests.doubles.openai_videos import send
from tests.doubles.recorder import ASKED, Recorder

WORDS = {
    "pending": JobState.QUEUED,
    "in_progress": JobState.RENDERING,
    "completed": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "expired": JobState.FAILED,
}
SAYS = {
    Said.QUEUED: "pending",
    Said.RENDERING: "in_progress",
    Said.FAILED: "failed",
    Said.MODERATED: "failed",
    Said.CANCELLED: "cancelled",
}


@dataclass
class Job:
    """A job there."""

    id: str
    sent: dict[str, Any]
    tree: dict[str, Any]
    video: bytes = b""
    gone: bool = False
    cut_at: int | None = None


class OpenRouterApi(Recorder):
    """An account. `stores` tells whether there are signed links to copies, which die with `expire`; `far` is a place
    outside to which those links lead; without `measures` content tells no length."""

    def __init__(self, key: str = "test-key", *, stores: bool = True) -> None:
        super().__init__(key)
        self.stores = stores
        self.far: str | None = None
        self.measures = True
        self.jobs: dict[str, Job] = {}
        self._epoch = 0
        self._numbers: Iterator[int] = itertools.count(1)

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token; a signed link needs none."""
        if request.path.startswith("/stored/"):
            return self.key
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str, **metadata: Any) -> web.Response:
        """The API's envelope."""
        error = {"code": status, "message": message} | ({"metadata": metadata} if metadata else {})
        return web.json_response({"error": error}, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Submit, poll, download."""
        return [
            web.post("/api/v1/videos", self._submit),
            web.get("/api/v1/videos/{id}", self._poll, allow_head=False),
            web.get("/api/v1/videos/{id}/content", self._content, allow_head=False),
            web.get("/stored/{id}/{epoch}", self._stored, allow_head=False),
        ]

    async def _submit(self, request: web.Request) -> web.Response:
        if "content-length" not in request.headers:
            return self.error(411, "a body without a length")
        tree = request[ASKED].json = json.loads(await request.read())
        try:
            known = VideoGenerationRequest.model_validate(tree).model_dump(by_alias=True)
        except ValidationError as error:
            return self.error(400, str(error))
        if strange := set(tree) - set(known):
            return self.error(400, f"Unknown parameter {min(strange)}")
        if "forbidden" in tree.get("prompt", ""):
            return self.error(403, "Input was flagged", reasons=["violence"], flagged_input="forbidden")
        if "poor" in tree.get("prompt", ""):
            return self.error(402, "Insufficient credits")
        job_id = f"gen-vid-{int(time.time())}-{next(self._numbers):020x}"
        answer = {"id": job_id, "polling_url": f"/api/v1/videos/{job_id}", "status": "pending"}
        self.jobs[job_id] = Job(job_id, tree, answer)
        return web.json_response(answer, status=202)

    async def _poll(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return self.error(404, "Resource not found")
        tree = dict(job.tree)
        if tree.pop("has_output", False) and not job.gone:
            tree["unsigned_urls"] = [f"{self.url}/api/v1/videos/{job.id}/content?index=0"]
            if self.stores or self.far:
                tree["urls"] = [f"{self.url}/stored/{job.id}/{self._epoch}?X-Amz-Signature=0"]
                tree["expires_at"] = int(time.time()) + 3600
        VideoGenerationResponse.model_validate(tree)
        return web.json_response(tree)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        job = self.jobs.get(request.match_info["id"])
        if job is None or job.gone:
            return self.error(404, "Resource not found")
        if job.tree["status"] != "completed":
            return self.error(400, "Video generation is not completed")
        return await send(request, job.video, "video/mp4", cut_at=job.cut_at, measured=self.measures)

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        job = self.jobs[request.match_info["id"]]
        if self.far is not None:
            return web.Response(status=302, headers={"location": self.far})
        if request.match_info["epoch"] != str(self._epoch) or job.gone:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        return await send(request, job.video, "video/mp4", cut_at=job.cut_at)

    def expire(self) -> None:
        """Links that were given so far are dead."""
        self._epoch += 1

    def say(self, ref: str, said: Said, **details: Any) -> None:
        """What `VideoBench.advance` wants."""
        job = self.jobs[ref]
        if said is Said.GONE:
            job.gone = True
            return
        told: dict[str, Any] = {"status": details.get("word", SAYS.get(said, "completed"))}
        if told["status"] == "completed":
            usage = {"cost": details["cost_usd"], "is_byok": False} if "cost_usd" in details else {}
            told |= {"generation_id": "gen-1", "usage": usage, "has_output": said is not Said.NO_VIDEO}
            job.video = details.get("video", b"")
        if said in (Said.FAILED, Said.WITH_ERROR) or told["status"] == "failed":
            told["error"] = details.get("reason", "Provider returned error")
        if said is Said.MODERATED:
            told["error"] = "The output was removed by the provider's content moderation."
        job.tree = {name: job.tree[name] for name in ("id", "polling_url")} | told

"""OpenAI's Videos API as it is documented, and the servers that have its shape: vLLM-Omni, a gateway.

Sources: https://platform.openai.com/docs/api-reference/videos, the types of `openai` 3.52 (fields, states, "Permanently
delete a completed or failed video"), https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api/ (forms only,
one server for one model, DELETE aborts, `variant` unknown), and for Azure
https://learn.microsoft.com/azure/foundry/reference/rest/video-generation-create-video-remix. A gateway's cancel is
mediagate's own.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web
from multipart import MultipartError

from mediagate.providers.base import JobState
from tests.contract.video_bench import Said
from tests.doubles.recorder import ASKED, Part, Recorder, read_form

PREFIXES = ("/v1", "/openai/v1")
PIECE_BYTES = 1 << 16
CREATE_FIELDS = {"prompt", "model", "seconds", "size", "input_reference"}
SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\r\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
ENDED = ("completed", "failed", "cancelled")


class Flavour(StrEnum):
    """Whose server it is."""

    OPENAI = "openai"
    """Refuses fields that it does not know, and the deletion of what runs."""
    VLLM = "vllm"
    """Takes every field, stops a job by its deletion, makes no pictures and derives nothing."""
    GATEWAY = "gateway"
    """Takes every field, has a route to cancel, and one job for one idempotency key."""


@dataclass
class Job:
    """A video there. `sent` are its fields; `link` is the number of the newest link to its content."""

    id: str
    sent: dict[str, Any]
    file: Part | None
    tree: dict[str, Any]
    video: bytes = b""
    gone: bool = False
    cut_at: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


class OpenAIVideosApi(Recorder):
    """An account. `links` makes the content a redirect to a link that dies with `expire`; `redirect` is a place outside
    where all content is said to be."""

    def __init__(self, flavour: Flavour = Flavour.OPENAI, key: str = "test-key", *, links: bool = False) -> None:
        super().__init__(key)
        self.flavour = flavour
        self.links = links
        self.redirect: str | None = None
        self.jobs: dict[str, Job] = {}
        self.by_key: dict[str, str] = {}
        self.characters: dict[str, tuple[str, bytes]] = {}
        self._epoch = 0
        self._numbers: Iterator[int] = itertools.count(1)

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token, or Azure's header; a signed link needs none."""
        if "signature" in request.query:
            return self.key
        return request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> web.Response:
        """OpenAI's envelope; FastAPI's for vLLM, which has a sentence alone."""
        if self.flavour is Flavour.VLLM and status == 404:
            return web.json_response({"detail": message}, status=status)
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        return web.json_response({"error": error}, status=status)

    def routes(self) -> list[web.RouteDef]:
        """For OpenAI's address and Azure's."""
        found = []
        for prefix in PREFIXES:
            found += [
                web.post(f"{prefix}/videos", self._create),
                web.get(f"{prefix}/videos/{{id}}", self._get, allow_head=False),
                web.delete(f"{prefix}/videos/{{id}}", self._delete),
                web.get(f"{prefix}/videos/{{id}}/content", self._content, allow_head=False),
            ]
            if self.flavour is Flavour.GATEWAY:
                found.append(web.post(f"{prefix}/videos/{{id}}/cancel", self._cancel))
            if self.flavour is not Flavour.VLLM:
                found += [
                    web.post(f"{prefix}/videos/characters", self._character),
                    web.post(f"{prefix}/videos/edits", self._derive),
                    web.post(f"{prefix}/videos/extensions", self._derive),
                    web.post(f"{prefix}/videos/{{id}}/remix", self._remix),
                ]
        return [*found, web.route("*", "/{rest:.*}", self._unknown)]

    async def _unknown(self, request: web.Request) -> web.Response:
        await request.read()
        if self.flavour is Flavour.VLLM:
            return web.json_response({"detail": "Not Found"}, status=404)
        return self.error(404, f"Invalid URL ({request.method} {request.path})")

    async def _form(self, request: web.Request) -> tuple[dict[str, Any], Part | None] | web.Response:
        if not request.content_type.startswith("multipart/"):
            return self.error(415, "Expected a form.")
        if "content-length" not in request.headers:
            return self.error(411, "A body without a length.")
        try:
            part = await read_form(request)
        except MultipartError:
            return self.error(400, "Could not parse multipart form")
        pairs = request[ASKED].form
        if len({name for name, _ in pairs}) != len(pairs):
            return self.error(400, "A field that is there twice.")
        return {name: value for name, value in pairs if part is None or value != f"<{part.filename}>"}, part

    async def _character(self, request: web.Request) -> web.Response:
        read = await self._form(request)
        if isinstance(read, web.Response):
            return read
        fields, part = read
        if set(fields) != {"name"} or part is None:
            return self.error(400, "A name and a video are needed.", param="video")
        character_id = f"char_{len(self.characters) + 1}"
        self.characters[character_id] = (fields["name"], part.data)
        return web.json_response({"id": character_id, "name": fields["name"], "created_at": int(time.time())})

    async def _create(self, request: web.Request) -> web.Response:
        if request.content_type == "application/json":
            tree = request[ASKED].json = json.loads(await request.read())
            if any(one["id"] not in self.characters for one in tree.get("characters", [])):
                return self.error(404, "Character not found.", param="characters")
            return self._refusal(request, tree) or self._made(request, tree, None)
        read = await self._form(request)
        if isinstance(read, web.Response):
            return read
        fields, part = read
        return self._refusal(request, fields) or self._made(request, fields, part)

    def _refusal(self, request: web.Request, fields: dict[str, Any]) -> web.Response | None:
        if not fields.get("prompt"):
            return self.error(400, "Missing required parameter: 'prompt'.", param="prompt")
        if "forbidden" in fields["prompt"]:
            return self.error(400, "Your request was blocked.", code="moderation_blocked", param="prompt")
        if self.flavour is not Flavour.OPENAI:
            return None
        named = {name for name, _ in request[ASKED].form}
        if extra := named - CREATE_FIELDS:
            return self.error(400, f"Unknown parameter: '{min(extra)}'.", code="unknown_parameter", param=min(extra))
        if fields["size"] not in SIZES:
            return self.error(400, f"Invalid size: {fields['size']}.", param="size")
        if fields["seconds"] not in ("4", "8", "12"):
            return self.error(400, f"Invalid value: '{fields['seconds']}'.", param="seconds")
        if "input_reference" in fields:
            return self.error(400, "Invalid type: expected a file.", param="input_reference", code="invalid_type")
        return None

    async def _derive(self, request: web.Request) -> web.Response:
        read = await self._form(request)
        if isinstance(read, web.Response):
            return read
        fields, part = read
        extends = request.path.endswith("/extensions")
        allowed = {"prompt", "video", "video[id]"} | ({"seconds"} if extends else set())
        named = {name for name, _ in request[ASKED].form}
        if self.flavour is Flavour.OPENAI and (extra := named - allowed):
            return self.error(400, f"Unknown parameter: '{min(extra)}'.", param=min(extra))
        if extends and fields.get("seconds") not in ("4", "8", "12", "16", "20"):
            return self.error(400, "Invalid value.", param="seconds")
        source = fields.get("video[id]")
        if (source is None) == (part is None):
            return self.error(400, "Exactly one of a file and an id is needed.", param="video")
        if source is not None and source not in self.jobs:
            return self.error(404, f"Video with id '{source}' not found.", param="video")
        return self._made(request, fields, part, source)

    async def _remix(self, request: web.Request) -> web.Response:
        fields = request[ASKED].json = json.loads(await request.read())
        source = request.match_info["id"]
        if source not in self.jobs:
            return self.error(404, f"Video with id '{source}' not found.")
        if not fields.get("prompt") or (self.flavour is Flavour.OPENAI and set(fields) != {"prompt"}):
            return self.error(400, "Invalid body.", param="prompt")
        return self._made(request, fields, None, source)

    def _made(
        self, request: web.Request, fields: dict[str, Any], part: Part | None, source: str | None = None
    ) -> web.Response:
        key = request.headers.get("idempotency-key", "")
        if self.flavour is Flavour.GATEWAY and key in self.by_key:
            return web.json_response(self.jobs[self.by_key[key]].tree)
        job_id = f"video_{next(self._numbers):032x}"
        tree = {
            "id": job_id,
            "object": "video",
            "model": fields.get("model", "sora-2"),
            "status": "queued",
            "progress": 0,
            "created_at": int(time.time()),
            "completed_at": None,
            "expires_at": None,
            "prompt": fields["prompt"],
            "size": fields.get("size", "720x1280"),
            "seconds": fields.get("seconds", "4"),
            "remixed_from_video_id": source,
            "error": None,
        }
        self.jobs[job_id] = Job(job_id, fields, part, tree)
        self.by_key[key] = job_id
        return web.json_response(tree)

    def _job(self, request: web.Request) -> Job | None:
        return self.jobs.get(request.match_info["id"])

    async def _get(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if job is None:
            return self.error(404, "Video not found")
        return web.json_response(job.tree, headers=job.headers)

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if job is None:
            return self.error(404, "Video not found")
        if self.flavour is Flavour.OPENAI and job.tree["status"] not in ENDED:
            return self.error(400, "Only completed or failed videos can be deleted.")
        del self.jobs[job.id]
        return web.json_response({"id": job.id, "object": "video.deleted", "deleted": True})

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if job is None:
            return self.error(404, "Video not found")
        if job.tree["status"] in ENDED:
            return self.error(400, f"Video {job.id} is already {job.tree['status']}; it cannot be cancelled.")
        failure = {"code": "cancelled", "message": "The video was cancelled."}
        details = {"phase": "cancelled", "cancellation": {"stopped": "provider", "charged": False}}
        job.tree |= {"status": "failed", "error": failure, "mediagate": details}
        return web.json_response(job.tree)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None or job.gone:
            return self.error(404, "Video not found")
        if job.tree["status"] != "completed":
            status = 404 if self.flavour is Flavour.VLLM else 400
            return self.error(status, "Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
        if self.redirect is not None:
            return web.Response(status=302, headers={"location": self.redirect})
        if "signature" in request.query and request.query["signature"] != str(self._epoch):
            return web.Response(status=403, text="Request has expired")
        if self.links and "signature" not in request.query:
            signed = request.rel_url.update_query(signature=str(self._epoch))
            return web.Response(status=302, headers={"location": str(signed)})
        variant = request.query.get("variant", "video")
        if variant != "video" and self.flavour is not Flavour.VLLM:
            return await send(request, WEBP, "image/webp")
        return await send(request, job.video, "video/mp4", cut_at=job.cut_at)

    def expire(self) -> None:
        """Links that were given so far are dead."""
        self._epoch += 1

    def say(self, ref: str, said: Said, **details: Any) -> None:
        """What `VideoBench.advance` wants."""
        job = self.jobs[ref]
        told: dict[str, Any] = {"status": details.get("word", str(said)), "error": None}
        if said is Said.RENDERING:
            told |= {"status": "in_progress", "progress": round(details.get("progress_percent", 10))}
        elif said in (Said.SUCCEEDED, Said.WITH_ERROR, Said.WORD):
            told |= {"progress": 100, "completed_at": int(time.time()), "expires_at": int(time.time()) + 86_400}
            told["status"] = details.get("word", "completed")
            job.video = details.get("video", b"")
        elif said is Said.GONE:
            told, job.gone = {}, True
        if said in (Said.FAILED, Said.WITH_ERROR) or told.get("status") == "failed":
            told["error"] = {"code": "server_error", "message": details.get("reason", "Something went wrong.")}
        if said is Said.MODERATED:
            told |= {
                "status": "failed",
                "error": {"code": "moderation_blocked", "message": "Your request was blocked."},
            }
        job.tree |= told
        if "poll_after_s" in details:
            job.headers["openai-poll-after-ms"] = str(round(details["poll_after_s"] * 1000))


WORDS = {
    "queued": JobState.QUEUED,
    "in_progress": JobState.RENDERING,
    "completed": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
}


async def send(
    request: web.Request, data: bytes, content_type: str, *, cut_at: int | None = None, measured: bool = True
) -> web.StreamResponse:
    """Serve `data` with its length, and ranges of it; break off after `cut_at` bytes. Not `measured`: in chunks, and
    always the whole."""
    whole = "range" not in request.headers or not measured
    start, end, _ = (0, len(data), 1) if whole else request.http_range.indices(len(data))
    response = web.StreamResponse(status=200 if whole else 206, headers={"content-type": content_type})
    if not whole:
        response.headers["content-range"] = f"bytes {start}-{end - 1}/{len(data)}"
    if measured:
        response.content_length = end - start
    await response.prepare(request)
    stop = end if cut_at is None else max(start, min(end, cut_at))
    for at in range(start, stop, PIECE_BYTES):
        await response.write(data[at : min(stop, at + PIECE_BYTES)])
    if stop < end:
        assert request.transport is not None
        request.transport.close()
        return response
    await response.write_eof()
    return response

"""fal's queue, its storage and its catalogue of models.

Paths, headers, states and bodies are those of https://fal.ai/docs/api-reference/inference-api (queue),
https://fal.ai/docs/documentation/model-apis/request-errors and /errors, https://fal.ai/docs/platform-apis/v1/models,
and of what the official Python client sends and reads (fal-client 1.0.3). The status of a request has the app's path
without the model's own; a request that has ended answers with the model's status and body.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.delivery import Delivery
from tests.doubles.recorder import ASKED, Recorder

NAMESPACES = ("workflows", "comfy")
# As the pages of these models show their inputs.
MODELS: dict[str, dict[str, Any]] = {
    "fal-ai/veo3.1/image-to-video": {
        "prompt": {"type": "string"},
        "image_url": {"type": "string"},
        "duration": {"enum": ["4s", "6s", "8s"], "type": "string", "default": "8s"},
        "aspect_ratio": {"enum": ["auto", "16:9", "9:16"], "type": "string"},
        "resolution": {"enum": ["720p", "1080p"], "type": "string"},
        "generate_audio": {"type": "boolean", "default": True},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "fal-ai/kling-video/v2.6/pro/text-to-video": {
        "prompt": {"type": "string"},
        "duration": {"enum": ["5", "10"], "type": "string"},
        "aspect_ratio": {"enum": ["16:9", "9:16", "1:1"], "type": "string"},
        "generate_audio": {"type": "boolean"},
    },
    "fal-ai/vidu/reference-to-video": {
        "prompt": {"type": "string"},
        "reference_image_urls": {"type": "array", "items": {"type": "string"}},
        "aspect_ratio": {"enum": ["16:9", "9:16", "1:1"], "type": "string"},
    },
}


@dataclass
class Queued:
    """One request. `answer` is what its model has answered: status, body, headers."""

    id: str
    model: str
    app: str
    body: dict[str, Any]
    status: str = "IN_QUEUE"
    position: int = 0
    error: str | None = None
    error_type: str | None = None
    answer: tuple[int, dict[str, Any], dict[str, str]] | None = None
    checks_until_cancelled: int = 0
    shows_video: bool = field(default=False)


class FalApi(Recorder):
    """An account. `slow_cancels` is how many looks a running request takes to stop; never where it is None."""

    def __init__(self, delivery: Delivery, key: str = "test-key") -> None:
        super().__init__(key)
        self.delivery = delivery
        self.requests: dict[str, Queued] = {}
        self.files: dict[str, bytes] = {}
        self.slow_cancels: int | None = 0

    def credentials(self, request: web.Request) -> str | None:
        """A key; a signed link has its own, and refuses another."""
        given = request.headers.get("authorization")
        if request.path.startswith("/signed/"):
            return self.key if given is None else None
        return (given or "").removeprefix("Key ")

    def error(self, status: int, message: str) -> web.Response:
        """FastAPI's form."""
        return web.json_response({"detail": message}, status=status)

    def routes(self) -> list[web.RouteDef]:
        """The catalogue, the storage, and the queue, whose paths are of any depth."""
        return [
            web.get("/v1/models", self._models),
            web.post("/storage/upload/initiate", self._initiate),
            web.put("/signed/{name}", self._put),
            web.route("*", "/{path:.+}", self._queue),
        ]

    async def _models(self, request: web.Request) -> web.Response:
        model, known = request.query["endpoint_id"], MODELS.get(request.query["endpoint_id"])
        if request.query.get("expand") != "openapi-3.0":
            return self.error(400, "expand")
        if known is None:
            return web.json_response({"models": [], "next_cursor": None, "has_more": False})
        schema = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}}}
        document = {
            "openapi": "3.0.4",
            "paths": {f"/{model}": {"post": {"requestBody": {"required": True, **schema}}}},
            "components": {"schemas": {"Input": {"type": "object", "properties": known, "required": ["prompt"]}}},
        }
        return web.json_response({"models": [{"endpoint_id": model, "metadata": {}, "openapi": document}]})

    async def _initiate(self, request: web.Request) -> web.Response:
        body = await request.json()
        life = json.loads(request.headers["x-fal-object-lifecycle-preference"])
        if set(body) != {"file_name", "content_type"} or request.query["storage_type"] != "gcs":
            return self.error(422, "unknown member")
        if set(life) != {"expiration_duration_seconds"}:
            return self.error(422, "unknown preference")
        name = f"{uuid.uuid4().hex}_{body['file_name']}"
        return web.json_response(
            {"upload_url": f"{self.url}/signed/{name}", "file_url": f"https://v3.fal.media/files/{name}"}
        )

    async def _put(self, request: web.Request) -> web.Response:
        if "content-length" not in request.headers or "content-type" not in request.headers:
            return self.error(411, "length required")
        self.files[request.match_info["name"]] = await request.read()
        return web.Response()

    async def _queue(self, request: web.Request) -> web.Response:
        app, _, rest = request.match_info["path"].partition("/requests/")
        if not rest:
            return await self._submit(request, app)
        request_id, _, what = rest.partition("/")
        found = self.requests.get(request_id)
        if found is None or found.app != app:
            if what == "cancel":
                return web.json_response({"status": "NOT_FOUND"}, status=404)
            return self.error(404, "Request not found")
        methods = {"status": "GET", "cancel": "PUT", "": "GET"}
        if request.method != methods.get(what):
            return self.error(405, "Method Not Allowed")
        return {"status": self._status, "cancel": self._cancel, "": self._result}[what](found)

    async def _submit(self, request: web.Request, model: str) -> web.Response:
        if request.method != "POST":
            return self.error(405, "Method Not Allowed")
        try:
            body = await request.json()
        except ValueError:
            return self.error(422, "JSON decode error")
        request[ASKED].json = body
        if not isinstance(body, dict) or set(request.query) - {"fal_webhook"}:
            return self.error(422, "unknown member")
        if float(request.headers.get("x-fal-request-timeout", "1")) <= 0.1:
            return self.error(422, "timeout")
        parts = model.split("/")
        app = "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])
        queued = Queued(str(uuid.uuid4()), model, app, body)
        self.requests[queued.id] = queued
        where = f"{self.url}/{app}/requests/{queued.id}"
        return web.json_response(
            {
                "status": "IN_QUEUE",
                "request_id": queued.id,
                "response_url": where,
                "status_url": f"{where}/status",
                "cancel_url": f"{where}/cancel",
                "logs": None,
                "metrics": {},
                "queue_position": 0,
            }
        )

    def _status(self, queued: Queued) -> web.Response:
        if queued.checks_until_cancelled:
            queued.checks_until_cancelled -= 1
            if not queued.checks_until_cancelled:
                self.stop(queued)
        tree: dict[str, Any] = {"status": queued.status, "request_id": queued.id, "logs": None}
        if queued.status == "IN_QUEUE":
            tree["queue_position"] = queued.position
        if queued.error is not None:
            tree |= {"error": queued.error, "error_type": queued.error_type}
        return web.json_response(tree, status=200 if queued.status == "COMPLETED" else 202)

    def stop(self, queued: Queued) -> None:
        """End it as a cancelled request ends."""
        queued.status, queued.error, queued.error_type = "COMPLETED", "Request was cancelled", "client_cancelled"
        queued.answer = (499, {"detail": "Request was cancelled", "error_type": "client_cancelled"}, {})

    def _cancel(self, queued: Queued) -> web.Response:
        if queued.status == "IN_QUEUE":
            self.stop(queued)
            return web.json_response({"status": "OK"})
        if queued.status == "COMPLETED":
            return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
        if self.slow_cancels is not None:
            queued.checks_until_cancelled = self.slow_cancels
            if not self.slow_cancels:
                self.stop(queued)
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)

    def _result(self, queued: Queued) -> web.Response:
        if queued.answer is None:
            return self.error(400, "Request is still in progress")
        status, body, headers = queued.answer
        if queued.shows_video:
            body = {"video": {"url": self.delivery.link(queued.id), "content_type": "video/mp4"}, "seed": 7}
        return web.json_response(body, status=status, headers={"x-fal-request-id": queued.id, **headers})

    def received(self, url: str) -> bytes:
        """The bytes behind an input."""
        return self.files[url.rpartition("/")[2]]

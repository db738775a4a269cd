"""Replicate's API for predictions and files.

Paths, members and states are those of https://replicate.com/docs/reference/http (models.predictions.create,
predictions.create, deployments.predictions.create, predictions.get, predictions.cancel, files.create, models.get),
https://replicate.com/docs/topics/predictions/lifecycle and the types of the official clients; the text of a refused
content, with its code and number at the end, is as reported from the real API. A body with a member that the API or the
model does not have is refused.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.doubles.delivery import Delivery
from tests.doubles.recorder import ASKED, Recorder, read_form

VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
SENSITIVE = "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (uIJ6l3ruRD)"
MEMBERS = {"input", "stream", "webhook", "webhook_events_filter"}
ENDED = ("succeeded", "failed", "canceled", "aborted")
# As the pages of bytedance/seedance-1-pro, kwaivgi/kling-v2.6 and wan-video/wan-2.5-t2v show their inputs.
MODELS: dict[str, dict[str, Any]] = {
    "bytedance/seedance-1-pro": {
        "prompt": {"type": "string"},
        "image": {"type": "string", "format": "uri"},
        "duration": {"type": "integer", "minimum": 2, "maximum": 12, "default": 5},
        "resolution": {"allOf": [{"$ref": "#/components/schemas/resolution"}], "default": "1080p"},
        "aspect_ratio": {"allOf": [{"$ref": "#/components/schemas/aspect_ratio"}], "default": "16:9"},
        "seed": {"type": "integer"},
    },
    "kwaivgi/kling-v2.6": {
        "prompt": {"type": "string"},
        "start_image": {"type": "string", "format": "uri"},
        "duration": {"enum": [5, 10], "type": "integer"},
        "aspect_ratio": {"allOf": [{"$ref": "#/components/schemas/aspect_ratio"}]},
        "generate_audio": {"type": "boolean", "default": True},
    },
    "wan-video/wan-2.5-t2v": {
        "prompt": {"type": "string"},
        "size": {"enum": ["832*480", "1280*720", "720*1280", "1920*1080"], "type": "string"},
        "duration": {"enum": [5, 10], "type": "integer"},
        "audio": {"type": "string", "format": "uri"},
    },
}
DEFINITIONS = {
    "resolution": {"enum": ["480p", "720p", "1080p"], "type": "string"},
    "aspect_ratio": {"enum": ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9"], "type": "string"},
}


@dataclass
class Prediction:
    """One, with the body that started it. `output` is shown instead of the link to its video."""

    id: str
    model: str
    body: dict[str, Any]
    status: str = "starting"
    error: str | None = None
    has_video: bool = False
    output: Any = None
    data_removed: bool = False
    started_at: datetime | None = None
    completed_at: datetime | None = None
    checks_until_cancelled: int = 0
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def stamp(moment: datetime | None) -> str | None:
    """A time as the API writes it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


class ReplicateApi(Recorder):
    """An account. `slow_cancels` is how many looks a cancelled prediction still runs for."""

    def __init__(self, delivery: Delivery, key: str = "test-key") -> None:
        super().__init__(key)
        self.delivery = delivery
        self.predictions: dict[str, Prediction] = {}
        self.files: dict[str, bytes] = {}
        self.slow_cancels = 0

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token."""
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """RFC 7807."""
        return web.json_response({"title": "Error", "detail": message, "status": status}, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Predictions three ways, files, and the models' schemas."""
        return [
            web.post("/v1/models/{owner}/{name}/predictions", self._create),
            web.post("/v1/deployments/{owner}/{name}/predictions", self._create),
            web.post("/v1/predictions", self._create),
            web.get("/v1/predictions/{id}", self._get),
            web.post("/v1/predictions/{id}/cancel", self._cancel),
            web.post("/v1/files", self._upload),
            web.get("/v1/models/{owner}/{name}", self._model),
            web.get("/v1/models/{owner}/{name}/versions/{version}", self._model),
        ]

    def tree(self, prediction: Prediction) -> dict[str, Any]:
        """As the API shows it."""
        gone = prediction.data_removed
        output = prediction.output
        if output is None and prediction.has_video and not gone:
            output = self.delivery.link(prediction.id)
        return {
            "id": prediction.id,
            "model": prediction.model,
            "version": "hidden",
            "input": {} if gone else prediction.body["input"],
            "logs": "",
            "output": output,
            "data_removed": gone,
            "error": prediction.error,
            "status": prediction.status,
            "created_at": stamp(prediction.created_at),
            "started_at": stamp(prediction.started_at),
            "completed_at": stamp(prediction.completed_at),
            "metrics": {"predict_time": 41.2} if prediction.completed_at else {},
            "urls": {
                "get": f"{self.url}/v1/predictions/{prediction.id}",
                "cancel": f"{self.url}/v1/predictions/{prediction.id}/cancel",
            },
        }

    async def _create(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return self.error(400, "The body is not JSON")
        request[ASKED].json = body
        if wrong := self._wrong(request, body):
            return self.error(422, wrong)
        prediction = Prediction(secrets.token_hex(13), self._name(request), body)
        self.predictions[prediction.id] = prediction
        return web.json_response(self.tree(prediction), status=201)

    def _name(self, request: web.Request) -> str:
        found = request.match_info
        return f"{found['owner']}/{found['name']}" if "owner" in found else "versioned"

    def _wrong(self, request: web.Request, body: Any) -> str:
        allowed = MEMBERS if "owner" in request.match_info else MEMBERS | {"version"}
        if not isinstance(body, dict) or set(body) - allowed or not isinstance(body.get("input"), dict):
            return "- Additional property is not allowed"
        if "version" in allowed and not re.fullmatch("[0-9a-f]{64}", str(body.get("version"))):
            return "- version is required"
        if not re.fullmatch(r"\d+[smh]?", request.headers.get("cancel-after", "1s")):
            return "- cancel-after: invalid duration"
        if set(body.get("webhook_events_filter", ())) - {"start", "output", "logs", "completed"}:
            return "- webhook_events_filter: unknown event"
        known = MODELS.get(self._name(request))
        unknown = set(body["input"]) - set(known) if known else set()
        if unknown:
            return f"- input: unknown {', '.join(sorted(unknown))}"
        inline = [len(value) for value in body["input"].values() if str(value).startswith("data:")]
        return "- input: data is too large" if any(length > 400_000 for length in inline) else ""

    async def _get(self, request: web.Request) -> web.Response:
        prediction = self.predictions.get(request.match_info["id"])
        if prediction is None:
            return self.error(404, "The requested resource could not be found.")
        if prediction.checks_until_cancelled:
            prediction.checks_until_cancelled -= 1
            if not prediction.checks_until_cancelled:
                prediction.status, prediction.completed_at = "canceled", datetime.now(UTC)
        return web.json_response(self.tree(prediction))

    async def _cancel(self, request: web.Request) -> web.Response:
        prediction = self.predictions.get(request.match_info["id"])
        if prediction is None:
            return self.error(404, "The requested resource could not be found.")
        if prediction.status not in ENDED:
            prediction.checks_until_cancelled = self.slow_cancels
            if not self.slow_cancels:
                prediction.status, prediction.completed_at = "canceled", datetime.now(UTC)
        return web.json_response(self.tree(prediction))

    async def _upload(self, request: web.Request) -> web.Response:
        part = await read_form(request)
        if part is None or request[ASKED].form[-1][0] != "content":
            return self.error(400, "Missing content")
        name = secrets.token_hex(13)
        self.files[name] = part.data
        now = datetime.now(UTC)
        tree = {
            "id": name,
            "name": part.filename,
            "content_type": part.content_type,
            "size": len(part.data),
            "etag": secrets.token_hex(16),
            "checksums": {},
            "metadata": {},
            "created_at": stamp(now),
            "expires_at": stamp(now + timedelta(days=1)),
            "urls": {"get": f"{self.url}/v1/files/{name}"},
        }
        return web.json_response(tree, status=201)

    async def _model(self, request: web.Request) -> web.Response:
        known = MODELS.get(self._name(request))
        if known is None:
            return self.error(404, "The requested resource could not be found.")
        schemas = {"Input": {"type": "object", "properties": known, "required": ["prompt"]}, **DEFINITIONS}
        version = {"id": VERSION, "openapi_schema": {"components": {"schemas": schemas}}}
        if "version" in request.match_info:
            return web.json_response(version)
        return web.json_response({"owner": "x", "name": "y", "latest_version": version})

    def received(self, uri: str) -> bytes:
        """The bytes behind an input."""
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(";base64,")[2], validate=True)
        return self.files[uri.rpartition("/")[2]]

"""Runway's API: three ways to start a task, tasks, ephemeral uploads.

What is sent is held against the request types of Runway's SDK for Python, `runwayml` 5.24, which are generated from the
API's own description: an unknown member, a missing one or a value that is not listed is 400, as
https://docs.dev.runwayml.com/errors/troubleshooting/ describes it. Tasks are those of the SDK's `TaskRetrieveResponse`,
failure codes those of https://docs.dev.runwayml.com/errors/task-failures/, limits of inputs those of
https://docs.dev.runwayml.com/assets/inputs/. No recording of the real API is public.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from aiohttp import web
from pydantic import TypeAdapter, ValidationError
from runwayml.types import image_to_video_create_params, text_to_video_create_params, video_to_video_create_params
from typing_extensions import get_type_hints

from tests.doubles.outputs import Outputs
from tests.doubles.recorder import ASKED, Recorder, read_form

DATA_URI_BYTES_MAX = 5_000_000
UPLOAD_BYTES_MAX = 200_000_000
CREATED_AT = "2026-11-21T10:00:00.000Z"
REQUESTS = {
    "/v1/text_to_video": text_to_video_create_params.TextToVideoCreateParams,
    "/v1/image_to_video": image_to_video_create_params.ImageToVideoCreateParams,
    "/v1/video_to_video": video_to_video_create_params.VideoToVideoCreateParams,
}


class RunwayApi(Recorder):
    """One organization. `tasks` holds what each task says, without its links. `moderates` refuses prompts at once."""

    def __init__(self, outputs: Outputs, key: str = "test-key") -> None:
        super().__init__(key)
        self.outputs = outputs
        self.bodies: dict[str, Mapping[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.submits = 0
        self.upload_status = 204

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token, but for the storage behind uploads, which wants none of ours."""
        given = request.headers.get("authorization")
        if request.path.startswith("/storage/"):
            return self.key if given is None and "x-runway-version" not in request.headers else "leaked"
        if request.headers.get("x-runway-version") != "2024-11-06":
            return None
        return (given or "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """`{"error"}`."""
        return web.json_response({"error": message, "docUrl": "https://docs.dev.runwayml.com/errors"}, status=status)

    def invalid(self, member: str, message: str) -> web.Response:
        """What is wrong with a body."""
        issue = {"code": "custom", "message": message, "path": [member] if member else []}
        tree = {"error": "Validation of body failed", "issues": [issue], "docUrl": "https://docs.dev.runwayml.com/api"}
        return web.json_response(tree, status=400)

    def routes(self) -> list[web.RouteDef]:
        """Start, ask, delete, upload."""
        return [
            *(web.post(path, self._start) for path in REQUESTS),
            web.get("/v1/tasks/{id}", self._get),
            web.delete("/v1/tasks/{id}", self._delete),
            web.post("/v1/uploads", self._begin_upload),
            web.post("/storage/{id}", self._upload),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        self.submits += 1
        if request.content_type != "application/json" or request.content_length is None:
            return self.error(415, "Unsupported media type")
        tree = await request.json()
        request[ASKED].json = tree
        wrong = _wrong(request.path, tree)
        if wrong is not None:
            return self.invalid(*wrong)
        if "forbidden" in tree.get("promptText", ""):
            return self.invalid("promptText", "The prompt did not pass content moderation.")
        task = str(uuid.uuid4())
        self.bodies[task] = tree
        self.tasks[task] = {"status": "PENDING"}
        return web.json_response({"id": task, "estimatedCost": {"credits": 25}})

    async def _get(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        if task not in self.tasks:
            return self.error(404, "Task not found")
        tree = {"id": task, "createdAt": CREATED_AT, **self.tasks[task]}
        if tree.get("output") == ["link"]:
            tree["output"] = [self.outputs.link(task)]
        return web.json_response(tree, headers=self.headers.get(task, {}))

    async def _delete(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        if task not in self.tasks:
            return self.error(404, "Task not found")
        if self.tasks[task]["status"] in ("PENDING", "THROTTLED", "RUNNING"):
            charged = 25 if self.tasks[task]["status"] == "RUNNING" else 0
            self.tasks[task] = {"status": "CANCELLED", "cost": {"credits": charged}}
        else:
            del self.tasks[task]
            self.outputs.remove(task)
        return web.Response(status=204)

    async def _begin_upload(self, request: web.Request) -> web.Response:
        tree = await request.json()
        if set(tree) != {"filename", "type"} or tree["type"] != "ephemeral" or "." not in tree["filename"]:
            return self.invalid("filename", "Invalid filename")
        upload = str(uuid.uuid4())
        fields = {"key": f"ephemeral/{upload}", "policy": "eyJ9", "x-amz-signature": "0a1b"}
        answer = {"uploadUrl": f"{self.url}/storage/{upload}", "fields": fields, "runwayUri": f"runway://{upload}"}
        return web.json_response(answer)

    async def _upload(self, request: web.Request) -> web.Response:
        # S3's POST policy: every field that was signed, then the file, with a length.
        if request.content_length is None:
            return web.Response(status=411)
        part = await read_form(request)
        form = dict(request[ASKED].form)
        upload = request.match_info["id"]
        if self.upload_status != 204:
            return web.Response(status=self.upload_status)
        if part is None or form.get("key") != f"ephemeral/{upload}" or request[ASKED].form[-1][0] != "file":
            return web.Response(status=403)
        if len(part.data) > UPLOAD_BYTES_MAX:
            return web.Response(status=400)
        self.uploads[f"runway://{upload}"] = part.data
        return web.Response(status=204)

    def media(self, task: str, *members: str) -> bytes:
        """The bytes behind the first of these members that a request has."""
        uri = next(self.bodies[task][member] for member in members if member in self.bodies[task])
        if uri.startswith("runway://"):
            return self.uploads[uri]
        head, _, data = uri.partition(",")
        assert head in ("data:image/png;base64", "data:video/mp4;base64")
        return base64.b64decode(data, validate=True)


@cache
def kinds(path: str) -> dict[str, Any]:
    """The request types of an endpoint, by model."""
    return {get_args(get_type_hints(kind)["model"])[0]: kind for kind in get_args(REQUESTS[path])}


@cache
def members(kind: Any) -> dict[str, str]:
    """The SDK's name of each member, by the API's."""
    hints = get_type_hints(kind, include_extras=True)
    return {_alias(hint) or name: name for name, hint in hints.items()}


def _alias(hint: Any) -> str | None:
    for meta in [*getattr(hint, "__metadata__", ()), *get_args(hint)]:
        found = getattr(meta, "alias", None) or (_alias(meta) if get_args(meta) else None)
        if found:
            return str(found)
    return None


def _wrong(path: str, tree: Mapping[str, Any]) -> tuple[str, str] | None:
    """The member at fault and what is wrong with it."""
    kind = kinds(path).get(tree.get("model", ""))
    if kind is None:
        return "model", "This model is not available at this endpoint"
    names = members(kind)
    unknown = sorted(set(tree) - set(names))
    if unknown:
        return unknown[0], "Unrecognized key"
    try:
        TypeAdapter(kind).validate_python({names[name]: value for name, value in tree.items()}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        alias = {name: api for api, name in names.items()}
        return alias.get(str(first["loc"][0]), str(first["loc"][0])), first["msg"]
    for name in ("promptImage", "promptVideo", "videoUri"):
        if isinstance(tree.get(name), str) and not _is_asset(tree[name]):
            return name, "Invalid asset"
    return None


def _is_asset(uri: str) -> bool:
    if uri.startswith("data:"):
        return len(uri) <= DATA_URI_BYTES_MAX and ";base64," in uri[:100]
    # The real API wants https and a domain.
    return uri.startswith(("runway://", "https://", "http://127.0.0.1:"))

"""Mistral's Files API.

Members and parameters are those of the official client (mistralai 3.7, generated from the provider's specification):
pages by number, `bytes`, `sample_type`, `source`, `mimetype`, `signature`, `expires_at`, `visibility`. That client was
run against it: upload, list, retrieve, download, delete.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.doubles.recorder import ASKED, Recorder, read_form

PURPOSES = ("fine-tune", "batch", "ocr", "agentic_safety")


@dataclass
class Stored:
    """A file there."""

    id: str
    filename: str
    mimetype: str
    purpose: str
    data: bytes
    created_at: int
    expires_at: int | None
    visibility: str

    def tree(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.data),
            "created_at": self.created_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "sample_type": {"batch": "batch_request", "ocr": "ocr_input"}.get(self.purpose, "instruct"),
            "num_lines": self.data.count(b"\n") if self.purpose == "batch" else None,
            "mimetype": self.mimetype,
            "source": "upload",
            "signature": hashlib.md5(self.data, usedforsecurity=False).hexdigest(),
            "expires_at": self.expires_at,
            "visibility": self.visibility,
        }


class MistralApi(Recorder):
    """A workspace."""

    def __init__(self, key: str = "test-key") -> None:
        super().__init__(key)
        self.files: dict[str, Stored] = {}

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token."""
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """Plain for 401 and 404, with the place for 422."""
        if status == 422:
            tree: dict[str, Any] = {"object": "error", "message": {"detail": [{"msg": message}]}, "code": None}
        else:
            tree = {"detail": message}
        return web.json_response(tree, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Upload, list, retrieve, delete, download, signed URL."""
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files", self._list),
            web.get("/v1/files/{id}", self._get),
            web.delete("/v1/files/{id}", self._delete),
            web.get("/v1/files/{id}/content", self._content, allow_head=False),
            web.get("/v1/files/{id}/url", self._signed),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        part = await read_form(request)
        fields = dict(request[ASKED].form)
        purpose = fields.get("purpose", "fine-tune")
        if part is None or purpose not in PURPOSES:
            return self.error(422, "Input should be 'fine-tune', 'batch', 'ocr' or 'agentic_safety'")
        now = int(time.time())
        expires_at = now + 3600 * int(fields["expiry"]) if "expiry" in fields else None
        visibility = fields.get("visibility", "workspace")
        name = (part.filename, part.content_type)
        file = Stored(str(uuid.uuid4()), *name, purpose, part.data, now, expires_at, visibility)
        self.files[file.id] = file
        return web.json_response(file.tree())

    async def _list(self, request: web.Request) -> web.Response:
        number, size = int(request.query.get("page", 0)), int(request.query.get("page_size", 100))
        purpose = request.query.get("purpose")
        # In no order: the client must not rely on one.
        files = sorted(self.files.values(), key=lambda file: file.id)
        files = [file for file in files if purpose in (None, file.purpose)]
        tree: dict[str, Any] = {
            "data": [file.tree() for file in files[number * size : (number + 1) * size]],
            "object": "list",
        }
        if request.query.get("include_total", "true") == "true":
            tree["total"] = len(files)
        return web.json_response(tree)

    async def _get(self, request: web.Request) -> web.Response:
        file = self._found(request)
        return self._absent() if file is None else web.json_response({**file.tree(), "deleted": False})

    async def _delete(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent()
        del self.files[file.id]
        return web.json_response({"id": file.id, "object": "file", "deleted": True})

    async def _content(self, request: web.Request) -> web.Response:
        file = self._found(request)
        return self._absent() if file is None else web.Response(body=file.data, content_type=file.mimetype)

    async def _signed(self, request: web.Request) -> web.Response:
        file = self._found(request)
        return self._absent() if file is None else web.json_response({"url": f"{self.url}/signed/{file.id}"})

    def _found(self, request: web.Request) -> Stored | None:
        return self.files.get(request.match_info["id"])

    def _absent(self) -> web.Response:
        return self.error(404, "No file matches the given query.")

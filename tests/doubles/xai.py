"""xAI's Files API.

Fields, their order, limits and paths are those of https://docs.x.ai/developers/rest-api-reference/files (upload,
manage, download) and https://docs.x.ai/developers/files/managing-files; the record is as recorded from the real API:
an id with `file_` and a UUID, an empty purpose. OpenAI's client, which xAI documents for it, was run against it.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.doubles.recorder import ASKED, Recorder, read_form

SORTS = {"created_at": lambda file: file.number, "filename": lambda file: file.filename, "size": lambda f: len(f.data)}


@dataclass
class Stored:
    """A file there."""

    id: str
    filename: str
    data: bytes
    created_at: int
    expires_at: int | None
    number: int

    def tree(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.data),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": "",
        }


class XaiApi(Recorder):
    """A team. `page_max` bounds a page, whatever is asked for."""

    def __init__(self, key: str = "test-key", *, page_max: int = 100) -> None:
        super().__init__(key)
        self.page_max = page_max
        self.files: dict[str, Stored] = {}

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token."""
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """`{"code", "error"}`, both text."""
        codes = {404: "Some requested entity was not found", 400: "Client specified an invalid argument"}
        tree = {"code": codes.get(status, "The caller does not have permission"), "error": message}
        return web.json_response(tree, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Upload, list, get, delete, download."""
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files", self._list),
            web.get("/v1/files/{id}", self._get),
            web.delete("/v1/files/{id}", self._delete),
            web.get("/v1/files/{id}/content", self._content, allow_head=False),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        part = await read_form(request)
        form = request[ASKED].form
        if part is None or form[-1][0] != "file":
            return self.error(400, "fields must come before the file")
        fields = dict(form)
        life_s = int(fields["expires_after"]) if "expires_after" in fields else None
        if life_s is not None and not 3600 <= life_s <= 2_592_000:
            return self.error(400, "expires_after must be between 3600 and 2592000")
        now = int(time.time())
        expires_at = None if life_s is None else now + life_s
        file = Stored(f"file_{uuid.uuid4()}", part.filename, part.data, now, expires_at, len(self.asked))
        self.files[file.id] = file
        return web.json_response(file.tree())

    async def _list(self, request: web.Request) -> web.Response:
        limit = min(int(request.query.get("limit", 100)), self.page_max)
        files = sorted(self.files.values(), key=SORTS[request.query.get("sort_by", "created_at")])
        if request.query.get("order", "desc") == "desc":
            files.reverse()
        token = request.query.get("pagination_token")
        begin = next((at + 1 for at, file in enumerate(files) if file.id == token), 0)
        page = files[begin : begin + limit]
        tree: dict[str, Any] = {"data": [file.tree() for file in page]}
        if begin + limit < len(files):
            tree["pagination_token"] = page[-1].id
        return web.json_response(tree)

    async def _get(self, request: web.Request) -> web.Response:
        file = self._found(request)
        return self._absent(request) if file is None else web.json_response(file.tree())

    async def _delete(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        del self.files[file.id]
        return web.json_response({"id": file.id, "deleted": True})

    async def _content(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        return web.Response(body=file.data, content_type="application/octet-stream")

    def _found(self, request: web.Request) -> Stored | None:
        return self.files.get(request.match_info["id"])

    def _absent(self, request: web.Request) -> web.Response:
        return self.error(404, f"File {request.match_info['id']} was not found")

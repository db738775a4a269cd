"""Anthropic's Files API.

Records, pages and the refusal of a download are as recorded from the real API in September 2026 (tidyverse/ellmer,
tests/testthat/_vcr/anthropic-files.yml); fields and limits as in https://platform.claude.com/docs/en/api/files. The
official client (anthropic 2.11) was run against it: upload, list over several pages, metadata, download, delete.
The beta's pages are as https://platform.claude.com/docs/en/api/beta/files/list shows them; that client no longer asks
for such.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.doubles.recorder import ASKED, Recorder, read_form

FORBIDDEN = re.compile(r'[<>:"|?*\\/\x00-\x1f]')


@dataclass
class Stored:
    """A file there."""

    id: str
    filename: str
    mime_type: str
    data: bytes
    created_at: datetime
    expires_at: datetime | None
    downloadable: bool

    def tree(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "type": "file",
            "id": self.id,
            "size_bytes": len(self.data),
            "created_at": _time(self.created_at),
            "expires_at": None if self.expires_at is None else _time(self.expires_at),
            "filename": self.filename,
            "mime_type": self.mime_type,
            "downloadable": self.downloadable,
        }


class AnthropicApi(Recorder):
    """A workspace. `page_max` bounds a page, whatever is asked for; `beta` lists as the beta did."""

    def __init__(self, key: str = "test-key", *, page_max: int = 1000, beta: bool = False) -> None:
        super().__init__(key)
        self.page_max = page_max
        self.beta = beta
        self.files: dict[str, Stored] = {}

    def credentials(self, request: web.Request) -> str | None:
        """`x-api-key`, as documented, or a bearer token, as the official client sends it; and a version."""
        if "anthropic-version" not in request.headers:
            return None
        return request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str, **details: str) -> web.Response:
        """`{"type": "error", "error": {...}, "request_id"}`."""
        kinds = {401: "authentication_error", 404: "not_found_error"}
        error: dict[str, Any] = {"type": kinds.get(status, "invalid_request_error"), "message": message}
        if details:
            error["details"] = details
        tree = {"type": "error", "error": error, "request_id": f"req_{secrets.token_hex(8)}"}
        return web.json_response(tree, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Upload, list, metadata, delete, download."""
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files", self._list),
            web.get("/v1/files/{id}", self._get),
            web.delete("/v1/files/{id}", self._delete),
            web.get("/v1/files/{id}/content", self._content, allow_head=False),
        ]

    def make(self, filename: str, data: bytes, mime_type: str = "text/plain", *, downloadable: bool = True) -> Stored:
        """A file such as a tool makes."""
        return self._store(filename, mime_type, data, None, downloadable=downloadable)

    def _store(self, filename: str, mime_type: str, data: bytes, life_s: int | None, *, downloadable: bool) -> Stored:
        now = datetime.now(UTC)
        expires_at = None if life_s is None else now + timedelta(seconds=life_s)
        file = Stored(f"file_01{secrets.token_hex(11)}", filename, mime_type, data, now, expires_at, downloadable)
        self.files[file.id] = file
        return file

    async def _upload(self, request: web.Request) -> web.Response:
        part = await read_form(request)
        fields = dict(request[ASKED].form)
        if part is None:
            return self.error(400, "file: Field required")
        if not 1 <= len(part.filename) <= 255 or FORBIDDEN.search(part.filename):
            return self.error(400, "Invalid filename")
        life_s = int(fields["expires_in_seconds"]) if "expires_in_seconds" in fields else None
        if life_s is not None and not 3600 <= life_s <= 7_776_000:
            return self.error(400, "expires_in_seconds: must be between 3600 and 7776000")
        file = self._store(part.filename, part.content_type, part.data, life_s, downloadable=False)
        return web.json_response(file.tree())

    async def _list(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", 20))
        if not 1 <= limit <= 1000:
            return self.error(400, "limit: must be between 1 and 1000")
        files = list(reversed(self.files.values()))
        after = request.query.get("after_id") or request.query.get("page", "").removeprefix("page_")
        begin = next((at + 1 for at, file in enumerate(files) if file.id == after), 0)
        page = files[begin : begin + min(limit, self.page_max)]
        more = begin + len(page) < len(files)
        data = [file.tree() for file in page]
        if self.beta:
            ends = {"first_id": page[0].id if page else None, "last_id": page[-1].id if page else None}
            return web.json_response({"data": data, "has_more": more, **ends})
        return web.json_response({"data": data, "next_page": f"page_{page[-1].id}" if more else None})

    async def _get(self, request: web.Request) -> web.Response:
        file = self._found(request)
        return self._absent(request) if file is None else web.json_response(file.tree())

    async def _delete(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        del self.files[file.id]
        return web.json_response({"id": file.id, "type": "file_deleted"})

    async def _content(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        if not file.downloadable:
            return self.error(
                400,
                f"File `{file.id}` is not downloadable. Only files generated by a tool (for example, the code "
                "execution tool) can be downloaded.",
                error_code="file_not_downloadable",
            )
        return web.Response(body=file.data, content_type="application/octet-stream")

    def _found(self, request: web.Request) -> Stored | None:
        return self.files.get(request.match_info["id"])

    def _absent(self, request: web.Request) -> web.Response:
        return self.error(404, f"File not found: {request.match_info['id']}")


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

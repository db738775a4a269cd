"""The Gemini API's files: the resumable upload, records whose state moves, downloads behind a redirect.

The upload's headers, records, pages and the refusal of a download are as recorded from the real API in September 2026
(tidyverse/ellmer, tests/testthat/_vcr/google-files.yml), the redirect of a download as recorded in crmne/ruby_llm; the
commands `query` and `cancel` as in https://developers.google.com/streetview/publish/resumable-uploads. The official
client (google-genai 3.4) was run against it: upload in chunks, list over several pages, get, download, delete.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.doubles.recorder import ASKED, Recorder, cut_off

GRANULARITY = 8 << 20
LIFE = timedelta(hours=48)
TOKEN = "ya29.of-the-cloud"


@dataclass
class Stored:
    """A file there. `polls` says how often it is still seen as PROCESSING."""

    name: str
    display_name: str
    mime_type: str
    data: bytes
    source: str
    created_at: datetime
    polls: int = 0
    state: str = "ACTIVE"
    told_hash: str = ""


@dataclass
class Sending:
    """An upload that goes on. Its `status` is active, final or cancelled."""

    name: str
    display_name: str
    mime_type: str
    size: int
    received: bytearray = field(default_factory=bytearray)
    status: str = "active"
    answer: dict[str, Any] | None = None


class GeminiApi(Recorder):
    """A project.

    `page_max` bounds a page, `granularity` is what chunks must be multiples of, `processing` how often a new file is
    seen as PROCESSING, `fails` whether it then fails. `wrong_hash` tells of other bytes; `loses_final` breaks the
    connection once where the last chunk would be answered; `breaks` holds after how many bytes each of the next chunks
    is cut off. `upload_host` is the host that the upload's URL names, where that is not this one. `buckets` holds the
    media type and the bytes of the objects that the holder of `TOKEN` can read, by their URIs.
    """

    def __init__(self, key: str = "test-key", *, page_max: int = 100, granularity: int = GRANULARITY) -> None:
        super().__init__(key)
        self.page_max = page_max
        self.granularity = granularity
        self.processing = 0
        self.fails = False
        self.wrong_hash = False
        self.loses_final = False
        self.upload_host = ""
        self.breaks: list[int] = []
        self.buckets: dict[str, tuple[str, bytes]] = {}
        self.files: dict[str, Stored] = {}
        self.uploads: dict[str, Sending] = {}

    def credentials(self, request: web.Request) -> str | None:
        """A header; a key in the query, which ends in logs, is none here. The id of an upload stands for the key that
        started it: the official client sends no other."""
        if request.query.get("upload_id") in self.uploads:
            return self.key
        return request.headers.get("x-goog-api-key")

    def error(self, status: int, message: str) -> web.Response:
        """`{"error": {"code", "message", "status"}}`; a wrong key is a 400 with a reason."""
        words = {403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}
        error: dict[str, Any] = {"code": status, "message": message, "status": words.get(status, "INVALID_ARGUMENT")}
        if status == 401:
            status, error["code"] = 400, 400
            error["message"] = "API key not valid. Please pass a valid API key."
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            error["details"] = [{"@type": kind, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
        return web.json_response({"error": error}, status=status)

    def routes(self) -> list[web.RouteDef]:
        """Start, go on with an upload, list, get, delete, download."""
        return [
            web.post("/upload/{version}/files", self._upload),
            web.get("/{version}/files", self._list),
            web.post("/{version}/files:register", self._register),
            web.get("/{version}/files/{id}:download", self._redirect, allow_head=False),
            web.get("/download/{version}/files/{id}:download", self._download, allow_head=False),
            web.get("/{version}/files/{id}", self._get),
            web.delete("/{version}/files/{id}", self._delete),
        ]

    def make(self, data: bytes, mime_type: str = "video/mp4") -> Stored:
        """A file such as a model makes."""
        return self._store(f"files/{secrets.token_hex(6)}", "", mime_type, data, "GENERATED")

    def _store(self, name: str, display_name: str, mime_type: str, data: bytes, source: str) -> Stored:
        file = Stored(name, display_name, mime_type, data, source, datetime.now(UTC))
        if source == "UPLOADED":
            file.polls = self.processing
            file.state = "FAILED" if self.fails else "ACTIVE"
        shown = b"other" if self.wrong_hash else data
        # The real API does this: base64 of the hexadecimal text.
        file.told_hash = base64.b64encode(hashlib.sha256(shown).hexdigest().encode()).decode()
        self.files[name] = file
        return file

    def _tree(self, file: Stored, version: str) -> dict[str, Any]:
        state = "PROCESSING" if file.polls > 0 else file.state
        made = file.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        ends = (file.created_at + LIFE).isoformat(timespec="microseconds").replace("+00:00", "123Z")
        uri = f"{self.url}/{version}/{file.name}"
        tree = {
            "name": file.name,
            "mimeType": file.mime_type,
            "sizeBytes": str(len(file.data)),
            "createTime": made,
            "updateTime": made,
            "expirationTime": ends,
            "sha256Hash": file.told_hash,
            "uri": uri,
            "state": state,
            "source": file.source,
        }
        if file.display_name:
            tree["displayName"] = file.display_name
        if file.source == "GENERATED":
            tree["downloadUri"] = f"{uri}:download?alt=media"
        return tree

    async def _upload(self, request: web.Request) -> web.Response:
        if "upload_id" in request.query:
            return await self._go_on(request)
        asked = request[ASKED]
        if asked.headers.get("x-goog-upload-command") != "start":
            return self.error(400, "Upload command must be start.")
        asked.json = await request.json()
        file = asked.json["file"]
        name = file.get("name") or f"files/{secrets.token_hex(6)}"
        if name in self.files:
            return self.error(409, f"Requested entity already exists: {name}")
        upload_id = secrets.token_hex(16)
        headers = asked.headers
        size = int(headers["x-goog-upload-header-content-length"])
        kind = headers["x-goog-upload-header-content-type"]
        shown = file.get("display_name") or file.get("displayName") or ""
        self.uploads[upload_id] = Sending(name, shown, kind, size)
        query = f"upload_id={upload_id}&upload_protocol=resumable"
        url = f"{self.upload_host or self.url}{request.path}?{query}"
        return web.Response(
            headers={
                "x-goog-upload-url": url,
                "x-goog-upload-control-url": url,
                "x-goog-upload-chunk-granularity": str(self.granularity),
                "x-goog-upload-status": "active",
            }
        )

    async def _go_on(self, request: web.Request) -> web.Response:
        sending = self.uploads.get(request.query["upload_id"])
        if sending is None:
            return self.error(404, "Upload not found.")
        command = request.headers.get("x-goog-upload-command", "")
        if command == "query":
            received = {"x-goog-upload-size-received": str(len(sending.received))}
            return self._state(sending, received if sending.status == "active" else {})
        if command == "cancel":
            sending.status = "cancelled"
            return self._state(sending)
        if sending.status != "active":
            return self._state(sending)
        if int(request.headers["x-goog-upload-offset"]) != len(sending.received):
            return self.error(400, "Upload offset does not match.")
        return await self._take(request, sending, finalize="finalize" in command)

    async def _take(self, request: web.Request, sending: Sending, *, finalize: bool) -> web.Response:
        cut_at = self.breaks.pop(0) if self.breaks else None
        taken = bytearray()
        async for piece in request.content.iter_any():
            taken += piece
            if cut_at is not None and len(taken) >= cut_at:
                sending.received += taken[: max(cut_at, 0)]
                return cut_off(request)
        if not finalize and (len(sending.received) + len(taken)) % self.granularity:
            return self.error(400, "Chunk is no multiple of the granularity.")
        sending.received += taken
        if finalize:
            if len(sending.received) != sending.size:
                return self.error(400, "Upload is not as long as announced.")
            data = bytes(sending.received)
            file = self._store(sending.name, sending.display_name, sending.mime_type, data, "UPLOADED")
            sending.status, sending.answer = "final", {"file": self._tree(file, request.match_info["version"])}
            if self.loses_final:
                self.loses_final = False
                return cut_off(request)
        return self._state(sending)

    def _state(self, sending: Sending, more: dict[str, str] | None = None) -> web.Response:
        headers = {"x-goog-upload-status": sending.status, **(more or {})}
        if sending.answer is None:
            return web.Response(headers=headers)
        return web.json_response(sending.answer, headers=headers)

    async def _list(self, request: web.Request) -> web.Response:
        size = min(int(request.query.get("pageSize", 10)), self.page_max)
        files = list(reversed(self.files.values()))
        token = base64.urlsafe_b64decode(request.query.get("pageToken", "")).decode()
        begin = next((at + 1 for at, file in enumerate(files) if file.name == token), 0)
        page = files[begin : begin + size]
        # An empty list is an empty object there.
        tree: dict[str, Any] = {}
        if page:
            tree["files"] = [self._tree(file, request.match_info["version"]) for file in page]
        if begin + len(page) < len(files):
            tree["nextPageToken"] = base64.urlsafe_b64encode(page[-1].name.encode()).decode()
        return web.json_response(tree)

    async def _register(self, request: web.Request) -> web.Response:
        """As google-genai 3.4 asks for it: the key, and a bearer token beside it."""
        asked = request[ASKED]
        asked.json = await request.json()
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.error(403, "The caller does not have permission")
        made = []
        for uri in asked.json["uris"]:
            if uri not in self.buckets:
                return self.error(404, f"Object {uri} is not found.")
            kind, data = self.buckets[uri]
            made.append(self._store(f"files/{secrets.token_hex(6)}", "", kind, data, "REGISTERED"))
        return web.json_response({"files": [self._tree(file, request.match_info["version"]) for file in made]})

    async def _get(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        tree = self._tree(file, request.match_info["version"])
        file.polls -= 1
        return web.json_response(tree)

    async def _delete(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        del self.files[file.name]
        return web.json_response({})

    async def _redirect(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        if file.source != "GENERATED":
            return self.error(400, "Only GENERATED files can be downloaded.")
        return web.Response(status=302, headers={"location": f"/download{request.path_qs}"})

    async def _download(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is None:
            return self._absent(request)
        asked = request.http_range
        if "range" not in request.headers:
            return web.Response(body=file.data, content_type=file.mime_type)
        start, end, _ = asked.indices(len(file.data))
        headers = {"content-range": f"bytes {start}-{end - 1}/{len(file.data)}"}
        return web.Response(status=206, body=file.data[start:end], headers=headers, content_type=file.mime_type)

    def _found(self, request: web.Request) -> Stored | None:
        return self.files.get(f"files/{request.match_info['id']}")

    def _absent(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        return self.error(403, f"You do not have permission to access the File {name} or it may not exist.")

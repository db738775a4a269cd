"""OpenAI's Files and Uploads API as it is documented, for what aimock does not play: large files, uploads in parts,
refused downloads, Azure's paths, states and tokens, and servers that leave parts of the API out.

    with openai_files() as server:
        build_files(Account("a", "openai", api_key=KEY, api_base=f"{server.url}/v1"))
        server.journal[-1]

Sources: https://platform.openai.com/docs/api-reference/files and .../uploads, and the specification at
https://github.com/openai/openai-openapi; for Azure
https://learn.microsoft.com/azure/ai-foundry/openai/latest and .../reference.
It runs in a thread of its own, so that tests of any kind can use it, or alone: `python -m tests.doubles.openai_files`.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import secrets
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from multipart import MultipartError

from tests.doubles.form import form_of
from tests.doubles.serving import serving

KEY = "sk-recorder"
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
PREFIXES = ("/v1", "/openai/v1", "/openai")
PART_BYTES_MAX = 64 << 20
Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


class Refusal(Exception):
    """An answer in OpenAI's envelope."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.answer = web.json_response({"error": error}, status=status)


@dataclass
class Seen:
    """One request. `form` holds a form's parts in their order: name, and text or what was measured of a file."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: list[tuple[str, Any]] = field(default_factory=list)
    json: Any = None


SEEN = web.RequestKey("seen", Seen)


@dataclass
class OpenAIFilesServer:
    """The state, and the knobs that tests turn.

    `ignores` names what a poorer server does not know: `after`, `limit`, `order`, `purpose`, `has_more`, `range`, and
    the routes `get`, `list`, `content`, `uploads`. `no_download` are the purposes that are not handed back.
    `pending_polls` is for how many reads a new file is `pending`. `lose_bytes` cuts that much from what it says that it
    took. `drop_parts` breaks the connection for that many parts, `drop_creates` after that many files have been made.
    `hold` keeps the next answer about a file back, once it is known, until it is set.
    """

    keys: set[str] = field(default_factory=lambda: {KEY})
    ignores: set[str] = field(default_factory=lambda: {"range"})
    no_download: set[str] = field(default_factory=lambda: {"assistants", "user_data", "vision"})
    pending_polls: int = 0
    lose_bytes: int = 0
    null_bytes: bool = False
    drop_parts: int = 0
    drop_creates: int = 0
    hold: threading.Event | None = None
    file_bytes_max: int = 512_000_000
    token_life_s: int = 3600
    url: str = ""
    journal: list[Seen] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts_at_once: int = 0
    parts_at_once_max: int = 0
    _order: Iterator[int] = field(default_factory=itertools.count)
    _polls: dict[str, int] = field(default_factory=dict)

    def calls(self, method: str, ending: str = "") -> list[Seen]:
        """The requests with this method, whose path ends so."""
        return [seen for seen in self.journal if seen.method == method and seen.path.endswith(ending)]

    def app(self) -> web.Application:
        """The routes, for each way in which a client may address them."""
        app = web.Application(client_max_size=PART_BYTES_MAX + (1 << 20))
        self._add_routes(app)
        return app

    def _add_routes(self, app: web.Application) -> None:
        for prefix in PREFIXES:
            app.router.add_post(f"{prefix}/files", self._guarded(self._create))
            app.router.add_get(f"{prefix}/files", self._guarded(self._list))
            app.router.add_get(f"{prefix}/files/{{id}}", self._guarded(self._get), allow_head=False)
            app.router.add_delete(f"{prefix}/files/{{id}}", self._guarded(self._delete))
            app.router.add_get(f"{prefix}/files/{{id}}/content", self._guarded(self._content), allow_head=False)
            app.router.add_post(f"{prefix}/uploads", self._guarded(self._begin_upload))
            app.router.add_post(f"{prefix}/uploads/{{id}}/parts", self._guarded(self._add_part))
            app.router.add_post(f"{prefix}/uploads/{{id}}/complete", self._guarded(self._complete))
            app.router.add_post(f"{prefix}/uploads/{{id}}/cancel", self._guarded(self._cancel))
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        app.router.add_get("/__journal", self._journal)
        app.router.add_route("*", "/{rest:.*}", self._unknown)

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            seen = Seen(request.method, request.path, dict(request.query), dict(request.headers))
            seen.headers = {name.lower(): value for name, value in seen.headers.items()}
            self.journal.append(seen)
            request[SEEN] = seen
            try:
                self._admit(request)
                return await handler(request)
            except MultipartError:
                return Refusal(400, "Could not parse multipart form").answer
            except Refusal as refusal:
                await request.read() if request.can_read_body and request.content_length else None
                return refusal.answer

        return guarded

    def _admit(self, request: web.Request) -> None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not {request.headers.get("api-key"), bearer} & self.keys:
            raise Refusal(401, "Incorrect API key provided: sk-rec****.", code="invalid_api_key")
        classic = request.path.startswith("/openai/") and not request.path.startswith("/openai/v1/")
        if classic and "api-version" not in request.query:
            raise Refusal(404, "Resource not found", code="404")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        seen = request[SEEN]
        fields: dict[str, str] = {}
        data, name = b"", ""
        async for part in form_of(request):
            if part.name == "file":
                data, name = bytes(part.data), part.filename or ""
                digest = hashlib.sha256(data).hexdigest()
                measured = {"filename": name, "type": part.content_type, "bytes": len(data), "sha256": digest}
                seen.form.append(("file", measured))
            else:
                fields[part.name] = part.data.decode()
                seen.form.append((part.name, fields[part.name]))
        if len(data) > self.file_bytes_max:
            raise Refusal(413, "File is too large.")
        expiry = {key[14:-1]: value for key, value in fields.items() if key.startswith("expires_after[")}
        file = self._add(data, name, fields.get("purpose", ""), expiry)
        if self.drop_creates:
            self.drop_creates -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(file)

    def _add(self, data: bytes, name: str, purpose: str, expiry: dict[str, Any]) -> dict[str, Any]:
        if purpose not in PURPOSES:
            raise Refusal(400, f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'")
        if purpose in ("batch", "fine-tune") and not name.endswith(".jsonl"):
            raise Refusal(400, "Invalid file format for Batch API. Must be .jsonl")
        created = int(time.time())
        file: dict[str, Any] = {"id": f"file-{secrets.token_hex(12)}", "object": "file", "bytes": len(data)}
        file |= {"created_at": created, "filename": name, "purpose": purpose, "status": "processed"}
        file |= {"status_details": None, "expires_at": None}
        if expiry:
            seconds = int(expiry.get("seconds", 0))
            if expiry.get("anchor") != "created_at" or not 3600 <= seconds <= 2_592_000:
                raise Refusal(400, "Invalid 'expires_after'.", param="expires_after")
            file["expires_at"] = created + seconds
        self.contents[file["id"]] = data
        self.files[file["id"]] = file | {"order": next(self._order)}
        self._polls[file["id"]] = self.pending_polls
        return self._shown(file["id"])

    def _shown(self, name: str, *, poll: bool = False) -> dict[str, Any]:
        file = {key: value for key, value in self.files[name].items() if key != "order"}
        if self._polls[name] > 0:
            self._polls[name] -= poll
            file["status"] = "pending"
        file["bytes"] = None if self.null_bytes else file["bytes"] - self.lose_bytes
        return file

    def _found(self, request: web.Request) -> str:
        name = request.match_info["id"]
        if name not in self.files:
            raise Refusal(404, f"No such File object: {name}", param="id")
        return name

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if "get" in self.ignores:
            return await self._unknown(request)
        hold, self.hold = self.hold, None
        try:
            return web.json_response(self._shown(self._found(request), poll=True))
        finally:
            if hold is not None:
                await asyncio.to_thread(hold.wait, 60)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if "list" in self.ignores:
            return await self._unknown(request)
        query = {key: value for key, value in request.query.items() if key not in self.ignores}
        files = sorted(self.files.values(), key=lambda file: int(file["order"]), reverse=query.get("order") != "asc")
        if "purpose" in query:
            files = [file for file in files if file["purpose"] == query["purpose"]]
        if "after" in query:
            if query["after"] not in self.files:
                raise Refusal(400, "Invalid 'after'.", param="after")
            position = next((at for at, file in enumerate(files) if file["id"] == query["after"]), -1)
            files = files[position + 1 :]
        limit = int(query.get("limit", 10_000))
        if not 1 <= limit <= 10_000:
            raise Refusal(400, "Invalid 'limit'.", param="limit")
        data = [self._shown(file["id"]) for file in files[:limit]]
        page = {"object": "list", "data": data, "first_id": None, "last_id": None, "has_more": len(files) > limit}
        if data:
            page |= {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return web.json_response({key: value for key, value in page.items() if key not in self.ignores})

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        name = self._found(request)
        del self.files[name], self.contents[name]
        return web.json_response({"id": name, "object": "file", "deleted": True})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        if "content" in self.ignores:
            return await self._unknown(request)
        name = self._found(request)
        if self.files[name]["purpose"] in self.no_download:
            raise Refusal(400, f"Not allowed to download files of purpose: {self.files[name]['purpose']}")
        data, status, headers = self.contents[name], 200, {}
        if "range" not in self.ignores and "range" in request.headers:
            piece = request.http_range
            start, end = piece.start or 0, min(piece.stop or len(data), len(data))
            headers = {"content-range": f"bytes {start}-{end - 1}/{len(data)}"}
            data, status = data[start:end], 206
        return web.Response(body=data, status=status, headers=headers, content_type="application/octet-stream")

    async def _begin_upload(self, request: web.Request) -> web.StreamResponse:
        if "uploads" in self.ignores:
            return await self._unknown(request)
        wanted = request[SEEN].json = await request.json()
        name = f"upload_{secrets.token_hex(12)}"
        shown = {"id": name, "object": "upload", "status": "pending", "created_at": int(time.time())}
        shown |= {key: wanted[key] for key in ("bytes", "filename", "purpose")} | {
            "expires_at": int(time.time()) + 3600
        }
        self.uploads[name] = {"shown": shown, "parts": {}, "wanted": wanted}
        return web.json_response(shown)

    def _upload(self, request: web.Request) -> dict[str, Any]:
        upload = self.uploads.get(request.match_info["id"])
        if upload is None:
            raise Refusal(404, f"No such Upload object: {request.match_info['id']}", param="id")
        if upload["shown"]["status"] != "pending":
            raise Refusal(400, f"Upload is {upload['shown']['status']}.")
        return upload

    async def _add_part(self, request: web.Request) -> web.StreamResponse:
        upload = self._upload(request)
        self.parts_at_once += 1
        self.parts_at_once_max = max(self.parts_at_once_max, self.parts_at_once)
        try:
            (part,) = [part async for part in form_of(request)]
            data = bytes(part.data)
            request[SEEN].form.append((part.name, {"filename": part.filename, "bytes": len(data)}))
            if len(data) > PART_BYTES_MAX:
                raise Refusal(413, "Part is too large.")
            if self.drop_parts:
                self.drop_parts -= 1
                assert request.transport is not None
                request.transport.abort()
            name = f"part_{secrets.token_hex(12)}"
            upload["parts"][name] = data
            shown = {"id": name, "object": "upload.part", "created_at": int(time.time())}
            return web.json_response({**shown, "upload_id": upload["shown"]["id"]})
        finally:
            self.parts_at_once -= 1

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        upload = self._upload(request)
        said = request[SEEN].json = await request.json()
        data = b"".join(upload["parts"][part] for part in said["part_ids"])
        if len(data) != upload["wanted"]["bytes"]:
            raise Refusal(400, "The number of bytes uploaded does not match.")
        if "md5" in said and hashlib.md5(data).hexdigest() != said["md5"]:
            raise Refusal(400, "The MD5 does not match.")
        wanted = upload["wanted"]
        file = self._add(data, wanted["filename"], wanted["purpose"], wanted.get("expires_after", {}))
        upload["shown"] |= {"status": "completed", "file": file}
        if self.drop_creates:
            self.drop_creates -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(upload["shown"])

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        upload = self._upload(request)
        upload["shown"]["status"] = "cancelled"
        upload["parts"].clear()
        return web.json_response(upload["shown"])

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.journal.append(Seen("POST", request.path, {}, dict(request.headers), list(form.items())))
        if form.get("client_secret") != "entra-secret" or form.get("grant_type") != "client_credentials":
            body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return web.json_response(body, status=401)
        token = f"entra-{secrets.token_hex(8)}"
        self.keys.add(token)
        body = {"token_type": "Bearer", "expires_in": self.token_life_s, "ext_expires_in": 1, "access_token": token}
        return web.json_response(body)

    async def _journal(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([vars(seen) for seen in self.journal])

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        # As Starlette answers, which most servers of this kind are built on.
        return web.json_response({"detail": "Not Found"}, status=404)


@contextmanager
def openai_files(port: int = 0, **knobs: Any) -> Iterator[OpenAIFilesServer]:
    """The server, in a thread of its own."""
    server = OpenAIFilesServer(**knobs)
    with serving(lambda: web.AppRunner(server.app(), shutdown_timeout=0.1), port=port) as serving_port:
        server.url = f"http://127.0.0.1:{serving_port}"
        yield server


if __name__ == "__main__":
    with openai_files(int(sys.argv[1]) if len(sys.argv) > 1 else 8089) as running:
        print(running.url, flush=True)
        threading.Event().wait()

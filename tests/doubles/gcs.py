"""Google Cloud Storage for tests: the emulator from PyPI, and a recorder for what that one leaves out.

The recorder holds the JSON API's documented format (https://cloud.google.com/storage/docs/json_api/v1): pages,
generation and metageneration preconditions, rewrites in steps, resumable sessions that keep less than they were sent,
are asked, break or are cancelled, and wrong checksums. What it is sent can be held against Google's discovery document
(`storage_v1.json`: storage.v1 of google-api-python-client 2.202.0, Apache-2.0, cut to the methods in use).
"""

from __future__ import annotations

import base64
import contextlib
import email.parser
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google_crc32c
import httpx
from aiohttp import web

from tests.doubles.serving import end, serving

BUCKET = "test-bucket"
EMULATOR_START_S = 80
DISCOVERY: dict[str, Any] = json.loads((Path(__file__).parent / "storage_v1.json").read_text())


@contextmanager
def gcs_emulator(port: int, bucket: str = BUCKET) -> Iterator[str]:
    """`gcp-storage-emulator` with its objects in memory; the URL where it answers."""
    command = [Path(sys.executable).parent / "gcp-storage-emulator", "start", "--host", "127.0.0.1", "--quiet"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "-M", "--default-bucket", bucket],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + EMULATOR_START_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                    break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("gcp-storage-emulator did not start")
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def crc32c(data: bytes) -> str:
    """A checksum as the API writes it."""
    return base64.b64encode(int(google_crc32c.value(data)).to_bytes(4, "big")).decode()


@dataclass
class Received:
    """One request as it arrived. `path` is still escaped; `body` is set for JSON."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass
class Stored:
    """One generation of an object."""

    resource: dict[str, Any]
    data: bytes


@dataclass
class Session:
    """A resumable upload."""

    resource: dict[str, Any]
    query: dict[str, str]
    data: bytearray = field(default_factory=bytearray)
    is_cancelled: bool = False
    is_done: bool = False


@dataclass
class GcsDouble:
    """One bucket. The knobs are used up from the left: each entry of `takes` is how many bytes of the next chunk are
    kept (None: all), of `breaks` how many bytes of the next chunk are read before the connection breaks (None: it does
    not), of `ranges` what the next answer to a chunk says that the store has, of `statuses` the status that the next
    request gets instead of its answer (None: its answer), of `media_breaks` how many bytes of the next download are
    sent before the connection breaks."""

    page_objects: int = 1000
    step_bytes: int | None = None
    takes: list[int | None] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    breaks: list[int | None] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    media_breaks: list[int | None] = field(default_factory=list)
    answers_lost: int = 0
    wrong_crc32c: bool = False
    patches_lost: int = 0
    lifecycle: dict[str, Any] | None = None
    port: int = 0
    metageneration: int = 1
    objects: dict[str, Stored] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    media_open: int = 0
    media_open_max: int = 0
    _generations: int = 1000
    _rewrites: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def calls(self, method: str, part: str = "") -> list[Received]:
        """What was received with this method and a path that holds `part`."""
        return [request for request in self.received if request.method == method and part in request.path]

    def put(self, name: str, data: bytes, **more: Any) -> Stored:
        """Have an object, as somebody else might have made it."""
        self._generations += 1
        resource = {
            "kind": "storage#object",
            "name": name,
            "bucket": BUCKET,
            "size": str(len(data)),
            "generation": str(self._generations),
            "metageneration": "1",
            "timeCreated": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            **more,
            "crc32c": "AAAAAA==" if self.wrong_crc32c else crc32c(data),
        }
        resource["updated"] = resource["timeCreated"]
        self.objects[name] = Stored(resource, data)
        return self.objects[name]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = request.rel_url.raw_path
        seen = Received(request.method, path, dict(request.query), {k.lower(): v for k, v in request.headers.items()})
        if request.content_type == "application/json" and request.can_read_body:
            seen.body = await request.json()
        self.received.append(seen)
        if self.statuses and (status := self.statuses.pop(0)):
            await request.read()
            return problem(status)
        bucket = f"/storage/v1/b/{BUCKET}"
        if path.startswith("/upload/"):
            return await self._upload(request, seen)
        if "/rewriteTo/" in path:
            return self._rewrite(seen)
        if path == bucket:
            return self._bucket(seen)
        if path == f"{bucket}/o":
            return self._list(seen)
        if path.removeprefix("/download").startswith(f"{bucket}/o/"):
            return await self._object(request, seen)
        # The XML API, which gives the bytes under the object's own name.
        if seen.method == "GET" and (stored := self.objects.get(_unescaped(path.removeprefix(f"/{BUCKET}/")))):
            return await self._media(request, stored)
        return problem(404)

    def _bucket(self, seen: Received) -> web.Response:
        if seen.method == "PATCH":
            if self.patches_lost:
                # Somebody else was faster.
                self.patches_lost -= 1
                self.metageneration += 1
            if seen.query.get("ifMetagenerationMatch") != str(self.metageneration):
                return problem(412)
            self.metageneration += 1
            self.lifecycle = seen.body["lifecycle"]
        answer: dict[str, Any] = {"metageneration": str(self.metageneration)}
        return web.json_response(answer | ({"lifecycle": self.lifecycle} if self.lifecycle else {}))

    def _list(self, seen: Received) -> web.Response:
        query = seen.query
        low, high = query.get("startOffset", ""), query.get("endOffset")
        names = sorted(
            name
            for name in self.objects
            if name.startswith(query.get("prefix", "")) and name >= low and (high is None or name < high)
        )
        # A token stands for the name that the page before ended with.
        if token := query.get("pageToken"):
            names = [name for name in names if name > base64.urlsafe_b64decode(token).decode()]
        size = min(int(query.get("maxResults", "1000")), self.page_objects)
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if names[:size]:
            answer["items"] = [self.objects[name].resource for name in names[:size]]
        if names[size:]:
            answer["nextPageToken"] = base64.urlsafe_b64encode(names[size - 1].encode()).decode()
        return web.json_response(answer)

    async def _object(self, request: web.Request, seen: Received) -> web.StreamResponse:
        name = _unescaped(seen.path.rpartition("/o/")[2])
        stored = self.objects.get(name)
        if (
            stored is None
            or seen.query.get("generation", stored.resource["generation"]) != stored.resource["generation"]
        ):
            return problem(404)
        if seen.method == "DELETE":
            del self.objects[name]
            return web.Response(status=204)
        if seen.query.get("alt") != "media":
            return web.json_response(stored.resource)
        return await self._media(request, stored)

    async def _media(self, request: web.Request, stored: Stored) -> web.StreamResponse:
        part = request.http_range
        data = stored.data[part]
        first = part.start or 0
        headers = {"content-range": f"bytes {first}-{first + len(data) - 1}/{len(stored.data)}"}
        answer = web.StreamResponse(status=206, headers={**headers, "content-length": str(len(data))})
        self.media_open += 1
        self.media_open_max = max(self.media_open_max, self.media_open)
        try:
            await answer.prepare(request)
            cut = self.media_breaks.pop(0) if self.media_breaks else None
            await answer.write(data[:cut])
            if cut is not None:
                _break(request)
        finally:
            self.media_open -= 1
        return answer

    async def _upload(self, request: web.Request, seen: Received) -> web.StreamResponse:
        if session := self.sessions.get(seen.query.get("upload_id", "")):
            return await self._resume(request, seen, session)
        if seen.query.get("uploadType") == "resumable":
            upload_id = f"session+{len(self.sessions)}/="
            self.sessions[upload_id] = Session(seen.body, seen.query)
            location = request.url.update_query({"upload_id": upload_id})
            return web.Response(headers={"location": str(location)})
        if seen.query.get("uploadType") != "multipart":
            return problem(400)
        head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        form = email.parser.BytesParser().parsebytes(head + await request.read()).get_payload()
        seen.body = json.loads(form[0].get_payload())
        data = form[1].get_payload(decode=True)
        if seen.body.get("crc32c", crc32c(data)) != crc32c(data):
            return problem(400, f'Provided CRC32C "{seen.body["crc32c"]}" doesn\'t match calculated CRC32C.')
        return self._create(seen.body | {"contentType": form[1].get_content_type()}, seen.query, data, request)

    def _create(
        self, resource: dict[str, Any], query: dict[str, str], data: bytes, request: web.Request
    ) -> web.Response:
        name = query.get("name") or resource["name"]
        if query.get("ifGenerationMatch") == "0" and name in self.objects:
            return problem(412)
        made = self.put(name, data, **{key: value for key, value in resource.items() if key not in ("name", "crc32c")})
        if self.answers_lost:
            self.answers_lost -= 1
            _break(request)
        return web.json_response(made.resource)

    async def _resume(self, request: web.Request, seen: Received, session: Session) -> web.StreamResponse:
        if session.is_cancelled:
            return problem(499)
        if seen.method == "DELETE":
            session.is_cancelled = not session.is_done
            return problem(400 if session.is_done else 499)
        if session.is_done:
            return web.json_response(self.objects[session.query["name"]].resource)
        span = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", seen.headers["content-range"])
        assert span is not None, seen.headers["content-range"]
        if span[1] is not None:
            assert int(span[2]) - int(span[1]) + 1 == int(seen.headers["content-length"])
            assert span[3] != "*" or int(seen.headers["content-length"]) % (256 << 10) == 0
            if int(span[1]) != len(session.data):
                return problem(503)
            cut = self.breaks.pop(0) if self.breaks else None
            data = await request.content.readexactly(cut) if cut is not None else await request.read()
            if cut is not None:
                session.data += data[: cut // (256 << 10) * (256 << 10)]
                _break(request)
                return web.Response()
            session.data += data[: self.takes.pop(0) if self.takes else None]
        if span[3] == str(len(session.data)):
            session.is_done = True
            return self._create(session.resource, session.query, bytes(session.data), request)
        headers = {"range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
        if self.ranges:
            headers = {"range": self.ranges.pop(0)}
        return web.Response(status=308, headers=headers)

    def _rewrite(self, seen: Received) -> web.Response:
        source, _, target = seen.path.removeprefix(f"/storage/v1/b/{BUCKET}/o/").partition(f"/rewriteTo/b/{BUCKET}/o/")
        stored = self.objects.get(_unescaped(source))
        if stored is None or not target:
            return problem(404)
        size = len(stored.data)
        token = seen.query.get("rewriteToken")
        if token is None and _unescaped(target) in self.objects:
            return problem(412)
        done = self._rewrites.get(token, 0) if token else 0
        done = min(size, done + (self.step_bytes or size))
        answer = {"kind": "storage#rewriteResponse", "objectSize": str(size), "totalBytesRewritten": str(done)}
        if done < size:
            token = f"token/{len(self._rewrites)}+="
            self._rewrites[token] = done
            return web.json_response({**answer, "done": False, "rewriteToken": token})
        made = self.put(_unescaped(target), stored.data, **seen.body)
        return web.json_response({**answer, "done": True, "resource": made.resource})


def problem(status: int, message: str = "no") -> web.Response:
    """An error as the API writes it."""
    return web.json_response({"error": {"code": status, "message": message, "errors": []}}, status=status)


def _break(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


def _unescaped(text: str) -> str:
    return httpx.URL(f"http://x/?n={text}").params["n"]


@asynccontextmanager
async def gcs_double(**knobs: Any) -> AsyncIterator[GcsDouble]:
    """A recorder that runs inside the block."""
    double = GcsDouble(**knobs)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", double.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.port = runner.addresses[0][1]
    try:
        yield double
    finally:
        await end(runner)


@contextmanager
def gcs_running(**knobs: Any) -> Iterator[GcsDouble]:
    """The same in a thread with an event loop of its own."""
    double = GcsDouble(**knobs)

    def runner() -> web.BaseRunner:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", double.handle)
        return web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)

    with serving(runner) as double.port:
        yield double


def violations(request: Received) -> list[str]:
    """What Google's discovery document does not know of a request: its path, its query, members of its body."""
    path = request.path.removeprefix("/upload").removeprefix("/download").removeprefix("/storage/v1/")
    if "upload_id" in request.query:
        return []
    for group in DISCOVERY["resources"].values():
        for method in group["methods"].values():
            if method["httpMethod"] == request.method and _fits(method["path"], path):
                known = {**DISCOVERY["parameters"], **method["parameters"]}
                unknown = [name for name in request.query if name not in known]
                return unknown + _body_violations(request.body, method.get("request"))
    return [f"{request.method} {path}"]


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


def _body_violations(body: Any, schema: dict[str, Any] | None) -> list[str]:
    if body is None:
        return []
    if schema is None:
        return ["a body"]
    return list(_unlike(body, schema, "body"))


def _unlike(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    schema = DISCOVERY["schemas"][schema["$ref"]] if "$ref" in schema else schema
    kinds: dict[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if not isinstance(value, kinds[schema["type"]]):
        yield f"{where} is no {schema['type']}"
    elif isinstance(value, list):
        for item in value:
            yield from _unlike(item, schema["items"], f"{where}[]")
    elif isinstance(value, dict):
        for key, member in value.items():
            known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if known is None:
                yield f"{where}.{key}"
            else:
                yield from _unlike(member, known, f"{where}.{key}")

"""`generateContent` and `streamGenerateContent` of the Gemini API and of Vertex AI, with what a test gives it to say.

Bodies and answers are held against google-genai's types and Google's discovery document. Events end with CR LF, as
Google's do.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from tests.doubles.generate_content import require_answer, require_request
from tests.doubles.recorder import ASKED, Recorder, cut_off

KEY = "test-key"
TOKEN = "ya29.test-key"
PROJECT = "project-1"


class GoogleChatApi(Recorder):
    """Models that say what `pieces` holds: a stream gives them one by one, a whole answer is the first of them.

    `refusal` is a status and a body to answer with instead. A stream waits before the piece number `waits_at` until
    `go` is set, and is cut off before the piece number `cut_at`. `gone` is set when a caller goes away before the end.
    `has` tells whether a file is there, by its URI.
    """

    def __init__(self, *, is_vertex: bool) -> None:
        super().__init__(TOKEN if is_vertex else KEY)
        self.is_vertex = is_vertex
        self.pieces: list[Mapping[str, Any]] = []
        self.refusal: tuple[int, Any] | None = None
        self.waits_at: int | None = None
        self.cut_at: int | None = None
        self.go = threading.Event()
        self.gone = threading.Event()
        self.has: Callable[[str], bool] = lambda uri: True

    def routes(self) -> list[web.RouteDef]:
        """Two methods of a model."""
        model = "/{version}/models/{model}"
        if self.is_vertex:
            model = "/v1/projects/{project}/locations/{location}/{kind:publishers/google/models|endpoints}/{model}"
        return [
            web.post(f"{model}:generateContent", self._whole),
            web.post(f"{model}:streamGenerateContent", self._stream),
        ]

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token, or a key in its header."""
        if self.is_vertex:
            return request.headers.get("authorization", "").removeprefix("Bearer ")
        return request.headers.get("x-goog-api-key")

    def error(self, status: int, message: str) -> web.Response:
        """The front answers with a list of one."""
        error = {"code": status, "message": message, "status": "UNAUTHENTICATED"}
        return web.json_response([{"error": error}], status=status)

    async def _read(self, request: web.Request) -> web.Response | None:
        body = await request.json()
        request[ASKED].json = body
        require_request(body)
        for piece in self.pieces:
            if "error" not in piece:
                require_answer(piece)
        for part in (part for content in body["contents"] for part in content["parts"]):
            uri = part.get("fileData", {}).get("fileUri")
            if uri is not None and not self.has(uri):
                name = uri.rpartition("/")[2]
                said = f"You do not have permission to access the File {name} or it may not exist."
                error = {"code": 403, "message": said, "status": "PERMISSION_DENIED"}
                return web.json_response({"error": error}, status=403)
        if self.refusal is not None:
            status, tree = self.refusal
            return web.json_response(tree, status=status)
        return None

    async def _whole(self, request: web.Request) -> web.StreamResponse:
        if (refused := await self._read(request)) is not None:
            return refused
        if self.waits_at == 0:
            await self._wait(request)
        return web.json_response(self.pieces[0])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("alt") != "sse":
            return self.error(400, "alt")
        if (refused := await self._read(request)) is not None:
            return refused
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number, piece in enumerate(self.pieces):
            if number == self.waits_at:
                await self._wait(request)
            if number == self.cut_at:
                return cut_off(request)
            await response.write(f"data: {json.dumps(piece)}\r\n\r\n".encode())
        return response

    async def _wait(self, request: web.Request) -> None:
        while not self.go.is_set():
            if request.transport is None or request.transport.is_closing():
                self.gone.set()
                raise ConnectionResetError
            await asyncio.sleep(0.005)

"""OpenAI's Files API and Chat Completions at one place: a chat finds the files that it names, or is refused as OpenAI
refuses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.openai_files import KEY, OpenAIFilesServer
from tests.doubles.serving import serving

SAID = "It is a file."


@dataclass
class FilesAndChat(OpenAIFilesServer):
    """`chats` are the bodies that were answered, `slow_s` is how long a new file takes to be there, `creates` how many
    were begun."""

    chats: list[dict[str, Any]] = field(default_factory=list)
    slow_s: float = 0.0
    creates: int = 0

    def app(self) -> web.Application:
        """The routes of both."""
        app = super().app()
        app.router.add_post("/v1/chat/completions", self._guarded(self._chat))
        return app

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.creates += 1
        await asyncio.sleep(self.slow_s)
        return await super()._create(request)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        for message in body["messages"]:
            content = message["content"] if isinstance(message["content"], list) else []
            for part in content:
                file_id = part.get("file", {}).get("file_id")
                if file_id is not None and file_id not in self.files:
                    error = {"message": f"No such File object: {file_id}", "type": "invalid_request_error"}
                    return web.json_response({"error": {**error, "param": "id", "code": None}}, status=404)
        self.chats.append(body)
        answer = {"role": "assistant", "content": SAID}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choice = {"index": 0, "message": answer, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()), "model": body["model"]}
        return web.json_response({**head, "choices": [choice], "usage": usage})

    def told(self) -> list[str]:
        """The ids that answered chats named."""
        parts = [part for body in self.chats for message in body["messages"] for part in message["content"]]
        return [part["file"]["file_id"] for part in parts if part["type"] == "file"]


@contextmanager
def files_and_chat(**knobs: Any) -> Iterator[FilesAndChat]:
    """The server, in a thread of its own."""
    server = FilesAndChat(**knobs)
    with serving(lambda: web.AppRunner(server.app(), shutdown_timeout=0.1)) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


__all__ = ["KEY", "FilesAndChat", "files_and_chat"]

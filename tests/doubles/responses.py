"""A server that speaks OpenAI's Responses API and keeps what it answers, for whoever has its key.

    with response_server() as server:
        build_chat(Account("a", "openai", api_key=KEY, api_base=f"{server.url}/v1"))
        server.journal[-1].body

It says back the text of the last message, with what it remembers before it. `cut` breaks a stream off, `hang` waits
until the caller is gone. Its events are written down from https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.serving import serving

KEY = "sk-responses"
USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}


@dataclass
class Met:
    """One request; `gone` is set when its caller left before the end."""

    method: str
    path: str
    query: list[tuple[str, str]]
    body: dict[str, Any]
    gone: threading.Event = field(default_factory=threading.Event)


@dataclass
class ResponseServer:
    """What runs. `kept` are responses by their ids, with what each answered."""

    url: str = ""
    journal: list[Met] = field(default_factory=list)
    kept: dict[str, tuple[dict[str, Any], Any]] = field(default_factory=dict)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/responses`."""
        met = await self._met(request)
        body = met.body
        earlier = body.get("previous_response_id")
        if earlier is not None and earlier not in self.kept:
            return refusal(400, "previous_response_not_found", "previous_response_id")
        said = words_of(body["input"])
        if earlier is not None:
            said = f"{self.kept[earlier][0]['output'][0]['content'][0]['text']} {said}"
        # As long as OpenAI's are; its own text has the same characters.
        id_ = f"resp_{len(self.journal):048x}"
        response = answered(id_, body, f'{said} ("{id_}")' if said == "say your id" else said)
        self.kept[id_] = (response, body["input"])
        if not body.get("stream"):
            return web.json_response(response)
        return await self._stream(request, met, response, said)

    async def _stream(self, request: web.Request, met: Met, response: dict[str, Any], said: str) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await reply.prepare(request)
        try:
            for number, event in enumerate(events_of(response)):
                if said in ("cut", "hang") and event["type"] == "response.output_text.done":
                    await self._never_end(request, reply, said)
                await reply.write(encoded({**event, "sequence_number": number}))
        except (ConnectionError, asyncio.CancelledError):
            met.gone.set()
            raise
        return reply

    async def _never_end(self, request: web.Request, reply: web.StreamResponse, how: str) -> None:
        if how == "cut":
            assert request.transport is not None
            request.transport.abort()
        while True:
            await reply.write(b": waiting\n\n")
            await asyncio.sleep(0.05)

    async def get(self, request: web.Request) -> web.Response:
        """`GET /v1/responses/{id}`."""
        await self._met(request)
        found = self.kept.get(request.match_info["id"])
        return refusal(404, None, None) if found is None else web.json_response(found[0])

    async def input_items(self, request: web.Request) -> web.Response:
        """`GET /v1/responses/{id}/input_items`."""
        await self._met(request)
        found = self.kept.get(request.match_info["id"])
        if found is None:
            return refusal(404, None, None)
        content = [{"type": "input_text", "text": words_of(found[1])}]
        item = {"id": "msg_in", "type": "message", "role": "user", "status": "completed", "content": content}
        page = {"object": "list", "data": [item], "first_id": "msg_in", "last_id": "msg_in", "has_more": False}
        return web.json_response(page)

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE /v1/responses/{id}`."""
        await self._met(request)
        id_ = request.match_info["id"]
        if self.kept.pop(id_, None) is None:
            return refusal(404, None, None)
        return web.json_response({"id": id_, "object": "response", "deleted": True})

    async def _met(self, request: web.Request) -> Met:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise web.HTTPUnauthorized
        body = await request.json() if request.method == "POST" else {}
        met = Met(request.method, request.path, list(request.query.items()), body)
        self.journal.append(met)
        return met


def words_of(given: Any) -> str:
    """The text of the last message."""
    if isinstance(given, str):
        return given
    content = given[-1]["content"]
    return content if isinstance(content, str) else " ".join(one["text"] for one in content if "text" in one)


def answered(id_: str, body: dict[str, Any], said: str) -> dict[str, Any]:
    """A whole response."""
    text = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
    return {
        "id": id_,
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "model": f"{body['model']}-2026-11-01",
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "store": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "usage": USAGE,
    }


def events_of(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a response's stream, without their numbers."""
    item = response["output"][0]
    part = item["content"][0]
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    added = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": added}
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    for word in part["text"].split(" "):
        yield {"type": "response.output_text.delta", **at, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response}


def encoded(event: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def refusal(status: int, code: str | None, param: str | None) -> web.Response:
    """An error in OpenAI's envelope."""
    error = {"message": "not found", "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status)


@contextmanager
def response_server() -> Iterator[ResponseServer]:
    """The server on a free port."""
    server = ResponseServer()

    def runner() -> web.BaseRunner:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/responses", server.create)
        app.router.add_get("/v1/responses/{id}", server.get)
        app.router.add_delete("/v1/responses/{id}", server.delete)
        app.router.add_get("/v1/responses/{id}/input_items", server.input_items)
        return web.AppRunner(app, handler_cancellation=True)

    with serving(runner) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server

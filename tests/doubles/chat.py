"""A server that speaks OpenAI's Chat Completions, does as it is told, and keeps what it met.

    with chat_server() as server:
        build_chat(Account("a", "openai_compatible", api_key=KEY, api_base=f"{server.url}/v1"))
        server.journal[-1].body

The first word of the last message says what happens: `count N` streams N words, `fill N` says as many MiB at once,
`cut` breaks the connection after two chunks, `quiet` ends the stream without a word of its end, `short` without
`[DONE]`, `hang` says one word and waits until the caller is gone, `status N` refuses, `think` thinks aloud, `call` asks
for a tool, `long` and `bad` are cut off, `refuse N` says a status in a 200, `broken` ends with an error in the stream;
anything else is said back.

Sources:
https://platform.openai.com/docs/api-reference/chat and .../chat-streaming; errors as
https://platform.openai.com/docs/guides/error-codes has them.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.serving import serving

KEY = "sk-chat"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
FINISHES = {"call": "tool_calls", "long": "length", "bad": "content_filter"}
# The first has an id in its first piece alone; the second comes whole, and an index is left out.
CALL_DELTAS: list[dict[str, Any]] = [
    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"at":'}},
    {"index": 0, "function": {"arguments": '"it"}'}},
    {"index": 2, "id": "call_2", "type": "function", "function": {"name": "look", "arguments": '{"at":"that"}'}},
]
HEAD = {"id": "chatcmpl-theirs", "created": 1_790_000_000, "model": "scripted-2026-11-01"}


@dataclass
class Met:
    """One request; `gone` is set when its caller left before the end."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    gone: threading.Event = field(default_factory=threading.Event)


@dataclass
class ChatServer:
    """What runs. `pause_s` lies between two chunks; `refusals` answer the next requests, one each."""

    url: str = ""
    journal: list[Met] = field(default_factory=list)
    pause_s: float = 0.0
    refusals: list[int] = field(default_factory=list)
    chunk_sent_at: list[float] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        body = await request.json()
        met = Met(request.path, {name.lower(): value for name, value in request.headers.items()}, body)
        self.journal.append(met)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401)
        if self.refusals:
            return refusal(self.refusals.pop(0))
        said = words_of(body)
        command, _, rest = said.partition(" ")
        if command == "status":
            return refusal(int(rest))
        if command == "refuse":
            error = {"error": {"message": f"no: {rest}", "code": int(rest)}}
            if not body.get("stream"):
                return web.json_response(error)
            return web.Response(body=event(error), content_type="text/event-stream")
        if command == "fill":
            said = "x" * (int(rest) << 20)
        if body.get("stream"):
            return await self._stream(request, met, command, rest, said)
        if command == "think":
            message = {"role": "assistant", "content": said, "reasoning_content": "hm"}
            return web.json_response(completion(message, "stop"))
        if command == "call":
            call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            return web.json_response(completion(message, "tool_calls"))
        finish = FINISHES.get(command, "stop")
        return web.json_response(completion({"role": "assistant", "content": said}, finish))

    async def _stream(self, request: web.Request, met: Met, command: str, rest: str, said: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "x-request-id": "req-theirs"})
        await response.prepare(request)

        async def send(delta: dict[str, Any]) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            await response.write(event({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}))
            self.chunk_sent_at.append(time.monotonic())
            if self.pause_s:
                await asyncio.sleep(self.pause_s)

        try:
            await send({"role": "assistant", "content": ""})
            if command in ("cut", "hang"):
                await send({"content": "one"})
                await self._never_end(request, response, command)
            if command == "think":
                await send({"reasoning_content": "hm"})
            if command == "call":
                for delta in CALL_DELTAS:
                    await send({"tool_calls": [delta]})
            for word in [f"w{number} " for number in range(int(rest))] if command == "count" else [said]:
                await send({"content": word})
            for last in endings(command, met.body):
                await response.write(last)
        except (ConnectionError, asyncio.CancelledError):
            met.gone.set()
            raise
        return response

    async def _never_end(self, request: web.Request, response: web.StreamResponse, command: str) -> None:
        if command == "cut":
            assert request.transport is not None
            request.transport.abort()
        while True:
            await response.write(b": waiting\n\n")
            await asyncio.sleep(0.05)


def endings(command: str, body: dict[str, Any]) -> Iterator[bytes]:
    """The events behind the last word of a stream."""
    if command == "quiet":
        return
    finish = {"index": 0, "delta": {}, "finish_reason": FINISHES.get(command, "stop")}
    yield event({**HEAD, "object": "chat.completion.chunk", "choices": [finish]})
    if command == "broken":
        yield event({"error": {"message": "out of memory", "code": 500}})
    elif command != "short":
        if (body.get("stream_options") or {}).get("include_usage"):
            yield event({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
        yield b"data: [DONE]\n\n"


def words_of(body: dict[str, Any]) -> str:
    """The text of the last message."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part.get("type") == "text")


def completion(message: dict[str, Any], finish: str) -> dict[str, Any]:
    """A whole answer."""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE, "system_fingerprint": "fp_1"}


def event(tree: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(tree)}\n\n".encode()


def refusal(status: int) -> web.Response:
    """An error in OpenAI's envelope."""
    error = {"message": f"no: {status}", "type": "invalid_request_error", "param": "messages", "code": "as_told"}
    return web.json_response({"error": error}, status=status, headers={"retry-after": "1"} if status == 429 else {})


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """The server on a free port."""
    server = ChatServer()

    def runner() -> web.BaseRunner:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", server.answer)
        return web.AppRunner(app, handler_cancellation=True)

    with serving(runner) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server

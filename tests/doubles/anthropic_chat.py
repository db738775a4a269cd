"""Anthropic's Messages API, beside its files and batches.

Bodies are held against the types of the official client, and a file that they name has to be there. Events as in
https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from tests.doubles.anthropic_batches import AnthropicBatchesApi
from tests.doubles.recorder import ASKED
from tests.unit.chat.anthropic_oracle import require_body

USAGE = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 1}


class AnthropicApiOfAll(AnthropicBatchesApi):
    """A workspace. A question is answered by what was said last and the files in it; one that begins with `call` has
    the first tool called, one with `cut` breaks off, one with `busy` is refused."""

    def routes(self) -> list[web.RouteDef]:
        """Those of files and batches, and messages."""
        return [*super().routes(), web.post("/v1/messages", self._messages)]

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        tree = await request.json()
        request[ASKED].json = tree
        try:
            require_body({name: value for name, value in tree.items() if name != "stream"})
        except AssertionError as error:
            return self.error(400, str(error))
        absent = [name for name in files_in(tree["messages"]) if name not in self.files]
        if absent:
            return self.error(404, f"File not found: {absent[0]}")
        said = said_last(tree)
        if said.startswith("busy"):
            return web.json_response(
                {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, status=529
            )
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number, event in enumerate(events(tree, self.saying(tree))):
            if said.startswith("cut") and number == 3:
                assert request.transport is not None
                await asyncio.sleep(0.05)
                request.transport.abort()
                return response
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response

    def saying(self, tree: Mapping[str, Any]) -> str:
        """What is answered to a body."""
        names = [self.files[ref].filename for ref in files_in(tree["messages"])]
        return f"You said: {said_last(tree)} ({len(names)} files)"


def events(tree: Mapping[str, Any], text: str) -> Iterator[dict[str, Any]]:
    """The stream of an answer."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {**USAGE}}
    yield {"type": "message_start", "message": {**message, "model": tree["model"]}}
    calls = said_last(tree).startswith("call")
    block: dict[str, Any] = {"type": "text", "text": ""}
    deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": f"{word} "} for word in text.split()]
    if calls:
        block = {"type": "tool_use", "id": "toolu_1", "name": tree["tools"][0]["name"], "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ('{"city": ', '"Oslo"}')]
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    reason = "tool_use" if calls else "end_turn"
    ending = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 4}}
    yield {"type": "message_stop"}


def said_last(tree: Mapping[str, Any]) -> str:
    """The words of the last message."""
    blocks = tree["messages"][-1]["content"]
    return " ".join(block["text"] for block in blocks if block["type"] == "text")


def files_in(value: Any) -> Iterator[str]:
    """The ids of files in a body."""
    if isinstance(value, dict):
        if value.get("type") == "file" and "file_id" in value:
            yield value["file_id"]
        for member in value.values():
            yield from files_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from files_in(member)

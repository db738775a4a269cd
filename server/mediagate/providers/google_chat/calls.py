"""One question to `generateContent`, whole or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from mediagate.core.chat import ChatEvent, ChatRequest
from mediagate.core.errors import PayloadTooLarge
from mediagate.providers.encoding import encoded
from mediagate.providers.event_stream import json_in, sse_events
from mediagate.providers.google_chat.answer import AnswerReader, events_of
from mediagate.providers.google_chat.body import body_of
from mediagate.providers.google_chat.words import Words
from mediagate.providers.http import ProviderHttp

_JSON: Final = {"content-type": "application/json"}
# A compressed stream comes in larger pieces.
_STREAM: Final = {**_JSON, "accept": "text/event-stream", "accept-encoding": "identity"}


async def answer(http: ProviderHttp, path: str, request: ChatRequest, words: Words) -> AsyncGenerator[ChatEvent]:
    """Ask the model at `path` once. Closing it ends the call."""
    body = within(body_of(request, words), words)
    if not request.stream:
        tree = await http.json("POST", f"{path}:generateContent", repeatable=False, content=body, headers=_JSON)
        for event in events_of(tree, http.title):
            yield event
        return
    reader = AnswerReader(http.title)
    asked = http.stream("POST", f"{path}:streamGenerateContent?alt=sse", content=body, headers=_STREAM)
    async with asked as response, aclosing(sse_events(response.aiter_bytes(), http.title)) as pieces:
        async for piece in pieces:
            for event in reader.feed(json_in(piece, http.title)):
                yield event
    reader.end()


def within(body: Mapping[str, Any], words: Words) -> bytes:
    """The body as bytes. Raises `PayloadTooLarge` for more than the provider takes."""
    found = encoded(body)
    most = words.spec.request_bytes_max
    if most is not None and len(found) > most:
        raise PayloadTooLarge(
            f"With its files this request has {len(found)} bytes, and {words.spec.title} takes {most}. Name stored "
            "files by their ids, or send less.",
            param="messages",
        )
    return found

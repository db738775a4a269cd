"""Reading a provider's answer as server-sent events of JSON objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import suppress
from typing import Any, Final

from mediagate.core.sse import EventTooLarge, SseEvent, SseReader
from mediagate.providers.answers import bad_answer

DONE: Final = "[DONE]"
# How long the end of a stream may take that has nothing more to say.
DRAIN_S: Final = 1.0


async def sse_events(chunks: AsyncIterable[bytes], title: str) -> AsyncGenerator[SseEvent]:
    """Every event, as soon as its bytes are there. Raises `ProviderFailed` for one that is too large."""
    reader = SseReader()
    try:
        async for chunk in chunks:
            for event in reader.feed(chunk):
                yield event
    except EventTooLarge:
        raise bad_answer(title) from None
    for event in reader.end():
        yield event


async def drained(rest: AsyncIterable[Any]) -> None:
    """Read what is left of a stream that has said all, so that its connection can be used again. One that goes on, or
    breaks, is left as it is."""
    with suppress(Exception):
        async with asyncio.timeout(DRAIN_S):
            async for _ in rest:
                pass


def json_in(event: SseEvent, title: str) -> dict[str, Any]:
    """The JSON object that is an event's data. Raises `ProviderFailed` for anything else."""
    try:
        tree = json.loads(event.data)
    except (ValueError, RecursionError):
        raise bad_answer(title) from None
    if not isinstance(tree, dict):
        raise bad_answer(title)
    return tree

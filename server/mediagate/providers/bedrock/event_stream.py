"""Amazon's binary event streams, read as their bytes come:
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes the frames."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from botocore.eventstream import EventStreamBuffer, EventStreamMessage, ParserError

from mediagate.providers.answers import bad_answer


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. `kind` is the event's type, or the exception's where `failed`."""

    kind: str
    tree: dict[str, Any]
    failed: bool = False


async def frames(chunks: AsyncIterable[bytes], title: str) -> AsyncGenerator[Frame]:
    """Every message, as soon as its bytes are there. Raises `ProviderFailed` for bytes that are none."""
    buffer = EventStreamBuffer()
    async for chunk in chunks:
        buffer.add_data(chunk)
        try:
            messages = list(buffer)
        except (ParserError, ValueError, LookupError):
            raise bad_answer(title) from None
        for message in messages:
            yield _frame(message, title)


def _frame(message: EventStreamMessage, title: str) -> Frame:
    headers = cast(Mapping[str, Any], message.headers)
    match headers.get(":message-type"):
        case "event":
            return Frame(str(headers.get(":event-type")), _tree(message.payload, title))
        case "exception":
            return Frame(str(headers.get(":exception-type")), _tree(message.payload, title), failed=True)
        case "error":
            said = {"message": str(headers.get(":error-message", ""))}
            return Frame(str(headers.get(":error-code")), said, failed=True)
    raise bad_answer(title)


def _tree(payload: bytes, title: str) -> dict[str, Any]:
    try:
        tree = json.loads(payload or b"{}")
    except (ValueError, RecursionError):
        raise bad_answer(title) from None
    if not isinstance(tree, dict):
        raise bad_answer(title)
    return tree

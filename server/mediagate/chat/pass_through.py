"""A stream in one of OpenAI's dialects on its way from a provider that speaks it: whole events, as they come.

Nothing is changed in them. What an answer used is read on the way, and an answer that breaks off gets an event that
says so: to a client a connection that just ends looks like an answer that is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final

from mediagate.chat.cost import grade_of
from mediagate.core.chat import Dialect, Used
from mediagate.core.errors import MediagateError, ProviderFailed
from mediagate.core.limits import MIB
from mediagate.core.read_usage import read_usage
from mediagate.core.write_chat import error_sse, error_tree, sse

EVENT_BYTES_MAX: Final = 32 * MIB
"""A picture that a model draws comes as base64 in one event."""
_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_END_BYTES_MAX: Final = 4
# OpenAI says `"usage":null` in every other event of a stream that was asked for it.
_USAGE: Final = re.compile(rb'"usage":\s*\{')
# The second for servers that say no more once a choice is done. No text of a model can hold it: its quotes are escaped.
_LAST_OF_CHAT: Final = re.compile(rb'^data: ?\[DONE\]|"finish_reason": ?"', re.MULTILINE)
_DONE: Final = re.compile(rb"^data: ?\[DONE\]", re.MULTILINE)
_LAST_OF_RESPONSE: Final = ("response.completed", "response.incomplete", "response.failed")
_LAST_WORDS: Final = tuple(word.encode() for word in _LAST_OF_RESPONSE)
_NUMBER: Final = re.compile(rb'"sequence_number":\s*(\d{1,9})\b')


class PassThrough:
    """Cuts a stream into whole events and notes what they say. `hides_usage`: the caller has not asked for the event
    that we have asked the provider for."""

    def __init__(self, dialect: Dialect, title: str, *, hides_usage: bool = False) -> None:
        self.used: Used | None = None
        self.is_complete = False
        self.is_over = False
        self.grade: str | None = None
        self._dialect = dialect
        self._title = title
        self._hides_usage = hides_usage and dialect is Dialect.CHAT
        self._rest = bytearray()
        self._number = -1

    def feed(self, data: bytes) -> bytes:
        """What can be passed on by now. Raises `ProviderFailed` for an event that has no end."""
        # What was here before has no end in it, but maybe the beginning of one.
        start = max(0, len(self._rest) - _END_BYTES_MAX + 1)
        self._rest += data
        ends = ((self._rest.rfind(mark, start), len(mark)) for mark in _ENDS)
        end = max(at + length if at >= 0 else 0 for at, length in ends)
        if not end:
            if len(self._rest) > EVENT_BYTES_MAX:
                raise ProviderFailed(
                    f"{self._title} gave an answer that cannot be read.", code="provider_answer_too_large"
                )
            return b""
        whole = bytes(self._rest[:end])
        del self._rest[:end]
        return self._looked_at(whole)

    def fail(self, error: MediagateError) -> bytes:
        """The event that says that the answer breaks off. What has come of another is dropped."""
        self._rest.clear()
        return error_event(error, self._dialect, self._number + 1)

    def _looked_at(self, events: bytes) -> bytes:
        if self._dialect is Dialect.CHAT:
            if not self.is_complete and _LAST_OF_CHAT.search(events):
                self.is_complete = True
            if _DONE.search(events):
                self.is_over = True
            if not _USAGE.search(events):
                return events
        else:
            self._number = number_of(events, self._number)
            if not any(last in events for last in _LAST_WORDS):
                return events
        # Rare, and small: the events that may say what was used.
        return b"".join(event for event in events_of(events) if not self._takes(event))

    def _takes(self, event: bytes) -> bool:
        """Note what one event says; whether it is ours alone."""
        tree = data_of(event)
        if not isinstance(tree, dict):
            return False
        if self._dialect is Dialect.RESPONSES:
            if tree.get("type") in _LAST_OF_RESPONSE:
                self.is_complete = self.is_over = True
                answer = tree.get("response")
                self._note(answer if isinstance(answer, dict) else {})
            return False
        self._note(tree)
        return self._hides_usage and tree.get("choices") == [] and tree.get("usage") is not None

    def _note(self, tree: Mapping[str, Any]) -> None:
        self.used = read_usage(tree.get("usage")) or self.used
        grade = grade_of(tree)
        self.grade = self.grade if grade is None else grade


def error_event(error: MediagateError, dialect: Dialect, number: int) -> bytes:
    """What says that an answer breaks off; `number` is the place of the event in a stream of the Responses API."""
    if dialect is Dialect.CHAT:
        return error_sse(error)
    told = error_tree(error)
    return sse({"type": "error", **told, "sequence_number": number, "error": told}, event="error")


def number_of(events: bytes, before: int) -> int:
    """The number of the last of these events; `before` where they have none."""
    number = before
    for match in _NUMBER.finditer(events):
        number = int(match[1])
    return number


def with_cost(events: bytes, price: Callable[[Used], float | None]) -> bytes:
    """The same events with what the answer costs, as `cost` beside the counts of its last `usage`, as OpenRouter has
    it."""
    return b"".join(map(partial(_priced, price), events_of(events))) if _USAGE.search(events) else events


def _priced(price: Callable[[Used], float | None], event: bytes) -> bytes:
    tree = data_of(event)
    if not isinstance(tree, dict):
        return event
    answer = tree.get("response", tree)
    choices = tree.get("choices")
    is_last = not choices or (isinstance(choices, list) and any(_is_done(choice) for choice in choices))
    usage = answer.get("usage") if is_last and isinstance(answer, dict) else None
    used = read_usage(usage)
    if used is None or not isinstance(usage, dict) or "cost" in usage:
        return event
    usd = price(used)
    if usd is None:
        return event
    usage["cost"] = usd
    named = next((line[6:].strip() for line in event.splitlines() if line.startswith(b"event:")), b"")
    return sse(tree, event=named.decode("utf-8", "replace"))


def _is_done(choice: Any) -> bool:
    return isinstance(choice, dict) and choice.get("finish_reason") is not None


def events_of(data: bytes) -> list[bytes]:
    """Whole events, each with its end."""
    found, start = [], 0
    while start < len(data):
        ends = [(at, mark) for mark in _ENDS if (at := data.find(mark, start)) >= 0]
        if not ends:
            found.append(data[start:])
            break
        at, mark = min(ends)
        found.append(data[start : at + len(mark)])
        start = at + len(mark)
    return found


def data_of(event: bytes) -> Any:
    """The JSON of one event; None where it has none."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    try:
        return json.loads(b"\n".join(lines))
    except (ValueError, RecursionError):
        return None


async def first_of(chunks: AsyncIterator[bytes]) -> bytes:
    """The first bytes that are some; empty where the answer has none."""
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""

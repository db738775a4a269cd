"""`ChatEvent`s as an answer of the Responses API: one document, or the events of a stream.

https://platform.openai.com/docs/api-reference/responses/object, .../responses-streaming
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import (
    Body,
    ChatEvent,
    Finish,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprobs,
    ToolCallBegun,
    ToolCallDelta,
    Usage,
    Used,
)
from mediagate.core.errors import InvalidRequest, MediagateError, RateLimited
from mediagate.core.read_responses import wants_summary
from mediagate.core.response_items import CallItem, Item, MessageItem, ReasoningItem
from mediagate.core.write_chat import Stamp, sse

Tree = dict[str, Any]

# What a response says of its request, and what it says where the request does not.
_ECHOED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE: Final[Mapping[Finish, str]] = {
    Finish.LENGTH: "max_output_tokens",
    Finish.CONTENT_FILTER: "content_filter",
}


class _Response:
    """One response while its pieces come."""

    def __init__(self, stamp: Stamp, asked: Body, now: Callable[[], float]) -> None:
        self._stamp = stamp
        self._now = now
        self._head = _head(stamp, asked)
        self._summarized = wants_summary(asked)
        self._items: list[Item] = []
        # What the next words go into; calls stay open beside it, since their arguments may come in any order.
        self._open: MessageItem | ReasoningItem | None = None
        self._calls: dict[int, CallItem] = {}
        self._number = 0
        self.finish: Finish | None = None
        self.usage: Usage | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its end."""
        return self.finish is not None

    def begin(self) -> Iterator[Tree]:
        """The events before the first piece."""
        yield self._numbered("response.created", response=self.tree("in_progress"))
        yield self._numbered("response.in_progress", response=self.tree("in_progress"))

    def pieces(self, event: ChatEvent) -> Iterator[Tree]:
        """The events for one piece of the answer."""
        if isinstance(event, Used):
            self.usage = event.usage
            return
        if event.choice:
            # A response is one answer.
            return
        match event:
            case TextDelta(text):
                yield from self._say("output_text", text, ())
            case TokenLogprobs(tokens):
                yield from self._say("output_text", "", tokens)
            case RefusalDelta(text):
                yield from self._say("refusal", text, ())
            case ReasoningDelta(text):
                yield from self._think(text)
            case ToolCallBegun():
                yield from self._call(event)
            case ToolCallDelta(index, arguments):
                yield from self._all(self._calls[index].say(arguments))
            case Finished(reason):
                yield from self._finish(reason)

    def end(self) -> Iterator[Tree]:
        """The event behind the last piece."""
        reason = _INCOMPLETE.get(self.finish or Finish.STOP)
        status = "completed" if reason is None else "incomplete"
        yield self._numbered(f"response.{status}", response=self.tree(status))

    def fail(self, error: MediagateError) -> Iterator[Tree]:
        """The events of an answer that breaks off."""
        for item in self._items:
            item.broke()
        failure = {"code": _code(error), "message": error.message}
        yield self._numbered("response.failed", response={**self.tree("failed"), "error": failure})
        # The contract has these members, what OpenAI sends has them in `error`; the SDKs raise for the latter alone.
        told = {"code": error.code, "message": error.message, "param": error.param}
        yield {**self._numbered("error"), **told, "error": {"type": error.openai_type, **told}}

    def tree(self, status: str) -> Tree:
        """The `response` object as it is now."""
        reason = _INCOMPLETE.get(self.finish) if self.finish is not None and status == "incomplete" else None
        return {
            **self._head,
            "status": status,
            "completed_at": int(self._now()) if status == "completed" else None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": [item.tree() for item in self._items],
            "usage": None if self.usage is None else usage_tree(self.usage),
        }

    def _say(self, kind: str, text: str, logprobs: Iterable[Mapping[str, Any]]) -> Iterator[Tree]:
        if not text and not logprobs:
            return
        message = self._open
        if not isinstance(message, MessageItem):
            yield from self._close()
            message = self._open = MessageItem(self._id("msg_"), len(self._items))
            self._items.append(message)
            yield from self._all(message.begin())
        yield from self._all(message.say(kind, text, logprobs))

    def _think(self, text: str) -> Iterator[Tree]:
        if not text:
            return
        thought = self._open
        if not isinstance(thought, ReasoningItem):
            yield from self._close()
            thought = self._open = ReasoningItem(self._id("rs_"), len(self._items), summarized=self._summarized)
            self._items.append(thought)
            yield from self._all(thought.begin())
        yield from self._all(thought.say(text))

    def _call(self, begun: ToolCallBegun) -> Iterator[Tree]:
        yield from self._close()
        call = CallItem(self._id("fc_"), len(self._items), begun)
        self._calls[begun.index] = call
        self._items.append(call)
        yield from self._all(call.begin())

    def _finish(self, reason: Finish) -> Iterator[Tree]:
        self.finish = reason
        status = "incomplete" if reason in _INCOMPLETE else "completed"
        yield from self._close(status)
        for call in self._calls.values():
            yield from self._all(call.end(status))

    def _close(self, status: str = "completed") -> Iterator[Tree]:
        if self._open is not None:
            yield from self._all(self._open.end(status))
            self._open = None

    def _id(self, prefix: str) -> str:
        """An id of an item: unique, since the response's is."""
        return f"{prefix}{self._stamp.id.partition('_')[2]}{len(self._items):04d}"

    def _all(self, events: Iterable[Tree]) -> Iterator[Tree]:
        for event in events:
            name = event.pop("type")
            yield self._numbered(name, **event)

    def _numbered(self, name: str, **members: Any) -> Tree:
        number, self._number = self._number, self._number + 1
        return {"type": name, "sequence_number": number, **members}


class ResponseDocument:
    """A whole answer, from its events. `asked` is the caller's body; `stamp.id` begins with `resp_`."""

    def __init__(self, stamp: Stamp, asked: Body, now: Callable[[], float] = time.time) -> None:
        self._response = _Response(stamp, asked, now)

    def take(self, event: ChatEvent) -> None:
        """Note one event."""
        for _ in self._response.pieces(event):
            pass

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its end."""
        return self._response.is_complete

    @property
    def usage(self) -> Usage | None:
        """What the answer used, as far as that is known."""
        return self._response.usage

    def tree(self) -> Tree:
        """The `response` object."""
        last = next(self._response.end())
        response: Tree = last["response"]
        return response


class ResponseEvents:
    """The same as server-sent events. The first piece brings `response.created` along."""

    def __init__(self, stamp: Stamp, asked: Body, now: Callable[[], float] = time.time) -> None:
        self._response = _Response(stamp, asked, now)
        self._begun = False

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its end."""
        return self._response.is_complete

    @property
    def usage(self) -> Usage | None:
        """What the answer used, as far as that is known."""
        return self._response.usage

    def take(self, event: ChatEvent) -> bytes:
        """The events for one piece of the answer."""
        return self._begin() + _sse(self._response.pieces(event))

    def end(self) -> bytes:
        """What follows the last piece of an answer that is complete."""
        return self._begin() + _sse(self._response.end())

    def fail(self, error: MediagateError) -> bytes:
        """What follows the last piece of one that is not: `response.failed`, and `error`, for which SDKs raise."""
        return self._begin() + _sse(self._response.fail(error))

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return _sse(self._response.begin())


def response_document(
    stamp: Stamp, asked: Body, events: Iterable[ChatEvent], now: Callable[[], float] = time.time
) -> Tree:
    """The `response` object for the events of a whole answer."""
    document = ResponseDocument(stamp, asked, now)
    for event in events:
        document.take(event)
    return document.tree()


def usage_tree(usage: Usage) -> Tree:
    """OpenAI's `usage` object of the Responses API."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _head(stamp: Stamp, asked: Body) -> Tree:
    reasoning, text = asked.get("reasoning"), asked.get("text")
    reasoning = reasoning if isinstance(reasoning, Mapping) else {}
    text = text if isinstance(text, Mapping) else {}
    return {
        "id": stamp.id,
        "object": "response",
        "created_at": stamp.created_at,
        "model": stamp.model,
        "background": False,
        "error": None,
        "previous_response_id": None,
        "store": False,
        **{name: default if asked.get(name) is None else asked[name] for name, default in _ECHOED.items()},
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "text": {"format": {"type": "text"}, **{name: value for name, value in text.items() if value is not None}},
        "tools": [_tool(tool) for tool in asked.get("tools") or ()],
    }


def _tool(tool: Any) -> Any:
    inner = tool.get("function") if isinstance(tool, Mapping) else None
    if isinstance(inner, Mapping):
        tool = {"type": "function", **inner}
    return {"parameters": None, "strict": None, **tool}


def _code(error: MediagateError) -> str:
    """One of the few codes that the contract has for the error of a response."""
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"


def _sse(events: Iterable[Tree]) -> bytes:
    return b"".join(sse(event, event["type"]) for event in events)

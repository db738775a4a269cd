"""`ChatEvent`s as a Chat Completions answer: one document, or the chunks of a stream.

https://platform.openai.com/docs/api-reference/chat/object, .../chat-streaming
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mediagate.core.chat import (
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
from mediagate.core.errors import MediagateError

DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every piece of one answer says of it. `created_at` is unix seconds."""

    id: str
    model: str
    created_at: int


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    extra: Mapping[str, Any]
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    finish: Finish | None = None


class ChatDocument:
    """A whole answer, from its events."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._choices: dict[int, _Choice] = {}
        self.usage: Usage | None = None

    def take(self, event: ChatEvent) -> None:
        """Note one event."""
        if isinstance(event, Used):
            self.usage = event.usage
            return
        choice = self._choices.setdefault(event.choice, _Choice())
        match event:
            case TextDelta(text):
                choice.text.append(text)
            case ReasoningDelta(text):
                choice.reasoning.append(text)
            case RefusalDelta(text):
                choice.refusal.append(text)
            case TokenLogprobs(tokens):
                choice.logprobs += tokens
            case ToolCallBegun(index, id_, name, _, extra):
                choice.calls[index] = _Call(id_, name, extra)
            case ToolCallDelta(index, arguments):
                choice.calls[index].arguments.append(arguments)
            case Finished(reason):
                choice.finish = reason

    @property
    def is_complete(self) -> bool:
        """Whether every choice has come to its end."""
        return bool(self._choices) and all(choice.finish is not None for choice in self._choices.values())

    def tree(self) -> dict[str, Any]:
        """The `chat.completion` object."""
        found: dict[str, Any] = {
            "id": self._stamp.id,
            "object": "chat.completion",
            "created": self._stamp.created_at,
            "model": self._stamp.model,
            "choices": [_choice_tree(number, self._choices[number]) for number in sorted(self._choices)],
        }
        if self.usage is not None:
            found["usage"] = usage_tree(self.usage)
        return found


def _choice_tree(number: int, choice: _Choice) -> dict[str, Any]:
    text, refusal = "".join(choice.text), "".join(choice.refusal)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not (choice.calls or refusal) else None,
        "refusal": refusal or None,
        "annotations": [],
    }
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.calls:
        message["tool_calls"] = [
            {
                **_call_tree(call.id, call.name, "".join(call.arguments) or "{}"),
                **({"extra_content": dict(call.extra)} if call.extra else {}),
            }
            for _, call in sorted(choice.calls.items())
        ]
    finish = choice.finish or Finish.STOP
    logprobs = _logprobs_tree(choice.logprobs) if choice.logprobs else None
    return {"index": number, "message": message, "logprobs": logprobs, "finish_reason": finish.value}


def _logprobs_tree(tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"content": [dict(token) for token in tokens], "refusal": None}


def _call_tree(id_: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


class ChatChunks:
    """The same as server-sent events, one for each event that says something."""

    def __init__(self, stamp: Stamp, *, with_usage: bool) -> None:
        self._head = {
            "id": stamp.id,
            "object": "chat.completion.chunk",
            "created": stamp.created_at,
            "model": stamp.model,
        }
        self._with_usage = with_usage
        self._begun: set[int] = set()
        self._open: set[int] = set()
        # Calls of which no argument has come, by choice.
        self._bare: dict[int, list[int]] = {}
        self.usage: Usage | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every choice has come to its end."""
        return bool(self._begun) and not self._open

    def take(self, event: ChatEvent) -> bytes:
        """The events for one piece of the answer; empty where it has nothing to say yet."""
        if isinstance(event, Used):
            self.usage = event.usage
            return b""
        finish = event.reason.value if isinstance(event, Finished) else None
        logprobs = _logprobs_tree(event.tokens) if isinstance(event, TokenLogprobs) else None
        first = b""
        if event.choice not in self._begun:
            self._begun.add(event.choice)
            self._open.add(event.choice)
            first = self._chunk(event.choice, {"role": "assistant", "content": "", "refusal": None}, None)
        match event:
            case ToolCallBegun(index):
                self._bare.setdefault(event.choice, []).append(index)
            case ToolCallDelta(index, str(said)) if said and index in (bare := self._bare.get(event.choice, [])):
                bare.remove(index)
            case Finished(reason):
                self._open.discard(event.choice)
                first += self._without_arguments(event.choice, reason)
        return first + self._chunk(event.choice, _delta(event), finish, logprobs)

    def _without_arguments(self, choice: int, reason: Finish) -> bytes:
        """The arguments of calls that have none: clients read them as JSON. Of a call that was cut they are unknown."""
        bare = self._bare.pop(choice, [])
        if reason in (Finish.LENGTH, Finish.CONTENT_FILTER):
            return b""
        return b"".join(self._chunk(choice, _delta(ToolCallDelta(index, "{}", choice)), None) for index in bare)

    def end(self) -> bytes:
        """What follows the last event: the usage where the caller wants it, and the end."""
        if not self._with_usage or self.usage is None:
            return DONE
        return sse({**self._head, "choices": [], "usage": usage_tree(self.usage)}) + DONE

    def fail(self, error: MediagateError) -> bytes:
        """What says that the answer breaks off."""
        return error_sse(error)

    def _chunk(
        self, choice: int, delta: Mapping[str, Any], finish: str | None, logprobs: Mapping[str, Any] | None = None
    ) -> bytes:
        told = [{"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]
        tree = {**self._head, "choices": told}
        return sse({**tree, "usage": None} if self._with_usage else tree)


def _delta(event: ChatEvent) -> dict[str, Any]:
    """What a piece adds to the message."""
    match event:
        case TextDelta(text):
            return {"content": text}
        case ReasoningDelta(text):
            return {"reasoning_content": text}
        case RefusalDelta(text):
            return {"refusal": text}
        case ToolCallBegun(index, id_, name, _, extra):
            call = {"index": index, **_call_tree(id_, name, "")}
            return {"tool_calls": [{**call, "extra_content": dict(extra)} if extra else call]}
        case ToolCallDelta(index, arguments):
            return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}
    return {}


def usage_tree(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage` object of Chat Completions."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": usage.audio_input_tokens,
            **({"cache_write_tokens": usage.cache_write_tokens} if usage.cache_write_tokens else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat_document(stamp: Stamp, events: Iterable[ChatEvent]) -> dict[str, Any]:
    """The `chat.completion` object for the events of a whole answer."""
    document = ChatDocument(stamp)
    for event in events:
        document.take(event)
    return document.tree()


def sse(tree: Mapping[str, Any], event: str = "") -> bytes:
    """One server-sent event with JSON in it."""
    named = f"event: {event}\n" if event else ""
    return b"".join((f"{named}data: ".encode(), json_bytes(tree), b"\n\n"))


def json_bytes(tree: object) -> bytes:
    """JSON in UTF-8, as short as it can be. What holds half of a surrogate pair, which UTF-8 cannot, is escaped: a
    server may cut its pieces between the halves."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(tree, separators=(",", ":")).encode()


def error_tree(error: MediagateError) -> dict[str, Any]:
    """OpenAI's `error` object."""
    return {"message": error.message, "type": error.openai_type, "param": error.param, "code": error.code}


def error_sse(error: MediagateError) -> bytes:
    """The event that ends a stream which breaks off; no `[DONE]` follows it."""
    return sse({"error": error_tree(error)})

"""What Claude answers, as the pieces of a chat: a whole message, or the events of a stream.

https://platform.claude.com/docs/en/api/messages/create, .../docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import (
    ChatEvent,
    Finish,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallBegun,
    ToolCallDelta,
    Usage,
    Used,
)
from mediagate.core.errors import MediagateError, ProviderFailed, ProviderRefused, ProviderTimeout, RateLimited
from mediagate.providers.answers import Tree, reading
from mediagate.providers.anthropic.chat_body import NATIVE, THINKING
from mediagate.providers.anthropic.spec import CHAT
from mediagate.providers.chat_failures import overloaded, rejected

FINISHES: Final[Mapping[str, Finish]] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    # Only tools that run at Anthropic pause, and a body that asked for such can be continued.
    "pause_turn": Finish.LENGTH,
    "refusal": Finish.CONTENT_FILTER,
}
_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def events_of(message: Mapping[str, Any]) -> list[ChatEvent]:
    """The pieces of a whole message. Raises `ProviderFailed` for what is none."""
    with reading(CHAT.title):
        reader = MessageReader()
        events = reader.feed({"type": "message_start", "message": message})
        for index, block in enumerate(message["content"]):
            events += reader.feed({"type": "content_block_start", "index": index, "content_block": block})
            if block["type"] == "tool_use":
                delta = {"type": "input_json_delta", "partial_json": _json(block.get("input"))}
                events += reader.feed({"type": "content_block_delta", "index": index, "delta": delta})
            events += reader.feed({"type": "content_block_stop", "index": index})
        ended = {name: message.get(name) for name in ("stop_reason", "stop_details")}
        events += reader.feed({"type": "message_delta", "delta": ended, "usage": {}})
        events += reader.feed({"type": "message_stop"})
    if not reader.is_complete:
        raise ProviderFailed(f"{CHAT.title} gave an answer that cannot be read.", code="provider_bad_answer")
    return events


class MessageReader:
    """Reads the events of one stream. `is_complete` tells that its end has come."""

    def __init__(self) -> None:
        self.is_complete = False
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._thinking_tokens = 0
        # Blocks of thoughts since the last call: they have to come back with the next.
        self._thoughts: list[Tree] = []
        self._thought: Tree | None = None
        # The number of a tool's call by that of its block.
        self._calls: dict[int, int] = {}
        self._stop_reason: str | None = None
        self._told = False

    def feed(self, event: Mapping[str, Any]) -> list[ChatEvent]:
        """The pieces in one event; a kind that is not known has none, as the API demands of its readers. Raises what an
        `error` event means, `ProviderFailed` for an event that cannot be read."""
        with reading(CHAT.title):
            match event["type"]:
                case "message_start":
                    self._count(event["message"].get("usage") or {})
                case "content_block_start":
                    return [*self._paid(), *self._begun(event["index"], event["content_block"])]
                case "content_block_delta":
                    return list(self._delta(event["index"], event["delta"]))
                case "content_block_stop":
                    self._end_thought()
                case "message_delta":
                    return list(self._ending(event))
                case "message_stop":
                    self.is_complete = self._stop_reason is not None
                case "error":
                    raise error_in(event)
        return []

    def _paid(self) -> Iterator[ChatEvent]:
        # A caller may go away before the end: what was read for it is known with the first block.
        if not self._told:
            self._told = True
            yield self._used()

    def _begun(self, index: int, block: Mapping[str, Any]) -> Iterator[ChatEvent]:
        match block["type"]:
            case "text":
                if block.get("text"):
                    yield TextDelta(block["text"])
            case "thinking":
                words, signature = block.get("thinking") or "", block.get("signature") or ""
                self._thought = {"type": "thinking", "thinking": words, "signature": signature}
                if words:
                    yield ReasoningDelta(words)
            case "redacted_thinking":
                self._thought = {"type": "redacted_thinking", "data": block["data"]}
            case "tool_use":
                number = self._calls.setdefault(index, len(self._calls))
                extra = {NATIVE: {THINKING: self._thoughts}} if self._thoughts else {}
                self._thoughts = []
                yield ToolCallBegun(number, block["id"], block["name"], extra=extra)

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[ChatEvent]:
        match delta["type"]:
            case "text_delta":
                yield TextDelta(delta["text"])
            case "input_json_delta":
                # A tool that runs at Anthropic has such too, and is no call of the caller's.
                if index in self._calls and delta["partial_json"]:
                    yield ToolCallDelta(self._calls[index], delta["partial_json"])
            case "thinking_delta":
                if self._thought is not None:
                    self._thought["thinking"] += delta["thinking"]
                yield ReasoningDelta(delta["thinking"])
            case "signature_delta":
                if self._thought is not None:
                    self._thought["signature"] += delta["signature"]

    def _end_thought(self) -> None:
        if self._thought is not None:
            self._thoughts.append(self._thought)
            self._thought = None

    def _ending(self, event: Mapping[str, Any]) -> Iterator[ChatEvent]:
        self._count(event.get("usage") or {})
        delta = event["delta"]
        reason = delta.get("stop_reason")
        if reason is None:
            return
        self._stop_reason = reason
        why = (delta.get("stop_details") or {}).get("explanation")
        if reason == "refusal" and why:
            yield RefusalDelta(why)
        yield self._used()
        yield Finished(FINISHES.get(reason, Finish.STOP), provider_reason=reason)

    def _count(self, usage: Mapping[str, Any]) -> None:
        # Those of a later event are of the whole, and one that it leaves out has not changed.
        self._counts |= {name: int(usage[name]) for name in _COUNTS if usage.get(name) is not None}
        details = usage.get("output_tokens_details") or {}
        self._thinking_tokens = int(details.get("thinking_tokens") or self._thinking_tokens)

    def _used(self) -> Used:
        counts = self._counts
        read, written = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
        return Used(
            Usage(
                # Anthropic counts what came from its cache, and went into it, apart.
                input_tokens=counts["input_tokens"] + read + written,
                output_tokens=counts["output_tokens"],
                cached_tokens=read,
                cache_write_tokens=written,
                reasoning_tokens=self._thinking_tokens,
            )
        )


def error_in(event: Mapping[str, Any]) -> MediagateError:
    """What the error of a stream, or of one request of a batch, means: `{"error": {"type", "message"}}`."""
    error = event["error"]
    kind, said = error["type"], str(error.get("message") or "")
    match kind:
        case "invalid_request_error" | "request_too_large":
            return rejected(CHAT.title, said)
        case "rate_limit_error":
            return RateLimited(f"{CHAT.title} asks for a pause. Try again later.", code="provider_rate_limited")
        case "overloaded_error":
            return overloaded(CHAT.title)
        case "timeout_error":
            return ProviderTimeout(f"{CHAT.title} did not answer in time. Try again later.", code="provider_timeout")
        case "authentication_error" | "permission_error" | "billing_error" | "not_found_error":
            return ProviderRefused(
                f"{CHAT.title} does not let the gateway do this. The gateway's operator has to check the account.",
                code="provider_credentials_refused",
            )
    return ProviderFailed(f"{CHAT.title} failed. Try again later.", code="provider_failed")


def _json(value: Any) -> str:
    return json.dumps(value or {}, ensure_ascii=False, separators=(",", ":"))

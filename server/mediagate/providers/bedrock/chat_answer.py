"""What Converse answers, as the pieces of a chat: a whole answer, or the events of a stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
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
    TextDelta,
    ToolCallBegun,
    ToolCallDelta,
    Usage,
    Used,
)
from mediagate.core.errors import ProviderFailed
from mediagate.providers.answers import Tree, bad_answer, reading
from mediagate.providers.bedrock.chat_body import NATIVE, REASONING
from mediagate.providers.bedrock.spec import CHAT

FINISHES: Final[Mapping[str, Finish]] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "guardrail_intervened": Finish.CONTENT_FILTER,
    "content_filtered": Finish.CONTENT_FILTER,
}
# The model wrote what is neither an answer nor a call.
MALFORMED: Final = frozenset({"malformed_model_output", "malformed_tool_use"})
# A tool of Bedrock's own, which it calls itself.
_AT_BEDROCK: Final = "server_tool_use"
# What a model may answer with besides words.
_WORDLESS: Final = frozenset({"audio", "document", "image", "video"})


def events_of(answer: Mapping[str, Any]) -> list[ChatEvent]:
    """The pieces of a whole answer of Converse. Raises `ProviderFailed` for what is none."""
    reader = ConverseReader()
    events: list[ChatEvent] = []
    with reading(CHAT.title):
        for index, block in enumerate(answer["output"]["message"]["content"]):
            events += _of_block(reader, index, block)
        events += reader.feed("messageStop", {"stopReason": answer["stopReason"]})
        events += reader.feed("metadata", {"usage": answer.get("usage") or {}})
        events += reader.end()
    if not reader.is_complete:
        raise bad_answer(CHAT.title)
    return events


def _of_block(reader: ConverseReader, index: int, block: Mapping[str, Any]) -> Iterator[ChatEvent]:
    """A block of a whole answer as the events of a stream."""
    _require_words(block)

    def delta(**members: Any) -> list[ChatEvent]:
        return reader.feed("contentBlockDelta", {"contentBlockIndex": index, "delta": members})

    match block:
        case {"text": str(text)}:
            yield from delta(text=text)
        case {"toolUse": call}:
            start = {"toolUse": {name: value for name, value in call.items() if name != "input"}}
            yield from reader.feed("contentBlockStart", {"contentBlockIndex": index, "start": start})
            arguments = json.dumps(call.get("input") or {}, ensure_ascii=False, separators=(",", ":"))
            yield from delta(toolUse={"input": arguments})
        case {"reasoningContent": {"reasoningText": thought}}:
            yield from delta(reasoningContent={"text": thought["text"]})
            if thought.get("signature"):
                yield from delta(reasoningContent={"signature": thought["signature"]})
        case {"reasoningContent": {"redactedContent": data}}:
            yield from delta(reasoningContent={"redactedContent": data})
        case {"citationsContent": cited}:
            for part in cited.get("content") or []:
                yield from delta(text=part["text"])
    yield from reader.feed("contentBlockStop", {"contentBlockIndex": index})


class ConverseReader:
    """Reads the events of one stream. `is_complete` tells that the model has come to its end, `is_told` that all of it
    is said, the usage too."""

    def __init__(self) -> None:
        self.is_complete = False
        # Blocks of thoughts since the last call: they have to come back with the next.
        self._thoughts: list[Tree] = []
        self._thought, self._signature = "", ""
        # The number of a tool's call by that of its block.
        self._calls: dict[int, int] = {}
        self._finished: Finished | None = None

    def feed(self, kind: str, event: Mapping[str, Any]) -> list[ChatEvent]:
        """The pieces in one event. A kind that is not known has none. Raises `ProviderFailed` for an event that cannot
        be read, and for an answer that the model could not write."""
        with reading(CHAT.title):
            match kind:
                case "contentBlockStart":
                    return list(self._begun(event["contentBlockIndex"], event["start"]))
                case "contentBlockDelta":
                    return list(self._delta(event["contentBlockIndex"], event["delta"]))
                case "contentBlockStop":
                    self._end_thought()
                case "messageStop":
                    self._stop(event["stopReason"])
                case "metadata":
                    return [_used(event["usage"]), *self.end()]
        return []

    @property
    def is_told(self) -> bool:
        """Whether nothing can follow."""
        return self.is_complete and self._finished is None

    def end(self) -> list[ChatEvent]:
        """The end, once: with the usage, which comes behind it, or where the stream ends without that."""
        finished, self._finished = self._finished, None
        return [] if finished is None else [finished]

    def _begun(self, index: int, start: Mapping[str, Any]) -> Iterator[ChatEvent]:
        _require_words(start)
        call = start.get("toolUse")
        if call is None or call.get("type") == _AT_BEDROCK:
            return
        number = self._calls.setdefault(index, len(self._calls))
        extra = {NATIVE: {REASONING: self._thoughts}} if self._thoughts else {}
        self._thoughts = []
        yield ToolCallBegun(number, call["toolUseId"], call["name"], extra=extra)

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[ChatEvent]:
        _require_words(delta)
        match delta:
            case {"text": str(text)}:
                if text:
                    yield TextDelta(text)
            case {"toolUse": {"input": str(arguments)}}:
                if index in self._calls and arguments:
                    yield ToolCallDelta(self._calls[index], arguments)
            case {"reasoningContent": {"text": str(text)}}:
                self._thought += text
                if text:
                    yield ReasoningDelta(text)
            case {"reasoningContent": {"signature": str(signature)}}:
                self._signature += signature
            case {"reasoningContent": {"redactedContent": str(data)}}:
                self._thoughts.append({"redactedContent": data})

    def _end_thought(self) -> None:
        # Models that do not sign do not take their thoughts back either.
        if self._signature:
            thought = {"text": self._thought, "signature": self._signature}
            self._thoughts.append({"reasoningText": thought})
        self._thought, self._signature = "", ""

    def _stop(self, reason: str) -> None:
        if reason in MALFORMED:
            raise ProviderFailed(
                f"The model at {CHAT.title} wrote what is no answer. Try again.", code="provider_malformed_answer"
            )
        self.is_complete = True
        self._finished = Finished(FINISHES.get(reason, Finish.STOP), provider_reason=reason)


def _require_words(block: Mapping[str, Any]) -> None:
    if wordless := block.keys() & _WORDLESS:
        raise ProviderFailed(
            f"{CHAT.title} answered with '{min(wordless)}', for which a chat has no words.", code="provider_bad_answer"
        )


def _used(usage: Mapping[str, Any]) -> Used:
    read, written = int(usage.get("cacheReadInputTokens") or 0), int(usage.get("cacheWriteInputTokens") or 0)
    return Used(
        Usage(
            # Bedrock counts what came from its cache, and went into it, apart.
            input_tokens=int(usage.get("inputTokens") or 0) + read + written,
            output_tokens=int(usage.get("outputTokens") or 0),
            cached_tokens=read,
            cache_write_tokens=written,
        )
    )

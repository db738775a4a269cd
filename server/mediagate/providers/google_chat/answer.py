"""Answers of `generateContent`, whole or in pieces, as `ChatEvent`s: https://ai.google.dev/api/generate-content"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import (
    ChatEvent,
    Finish,
    Finished,
    ReasoningDelta,
    TextDelta,
    TokenLogprobs,
    ToolCallBegun,
    ToolCallDelta,
    Usage,
    Used,
)
from mediagate.core.errors import InvalidRequest, ProviderFailed
from mediagate.providers.answers import bad_answer, reading
from mediagate.providers.chat_failures import cut
from mediagate.providers.google_chat.failures import inner_error

_FILTERED: Final = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "ESCALATION", "JAILBREAK",
    }
)  # fmt: skip
# The model has written what nobody can read; the same question again may be answered.
_BROKEN: Final = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE", "NO_IMAGE"}
)
_UNSIGNED: Final = "MISSING_THOUGHT_SIGNATURE"
# What surrounds an answer and says nothing in it.
_SILENT: Final = frozenset({"thought", "thoughtSignature", "text", "functionCall", "videoMetadata", "partMetadata"})


def new_call_id() -> str:
    """An id for a call that the provider gave none."""
    return f"call_{secrets.token_hex(12)}"


class AnswerReader:
    """Reads one answer. `title` is how failures name the provider."""

    def __init__(self, title: str, new_id: Callable[[], str] = new_call_id) -> None:
        self._title = title
        self._new_id = new_id
        self._calls: dict[int, int] = {}
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._used = Usage()

    def feed(self, tree: Mapping[str, Any]) -> list[ChatEvent]:
        """The events of a whole answer, or of the next piece of a stream. Raises `ProviderFailed` for what cannot be
        read, and what an error in it means."""
        if "error" in tree:
            raise inner_error(tree["error"], self._title)
        with reading(self._title):
            return list(self._events(tree))

    def end(self) -> None:
        """Raises `ProviderFailed` where the answer has not come to its end."""
        if self._open or not self._finished:
            raise cut(self._title)

    def _events(self, tree: Mapping[str, Any]) -> Iterator[ChatEvent]:
        for candidate in tree.get("candidates") or ():
            yield from self._candidate(candidate)
        blocked = (tree.get("promptFeedback") or {}).get("blockReason")
        if blocked and not tree.get("candidates"):
            yield from self._finish(0, "SAFETY", str(blocked))
        if (usage := tree.get("usageMetadata")) and (found := usage_of(usage)) != self._used:
            self._used = found
            yield Used(found)

    def _candidate(self, candidate: Mapping[str, Any]) -> Iterator[ChatEvent]:
        choice = int(candidate.get("index") or 0)
        if choice not in self._finished:
            self._open.add(choice)
        for part in (candidate.get("content") or {}).get("parts") or ():
            yield from self._part(part, choice)
        if tokens := _logprobs(candidate.get("logprobsResult") or {}):
            yield TokenLogprobs(tokens, choice)
        if (reason := candidate.get("finishReason")) and reason != "FINISH_REASON_UNSPECIFIED":
            yield from self._finish(choice, str(reason), str(reason))

    def _part(self, part: Mapping[str, Any], choice: int) -> Iterator[ChatEvent]:
        if unknown := part.keys() - _SILENT:
            raise ProviderFailed(
                f"{self._title} answered with '{min(unknown)}', for which a chat has no words.",
                code="provider_bad_answer",
            )
        if text := part.get("text"):
            yield ReasoningDelta(str(text), choice) if part.get("thought") else TextDelta(str(text), choice)
        if (call := part.get("functionCall")) is not None:
            index = self._calls.get(choice, 0)
            self._calls[choice] = index + 1
            signature = part.get("thoughtSignature")
            extra = {"google": {"thought_signature": signature}} if signature else {}
            yield ToolCallBegun(index, str(call.get("id") or self._new_id()), str(call["name"]), choice, extra)
            yield ToolCallDelta(index, json.dumps(call.get("args") or {}, ensure_ascii=False), choice)

    def _finish(self, choice: int, reason: str, said: str) -> Iterator[ChatEvent]:
        if reason in _BROKEN:
            raise ProviderFailed(
                f"{self._title}'s model made an answer that cannot be read ({said}). Try again.",
                code="provider_bad_answer",
            )
        if reason == _UNSIGNED:
            raise InvalidRequest(
                f"{self._title} wants the signature of its thoughts back: send 'extra_content' of every tool call as "
                "it came.",
                param="messages",
                code="missing_thought_signature",
            )
        if choice in self._finished:
            return
        self._open.discard(choice)
        self._finished.add(choice)
        finish = Finish.STOP
        if reason in _FILTERED:
            finish = Finish.CONTENT_FILTER
        elif reason == "MAX_TOKENS":
            finish = Finish.LENGTH
        elif self._calls.get(choice):
            finish = Finish.TOOL_CALLS
        yield Finished(finish, choice, said)


def events_of(answer: Mapping[str, Any], title: str, new_id: Callable[[], str] = new_call_id) -> list[ChatEvent]:
    """The events of a whole answer. Raises as `AnswerReader` does."""
    reader = AnswerReader(title, new_id)
    events = reader.feed(answer)
    if not events:
        raise bad_answer(title)
    reader.end()
    return events


def usage_of(tree: Mapping[str, Any]) -> Usage:
    """Google counts thoughts beside the answer, and what tools have read beside the question."""
    thoughts = _count(tree.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=_count(tree.get("promptTokenCount")) + _count(tree.get("toolUsePromptTokenCount")),
        output_tokens=_count(tree.get("candidatesTokenCount")) + thoughts,
        cached_tokens=_count(tree.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        audio_input_tokens=_audio(tree.get("promptTokensDetails")),
        audio_output_tokens=_audio(tree.get("candidatesTokensDetails")),
    )


def _count(value: Any) -> int:
    return max(0, int(value or 0))


def _audio(details: Any) -> int:
    return sum(_count(one.get("tokenCount")) for one in details or () if one.get("modality") == "AUDIO")


def _logprobs(result: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The tokens in OpenAI's form."""
    tops = result.get("topCandidates") or []
    found = []
    for number, chosen in enumerate(result.get("chosenCandidates") or ()):
        others = (tops[number].get("candidates") or ()) if number < len(tops) else ()
        found.append({**_token(chosen), "top_logprobs": [_token(other) for other in others]})
    return tuple(found)


def _token(tree: Mapping[str, Any]) -> dict[str, Any]:
    token = str(tree.get("token") or "")
    return {"token": token, "logprob": float(tree.get("logProbability") or 0.0), "bytes": list(token.encode())}

"""An answer of Chat Completions, as any server of that contract gives it, read into `ChatEvent`s.

https://platform.openai.com/docs/api-reference/chat/object, .../chat-streaming. Servers differ in what they leave out
and add; what cannot be mistaken is taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
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
)
from mediagate.core.errors import ProviderFailed
from mediagate.core.ids import CALL
from mediagate.core.read_usage import read_usage

_FINISHES: Final[Mapping[str, Finish]] = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    # Mistral: the model's whole context is full.
    "model_length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.CONTENT_FILTER,
}
# More calls, or choices, than any model makes: what follows is no answer.
_PIECES_MAX: Final = 10_000


def read_answer(tree: Mapping[str, Any], new_call_id: Callable[[], str] = CALL.new) -> list[ChatEvent]:
    """The events of a whole `chat.completion` object. Raises `ProviderFailed` for what is none, or is an error."""
    reader = ChunkReader(new_call_id)
    events = [*reader.feed(tree), *reader.end()]
    if not reader.is_complete:
        raise bad_answer()
    return events


def bad_answer() -> ProviderFailed:
    """What an answer that is none of a chat model's means."""
    return ProviderFailed("The provider gave an answer that cannot be read.", code="provider_bad_answer")


@dataclass(slots=True)
class _Call:
    number: int
    id: str
    name: str = ""
    begun: bool = False
    # What came before the name did.
    waiting: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Choice:
    # By the provider's own index of a call, which may have gaps, be 0 for all of them, or be missing.
    calls: dict[int | None, _Call] = field(default_factory=dict)
    count: int = 0
    finished: bool = False


class ChunkReader:
    """Reads the `chat.completion.chunk`s of one stream, or the one object of an answer that is no stream."""

    def __init__(self, new_call_id: Callable[[], str] = CALL.new) -> None:
        self._new_call_id = new_call_id
        self._choices: dict[int, _Choice] = {}

    @property
    def is_complete(self) -> bool:
        """Whether there was an answer, and every choice of it has come to its end."""
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    def feed(self, chunk: Mapping[str, Any]) -> list[ChatEvent]:
        """The events of one chunk. Raises `ProviderFailed` where it says that the provider failed, or is no chunk."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise ProviderFailed("The provider failed in the middle of its answer.", code="provider_failed")
        try:
            events = [event for choice in chunk.get("choices") or () for event in self._choice(choice)]
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            raise bad_answer() from None
        used = read_usage(chunk.get("usage"))
        return events if used is None else [*events, used]

    def end(self) -> list[ChatEvent]:
        """The events that the provider's word for the end (`[DONE]`, or the end of a whole document) leaves: a choice
        of which it never said why it ends has simply stopped."""
        return [event for number, choice in self._choices.items() for event in self._finish(number, choice, "stop")]

    def _choice(self, tree: Mapping[str, Any]) -> Iterator[ChatEvent]:
        number = tree.get("index") or 0
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _PIECES_MAX:
            raise ValueError(number)
        choice = self._choices.setdefault(number, _Choice())
        if choice.finished:
            # Some servers say the end twice, or send an empty piece behind it.
            return
        delta = tree.get("delta") or tree.get("message") or {}
        for name in ("reasoning_content", "reasoning"):
            if isinstance(delta.get(name), str) and delta[name]:
                yield ReasoningDelta(delta[name], number)
                # Servers that are between two names send both.
                break
        yield from self._content(delta.get("content"), number)
        if tokens := _logprobs(tree.get("logprobs")):
            yield TokenLogprobs(tokens, number)
        if delta.get("refusal"):
            yield RefusalDelta(_text(delta["refusal"]), number)
        calls = delta.get("tool_calls") or ()
        if delta.get("function_call"):
            calls = [*calls, {"index": 0, "function": delta["function_call"]}]
        for call in calls:
            yield from self._call(number, choice, call)
        finish = tree.get("finish_reason")
        if finish:
            yield from self._finish(number, choice, _text(finish))

    def _content(self, content: Any, number: int) -> Iterator[ChatEvent]:
        if isinstance(content, str):
            if content:
                yield TextDelta(content, number)
            return
        for part in content or ():
            # Mistral's parts; its models think in one of them.
            if part.get("type") == "thinking":
                for thought in part["thinking"]:
                    yield ReasoningDelta(_text(thought["text"]), number)
            elif part.get("type") == "text":
                yield TextDelta(_text(part["text"]), number)

    def _call(self, number: int, choice: _Choice, tree: Mapping[str, Any]) -> Iterator[ChatEvent]:
        function = tree.get("function") or {}
        call = self._called(choice, tree, function)
        if isinstance(tree.get("extra_content"), Mapping):
            call.extra |= tree["extra_content"]
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if not call.begun and (name := function.get("name")):
            call.name, call.begun = _text(name), True
            yield ToolCallBegun(call.number, call.id, call.name, number, call.extra)
            arguments = "".join([*call.waiting, arguments or ""])
            call.waiting.clear()
        if arguments and call.begun:
            yield ToolCallDelta(call.number, arguments, number)
        elif arguments:
            call.waiting.append(arguments)

    def _called(self, choice: _Choice, tree: Mapping[str, Any], function: Mapping[str, Any]) -> _Call:
        """The call that a piece belongs to: a piece with another id begins another call, whatever its index is."""
        index, named = tree.get("index"), tree.get("id") or None
        if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
            raise ValueError(index)
        call = choice.calls.get(index)
        begins = function.get("name") and (named is not None or index is None)
        if call is None or (begins and call.begun and (named is None or named != call.id)):
            if choice.count >= _PIECES_MAX:
                raise ValueError(choice.count)
            call = choice.calls[index] = _Call(choice.count, "" if named is None else _text(named))
            choice.count += 1
        elif named is not None and not call.begun:
            call.id = _text(named)
        call.id = call.id or self._new_call_id()
        return call

    def _finish(self, number: int, choice: _Choice, reason: str) -> Iterator[ChatEvent]:
        if choice.finished:
            return
        if reason == "error":
            raise ProviderFailed("The provider failed in the middle of its answer.", code="provider_failed")
        if any(not call.begun for call in choice.calls.values()):
            raise bad_answer()
        choice.finished = True
        finish = _FINISHES.get(reason, Finish.STOP)
        if finish is Finish.STOP and choice.count:
            finish = Finish.TOOL_CALLS
        yield Finished(finish, number, reason)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _logprobs(tree: Any) -> tuple[Mapping[str, Any], ...]:
    """What is said of each token, with all the members that OpenAI's contract has."""
    found = tree.get("content") if isinstance(tree, Mapping) else None
    return tuple(
        _token(one) | {"top_logprobs": [_token(top) for top in one.get("top_logprobs") or ()]} for one in found or ()
    )


def _token(one: Mapping[str, Any]) -> dict[str, Any]:
    token, given, logprob = _text(one["token"]), one.get("bytes"), float(one["logprob"])
    return {
        "token": token,
        # JSON has no infinity; this is OpenAI's own figure for what is next to impossible.
        "logprob": logprob if math.isfinite(logprob) else -9999.0,
        "bytes": list(token.encode(errors="replace")) if given is None else given,
    }

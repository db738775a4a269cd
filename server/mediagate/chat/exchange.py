"""One question to one provider, whatever it speaks: its answer as bytes in the caller's dialect, and what it used."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from mediagate.chat.cost import grade_of
from mediagate.chat.pass_through import PassThrough, data_of, events_of, first_of, with_cost
from mediagate.core.chat import ChatEvent, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Used
from mediagate.core.errors import InternalError, MediagateError, ProviderFailed
from mediagate.core.limits import MIB
from mediagate.core.read_answer import ChunkReader, read_answer
from mediagate.core.read_usage import read_usage, said_bytes
from mediagate.core.write_chat import json_bytes
from mediagate.providers.answers import bad_answer
from mediagate.providers.chat import RawCall, SpeaksOpenAI
from mediagate.providers.chat_failures import chat_status_error, cut
from mediagate.providers.event_stream import DONE, json_in, sse_events

log = structlog.get_logger(__name__)
ANSWER_BYTES_MAX: Final = 64 * MIB
EVENT_STREAM: Final = "text/event-stream"
JSON: Final = "application/json"


@dataclass(slots=True)
class Outcome:
    """What is known of an answer, more of it the further it has come. `failure` is what broke it off."""

    used: Used | None = None
    is_complete: bool = False
    failure: MediagateError | None = None
    is_over: bool = False
    """Whether what goes out next is the end of the answer."""
    said_bytes: int = 0
    """Length of the words, the thoughts and the arguments of tools so far, for an answer that never says what it
    used."""
    grade: str | None = None
    """The grade of service, where the provider names one."""
    price: Callable[[Used], float | None] | None = None
    """What an answer that used so much costs, for the caller who is told what it used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose first bytes are there. A stream that breaks off ends with an event that says so."""

    content_type: str
    chunks: AsyncGenerator[bytes]
    outcome: Outcome


class DocumentWriter(Protocol):
    """Makes one document of an answer's events."""

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its end."""
        ...

    def take(self, event: ChatEvent) -> None:
        """Note one event."""
        ...

    def tree(self) -> dict[str, Any]:
        """The document."""
        ...


class StreamWriter(Protocol):
    """Makes server-sent events of an answer's events."""

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its end."""
        ...

    def take(self, event: ChatEvent) -> bytes:
        """What one event is on the wire; empty where it says nothing yet."""
        ...

    def end(self) -> bytes:
        """What follows the last event."""
        ...

    def fail(self, error: MediagateError) -> bytes:
        """What says that the answer breaks off."""
        ...


@asynccontextmanager
async def pass_on(provider: SpeaksOpenAI, call: RawCall, *, hides_usage: bool) -> AsyncIterator[Answer]:
    """Ask a provider that speaks the caller's dialect. Raises as `SpeaksOpenAI.ask` does, before the first bytes."""
    outcome = Outcome()
    title = provider.spec.title
    async with provider.ask(call) as raw:
        if not call.stream or EVENT_STREAM not in raw.content_type:
            data = await _whole(raw.chunks, title)
            tree = _no_refusal(_tree(data, title), title)
            outcome.used, outcome.is_complete = read_usage(tree.get("usage")), True
            outcome.grade, outcome.said_bytes = grade_of(tree), said_bytes(data)
            yield Answer(JSON, one_piece(data), outcome)
            return
        first = await first_of(raw.chunks)
        if not first:
            raise cut(title)
        if isinstance(begun := data_of(events_of(first)[0]), dict):
            _no_refusal(begun, title)
        passing = PassThrough(call.dialect, title, hides_usage=hides_usage)
        async with aclosing(_passed(first, raw.chunks, passing, title, outcome)) as chunks:
            yield Answer(EVENT_STREAM, chunks, outcome)


async def _passed(
    first: bytes, rest: AsyncIterator[bytes], passing: PassThrough, title: str, outcome: Outcome
) -> AsyncGenerator[bytes]:
    try:
        if whole := _fed(passing, first, outcome):
            yield whole
        async for chunk in rest:
            if whole := _fed(passing, chunk, outcome):
                yield whole
        if not passing.is_complete:
            raise cut(title)
    except Exception as error:
        yield passing.fail(_failure(error, outcome))
    finally:
        outcome.used, outcome.is_complete = passing.used, passing.is_complete


def _fed(passing: PassThrough, chunk: bytes, outcome: Outcome) -> bytes:
    """What can be passed on by now."""
    whole = passing.feed(chunk)
    outcome.said_bytes += said_bytes(whole)
    news = passing.used is not outcome.used
    outcome.used, outcome.grade, outcome.is_over = passing.used, passing.grade, passing.is_over
    return with_cost(whole, outcome.price) if news and outcome.price is not None else whole


@asynccontextmanager
async def tell_whole(answer: AsyncGenerator[ChatEvent], writer: DocumentWriter, title: str) -> AsyncIterator[Answer]:
    """An answer that was read, in one piece. Raises as `answer` does."""
    outcome = Outcome()
    async with aclosing(answer) as events:
        async for event in events:
            _note(event, outcome)
            writer.take(event)
    if not writer.is_complete:
        raise cut(title)
    outcome.is_complete = True
    yield Answer(JSON, one_piece(json_bytes(writer.tree())), outcome)


@asynccontextmanager
async def tell_stream(answer: AsyncGenerator[ChatEvent], writer: StreamWriter, title: str) -> AsyncIterator[Answer]:
    """The same as a stream; it has begun when the provider's first event is there."""
    outcome = Outcome()
    async with aclosing(answer) as events:
        first = await anext(events, None)
        if first is None:
            raise cut(title)
        async with aclosing(_told(first, events, writer, title, outcome)) as chunks:
            yield Answer(EVENT_STREAM, chunks, outcome)


async def read_back(provider: SpeaksOpenAI, call: RawCall) -> AsyncGenerator[ChatEvent]:
    """The answer of a provider that speaks Chat Completions, read. Raises as `SpeaksOpenAI.ask` does; one that ends
    without its end is `ProviderFailed`."""
    title = provider.spec.title
    async with provider.ask(call) as raw:
        if not call.stream or EVENT_STREAM not in raw.content_type:
            for found in read_answer(_no_error(_tree(await _whole(raw.chunks, title), title), title)):
                yield found
            return
        reader = ChunkReader()
        async with aclosing(sse_events(raw.chunks, title)) as events:
            async for event in events:
                if event.data.strip() == DONE:
                    for found in reader.end():
                        yield found
                    return
                for found in reader.feed(_no_error(json_in(event, title), title)):
                    yield found
        if not reader.is_complete:
            raise cut(title)


def _no_refusal(tree: Mapping[str, Any], title: str) -> Mapping[str, Any]:
    """`tree`, where it is no error in the place of an answer."""
    return tree if tree.get("choices") or tree.get("object") == "response" else _no_error(tree, title)


def _no_error(tree: Mapping[str, Any], title: str) -> Mapping[str, Any]:
    """`tree`, where it is none. A server that has begun its answer says in it what it could not say by its status."""
    error = tree.get("error")
    if not isinstance(error, Mapping):
        return tree
    code, said = error.get("code"), error.get("message")
    status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    raise chat_status_error(status, title, said=said if isinstance(said, str) else "")


async def _told(
    first: ChatEvent, rest: AsyncIterator[ChatEvent], writer: StreamWriter, title: str, outcome: Outcome
) -> AsyncGenerator[bytes]:
    try:
        _note(first, outcome)
        if said := writer.take(first):
            yield said
        async for event in rest:
            _note(event, outcome)
            if said := writer.take(event):
                yield said
        if not writer.is_complete:
            raise cut(title)
        outcome.is_complete = outcome.is_over = True
        last = writer.end()
        yield last if outcome.price is None else with_cost(last, outcome.price)
    except Exception as error:
        yield writer.fail(_failure(error, outcome))


def _note(event: ChatEvent, outcome: Outcome) -> None:
    match event:
        case Used():
            outcome.used = event
        case TextDelta(text) | ReasoningDelta(text) | RefusalDelta(text):
            outcome.said_bytes += len(text.encode("utf-8", "replace"))
        case ToolCallDelta(_, arguments):
            outcome.said_bytes += len(arguments)


def _failure(error: Exception, outcome: Outcome) -> MediagateError:
    outcome.failure = error if isinstance(error, MediagateError) else InternalError()
    if outcome.failure is not error:
        # It ends here, since the status is out; whoever looks for it finds it in the log.
        log.error("chat_stream_failed", exc_info=error)
    return outcome.failure


async def one_piece(data: bytes) -> AsyncGenerator[bytes]:
    """An answer that is no stream."""
    yield data


async def _whole(chunks: AsyncIterator[bytes], title: str) -> bytes:
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        if len(found) > ANSWER_BYTES_MAX:
            raise ProviderFailed(f"{title} gave an answer that is too large.", code="provider_answer_too_large")
    return bytes(found)


def _tree(data: bytes, title: str) -> Mapping[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict):
        raise bad_answer(title)
    return tree

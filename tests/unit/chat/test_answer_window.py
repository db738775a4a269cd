"""A stream that waits to be judged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mediagate.chat.answer_window import CONTEXT_CHARS, SENTENCE_CHARS, WINDOW_CHARS, AnswerWindow
from mediagate.chat.guard_chat import Guard
from mediagate.core.chat import Dialect
from mediagate.core.guardrails import Stage, Streams, Subject, Verdict
from mediagate.guardrails.patterns import PatternList
from mediagate.guardrails.rules import Guardrails, Rule

DONE = b"data: [DONE]\n\n"


def event(**delta: Any) -> bytes:
    choice = {"index": delta.pop("index", 0), "delta": delta, "finish_reason": delta.pop("finish", None)}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def word(text: str, **more: Any) -> bytes:
    return event(content=text, **more)


class Judge:
    """Blocks what has a word, and keeps what it saw."""

    def __init__(self, word: str = "evil") -> None:
        self.word = word
        self.seen: list[str] = []

    async def judge_text(self, subject: Subject, text: str) -> Verdict:
        self.seen.append(text)
        return Verdict(self.word in text)

    async def close(self) -> None:
        """Nothing is open."""


def guard(judge: Any, streams: Streams = Streams.WINDOW, dialect: Dialect = Dialect.CHAT) -> Guard:
    rule = Rule("g", judge, frozenset({Stage.ANSWER}), default_on=True, streams=streams)
    return Guard(Guardrails([rule]), [rule], Subject(Stage.ANSWER), dialect)


async def passed(looking: Guard, *chunks: bytes) -> list[bytes]:
    async def come() -> Any:
        for chunk in chunks:
            yield chunk

    return [piece async for piece in looking.stream(come())]


def test_what_says_nothing_waits_for_nothing() -> None:
    window = AnswerWindow(Dialect.CHAT)
    role = event(role="assistant", content="")
    window.feed(role)
    assert (window.free(), window.is_due) == (role, False)
    window.feed(word("hello"))
    window.feed(b": keep-alive\n\n")
    assert window.free() == b""
    assert list(window.texts()) == ["hello"]
    window.passed()
    assert window.free() == word("hello") + b": keep-alive\n\n"
    assert list(window.texts()) == []


def test_a_sentence_is_judged_once_it_is_long_enough() -> None:
    window = AnswerWindow(Dialect.CHAT)
    window.feed(word("Yes. "))
    assert not window.is_due
    window.feed(word("a" * SENTENCE_CHARS))
    assert not window.is_due
    window.feed(word("。"))
    assert window.is_due
    long = AnswerWindow(Dialect.CHAT)
    long.feed(word("a" * WINDOW_CHARS))
    assert long.is_due


def test_what_came_before_is_judged_with_it() -> None:
    window = AnswerWindow(Dialect.CHAT)
    window.feed(word("a" * 5000))
    window.passed()
    window.feed(word("b"))
    assert list(window.texts()) == ["a" * CONTEXT_CHARS + "b"]


def test_choices_thoughts_and_arguments_are_texts_of_their_own() -> None:
    window = AnswerWindow(Dialect.CHAT)
    window.feed(word("one ") + word("two ", index=1) + event(reasoning_content="hm") + word("more"))
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at":'}}
    window.feed(event(tool_calls=[call]) + event(tool_calls=[{"index": 0, "function": {"arguments": '"it"}'}}]))
    assert list(window.texts()) == ["one more", "two ", "hm", 'look{"at":"it"}']


async def test_pieces_go_out_as_they_are_judged() -> None:
    judge = Judge()
    one, two = word("a" * WINDOW_CHARS), word("b" * WINDOW_CHARS)
    assert await passed(guard(judge), one, two, event(finish="stop"), DONE) == [one, two, event(finish="stop"), DONE]
    assert judge.seen == ["a" * WINDOW_CHARS, "a" * WINDOW_CHARS + "b" * WINDOW_CHARS]


async def test_a_match_over_two_pieces_is_found() -> None:
    one, two = word("x" * WINDOW_CHARS + "ev"), word("il" + "y" * WINDOW_CHARS)
    found = await passed(guard(Judge()), one, two, DONE)
    assert found[0] == one
    assert len(found) == 2
    assert b"content_policy_violation" in found[1]


async def test_with_buffer_nothing_goes_out_before_all_is_judged() -> None:
    judge = Judge()
    chunks = [event(role="assistant"), *(word("a" * WINDOW_CHARS) for _ in range(3)), DONE]
    assert await passed(guard(judge, Streams.BUFFER), *chunks) == [b"".join(chunks)]
    assert judge.seen == ["a" * WINDOW_CHARS * 3]
    found = await passed(guard(judge, Streams.BUFFER), *chunks[:-1], word("evil"), DONE)
    assert len(found) == 1
    assert b"content_policy_violation" in found[0]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_word_is_found_however_it_is_cut(size: int) -> None:
    text = "fine. " * 50 + "the excalibur " + "fine. " * 50
    chunks = [word(text[at : at + size]) for at in range(0, len(text), size)]
    found = b"".join(await passed(guard(PatternList(words=["excalibur"])), *chunks, DONE))
    assert b"content_policy_violation" in found
    assert b"[DONE]" not in found


def response(kind: str, **more: Any) -> bytes:
    return b"data: " + json.dumps({"type": kind, "sequence_number": 4, **more}).encode() + b"\n\n"


async def test_responses() -> None:
    judge = Judge()
    delta = response("response.output_text.delta", item_id="i", content_index=0, delta="hello " * 100)
    again = response("response.output_text.done", item_id="i", text="hello " * 100)
    done = response("response.completed", response={"output": [{"content": [{"text": "hello " * 100}]}]})
    assert await passed(guard(judge, dialect=Dialect.RESPONSES), delta, again, done) == [delta, again, done]
    # What is only said again is not judged again.
    assert len(judge.seen) == 1
    hidden = response("response.output_item.done", item={"type": "x_call", "output": "evil"})
    found = await passed(guard(judge, dialect=Dialect.RESPONSES), delta, hidden, done)
    assert found[0] == delta
    assert found[1].startswith(b"event: error")
    assert b'"sequence_number":5' in found[1]
    assert len(found) == 2


@pytest.mark.parametrize(
    "odd",
    [
        b"data: [1]\n\n",
        b'data: {"choices": 5}\n\n',
        b'data: {"choices": [null]}\n\n',
        b"data: \xff\n\n",
        b'data: {"choices": [{"delta": {"content": [1, {}]}}]}\n\n',
    ],
)
async def test_events_that_make_no_sense_pass(odd: bytes) -> None:
    for dialect in Dialect:
        assert await passed(guard(Judge(), dialect=dialect), odd) == [odd]

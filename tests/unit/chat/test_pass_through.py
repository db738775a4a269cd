"""Streams on their way: whole events, whatever the pieces; what they used; how they end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.chat.pass_through import EVENT_BYTES_MAX, PassThrough
from mediagate.core.chat import Dialect, Usage
from mediagate.core.errors import ProviderFailed

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def event(tree: Any, end: str = "\n\n") -> bytes:
    return f"data: {json.dumps(tree)}{end}".encode()


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}


CHAT = [
    event(chunk("Hello")),
    event(chunk("ü\u2028 \r data: [x]", usage=None), "\r\n\r\n"),
    b": keep-alive\n\n",
    event({"choices": [], "usage": USAGE}),
    b"data: [DONE]\n\n",
]


def fed(passing: PassThrough, data: bytes, cuts: list[int]) -> bytes:
    found, start = b"", 0
    for cut in [*sorted(cuts), len(data)]:
        found += passing.feed(data[start:cut])
        start = cut
    return found


@given(st.lists(st.integers(0, len(b"".join(CHAT))), max_size=30))
def test_the_bytes_are_the_same_wherever_they_are_cut(cuts: list[int]) -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI")
    assert fed(passing, b"".join(CHAT), cuts) == b"".join(CHAT)
    assert passing.is_complete
    assert passing.used is not None
    assert passing.used.usage == Usage(input_tokens=3, output_tokens=2)


@given(st.lists(st.integers(0, len(b"".join(CHAT))), max_size=30))
def test_usage_that_nobody_asked_for_is_taken_out_and_nothing_else(cuts: list[int]) -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI", hides_usage=True)
    assert fed(passing, b"".join(CHAT), cuts) == b"".join(part for part in CHAT if b'"choices": []' not in part)
    assert passing.used is not None


def test_the_usage_of_a_chunk_with_words_stays() -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI", hides_usage=True)
    data = event(chunk("x", usage=USAGE))
    assert passing.feed(data) == data
    assert passing.used is not None


def test_half_an_event_waits_and_is_dropped_where_the_answer_breaks_off() -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI")
    assert passing.feed(event(chunk("one")) + b'data: {"choi') == event(chunk("one"))
    said = passing.fail(ProviderFailed("It broke off.", code="provider_answer_cut"))
    error = json.loads(said.removeprefix(b"data: "))["error"]
    assert error == {"message": "It broke off.", "type": "server_error", "param": None, "code": "provider_answer_cut"}
    assert not passing.is_complete


def test_a_response_ends_with_its_last_event() -> None:
    passing = PassThrough(Dialect.RESPONSES, "OpenAI")
    first = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
    assert passing.feed(first) == first
    assert not passing.is_complete
    usage = {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10}
    last = {"type": "response.completed", "sequence_number": 7, "response": {"status": "completed", "usage": usage}}
    passing.feed(b"event: response.completed\n" + event(last))
    assert passing.is_complete
    assert passing.used is not None
    assert passing.used.usage == Usage(input_tokens=4, output_tokens=6)


def test_words_that_look_like_an_end_are_none() -> None:
    passing = PassThrough(Dialect.RESPONSES, "OpenAI")
    told = {"type": "response.output_text.delta", "sequence_number": 3, "delta": "response.completed"}
    assert passing.feed(event(told)) == event(told)
    assert not passing.is_complete
    passing = PassThrough(Dialect.CHAT, "OpenAI")
    passing.feed(event(chunk('[DONE]\ndata: [DONE] "finish_reason": "stop"')))
    assert not passing.is_complete


def test_a_server_that_says_no_more_once_it_is_done_is_done() -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI")
    passing.feed(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    assert passing.is_complete


def test_the_error_of_a_response_goes_on_counting() -> None:
    passing = PassThrough(Dialect.RESPONSES, "OpenAI")
    passing.feed(event({"type": "response.in_progress", "sequence_number": 41}))
    said = passing.fail(ProviderFailed("It broke off."))
    assert said.startswith(b"event: error\n")
    assert json.loads(said.partition(b"data: ")[2])["sequence_number"] == 42


def test_an_event_without_an_end_is_given_up() -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI")
    passing.feed(b"x" * EVENT_BYTES_MAX)
    with pytest.raises(ProviderFailed):
        passing.feed(b"x")


@pytest.mark.parametrize("junk", [b"data: {\n\n", b'data: "usage"\n\n', b'data: ["usage"]\n\n', b"\n\n", b"usage\n\n"])
def test_what_is_no_json_passes(junk: bytes) -> None:
    assert PassThrough(Dialect.CHAT, "OpenAI", hides_usage=True).feed(junk) == junk


def test_an_end_that_comes_in_two_pieces_is_one() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        for cut in range(1, len(end)):
            passing = PassThrough(Dialect.CHAT, "OpenAI")
            assert passing.feed(b"data: {}" + end[:cut]) == b""
            assert passing.feed(end[cut:]) == b"data: {}" + end


def test_usage_that_is_null_is_none() -> None:
    passing = PassThrough(Dialect.CHAT, "OpenAI", hides_usage=True)
    data = event(chunk("x", usage=None))
    assert passing.feed(data) == data
    assert passing.used is None

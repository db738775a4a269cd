"""Answers of Chat Completions, of servers that keep to the contract and of those that nearly do."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from mediagate.core.errors import ProviderFailed
from mediagate.core.read_answer import ChunkReader, read_answer
from mediagate.core.write_chat import ChatChunks, Stamp, chat_document

STOP = Finished(Finish.STOP, 0, "stop")
CALLS = Finished(Finish.TOOL_CALLS, 0, "tool_calls")


def reader() -> ChunkReader:
    numbers = itertools.count(1)
    return ChunkReader(lambda: f"call_ours{next(numbers)}")


def read(*deltas: dict[str, Any], finish: str | None = "stop") -> list[ChatEvent]:
    one = reader()
    events = [event for delta in deltas for event in one.feed({"choices": [{"index": 0, "delta": delta}]})]
    events += one.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events += one.end()
    assert one.is_complete
    return events


def call(index: int | None, id_: str | None = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    tree: dict[str, Any] = {"type": "function", "function": {}}
    for holder, member, value in (
        (tree, "index", index),
        (tree, "id", id_),
        (tree["function"], "name", name),
        (tree["function"], "arguments", arguments),
    ):
        if value is not None:
            holder[member] = value
    return {"tool_calls": [tree]}


def test_words_thoughts_and_refusals() -> None:
    assert read(
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm", "reasoning": "Hm"},
        {"reasoning": "m.", "content": None},
        {"content": "Hel"},
        {"content": "lo"},
        {"refusal": "No."},
    ) == [
        ReasoningDelta("Hm"),
        ReasoningDelta("m."),
        TextDelta("Hel"),
        TextDelta("lo"),
        RefusalDelta("No."),
        STOP,
    ]


def test_the_thoughts_of_mistral() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    assert read({"content": [thinking, {"type": "text", "text": "Yes."}]}) == [
        ReasoningDelta("Hm."),
        TextDelta("Yes."),
        STOP,
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        # As the contract has it.
        [call(0, "a", "f", ""), call(0, arguments="{"), call(0, arguments="}"), call(1, "b", "g", "{}")],
        # Gaps between the indices.
        [call(2, "a", "f", "{"), call(2, arguments="}"), call(7, "b", "g", "{}")],
        # All of them at 0, or without one.
        [call(0, "a", "f", "{"), call(0, arguments="}"), call(0, "b", "g", "{}")],
        [call(None, "a", "f", "{"), call(None, arguments="}"), call(None, "b", "g", "{}")],
        # The id in every piece, the name behind it.
        [
            *(call(0, "a"), call(0, "a", arguments="{"), call(0, "a", "f"), call(0, "a", arguments="}")),
            call(1, "b", "g", "{}"),
        ],
        # Arguments that are no text.
        [call(0, "a", "f", {}), call(1, "b", "g", {})],
        # Two pieces in one chunk.
        [{"tool_calls": [*call(0, "a", "f", "{}")["tool_calls"], *call(1, "b", "g", "{}")["tool_calls"]]}],
    ],
)  # fmt: skip
def test_calls(deltas: list[dict[str, Any]]) -> None:
    events = read(*deltas)
    assert events[-1] == Finished(Finish.TOOL_CALLS, 0, "stop")
    begun = [event for event in events if isinstance(event, ToolCallBegun)]
    assert [(one.index, one.id, one.name) for one in begun] == [(0, "a", "f"), (1, "b", "g")]
    arguments = ["", ""]
    for event in events:
        if isinstance(event, ToolCallDelta):
            arguments[event.index] += event.arguments
    assert arguments == ["{}", "{}"]


def test_calls_whose_pieces_come_in_any_order() -> None:
    events = read(call(1, "b", "g", "{"), call(0, "a", "f", "{"), call(1, arguments="1"), call(0, arguments="2"))
    assert events[:-1] == [
        ToolCallBegun(0, "b", "g"),
        ToolCallDelta(0, "{"),
        ToolCallBegun(1, "a", "f"),
        ToolCallDelta(1, "{"),
        ToolCallDelta(0, "1"),
        ToolCallDelta(1, "2"),
    ]


def test_a_call_without_an_id_gets_one() -> None:
    assert read(call(0, None, "f", "{}"), call(1, "", "g"), finish="tool_calls") == [
        ToolCallBegun(0, "call_ours1", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallBegun(1, "call_ours2", "g"),
        CALLS,
    ]
    assert read({"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}})[0] == (
        ToolCallBegun(0, "call_ours1", "f")
    )


def test_what_comes_with_a_call_stays_with_it() -> None:
    one = call(0, "a", "f", "{}")
    one["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "s"}}
    assert read(one)[0] == ToolCallBegun(0, "a", "f", 0, {"google": {"thought_signature": "s"}})


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("model_length", Finish.LENGTH),
        ("tool_calls", Finish.TOOL_CALLS),
        ("function_call", Finish.TOOL_CALLS),
        ("content_filter", Finish.CONTENT_FILTER),
        ("eos_token", Finish.STOP),
    ],
)
def test_why_it_ends(word: str, finish: Finish) -> None:
    assert read({"content": "a"}, finish=word)[-1] == Finished(finish, 0, word)


def test_an_end_without_a_reason_is_a_stop_and_the_second_end_is_none() -> None:
    assert read({"content": "a"}, finish=None) == [TextDelta("a"), STOP]
    one = reader()
    end = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    assert [*one.feed(end), *one.feed(end), *one.end()] == [TextDelta("a"), STOP]


def test_a_stream_that_breaks_off_is_not_complete() -> None:
    one = reader()
    assert not one.is_complete
    one.feed({"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]})
    one.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert not one.is_complete


def test_usage_of_a_last_chunk_and_of_every_chunk() -> None:
    one = reader()
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert one.feed({"choices": [], "usage": usage}) == [Used(Usage(3, 2))]
    assert one.feed({"choices": [], "usage": None}) == []


def test_a_whole_answer() -> None:
    logprob = {"token": "a", "logprob": -math.inf, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -1}]}
    tree = {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "a",
                    "reasoning_content": "Hm.",
                    **call(None, "x", "f", "{}"),
                },
                "logprobs": {"content": [logprob]},
                "finish_reason": "tool_calls",
            },
            {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    told = {
        "token": "a",
        "logprob": -9999.0,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": [98]}],
    }
    assert read_answer(tree) == [
        ReasoningDelta("Hm."),
        TextDelta("a"),
        TokenLogprobs((told,)),
        ToolCallBegun(0, "x", "f"),
        ToolCallDelta(0, "{}"),
        CALLS,
        TextDelta("b", 1),
        Finished(Finish.LENGTH, 1, "length"),
        Used(Usage(1, 1)),
    ]


EVENTS: list[ChatEvent] = [
    ReasoningDelta("Hm."),
    TextDelta("Yes "),
    TextDelta("🚣"),
    TokenLogprobs(({"token": "🚣", "logprob": -0.5, "bytes": [1], "top_logprobs": []},)),
    ToolCallBegun(0, "a", "f", 0, {"google": {"s": "t"}}),
    ToolCallDelta(0, "{}"),
    ToolCallBegun(1, "b", "g"),
    ToolCallDelta(1, '{"x":'),
    ToolCallDelta(1, "1}"),
    CALLS,
    Used(Usage(9, 8, 7, 1, 6)),
]


def test_what_we_write_is_read_as_it_was() -> None:
    stamp = Stamp("chatcmpl-1", "m", 7)
    chunks = ChatChunks(stamp, with_usage=True)
    stream = b"".join([*map(chunks.take, EVENTS), chunks.end()])
    one = reader()
    lines = [line.removeprefix("data: ") for line in stream.decode().split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    assert [event for line in lines for event in one.feed(json.loads(line))] == EVENTS
    whole = read_answer(chat_document(stamp, EVENTS))
    assert chat_document(stamp, whole) == chat_document(stamp, EVENTS)


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "out of memory", "code": 500}},
        {"object": "error", "message": "out of memory"},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]},
        {"choices": 3},
        {"choices": ["x"]},
        {"choices": [{"index": "0", "delta": {}}]},
        {"choices": [{"index": -1, "delta": {}}]},
        {"choices": [{"index": 10**9, "delta": {}}]},
        {"choices": [{"index": 0, "delta": "x"}]},
        {"choices": [{"index": 0, "delta": {"content": 3}}]},
        {"choices": [{"index": 0, "delta": {"content": ["x"]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": 3}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": "0"}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": 3}}]}}]},
        # A call that never had a name.
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "a"}]}, "finish_reason": "stop"}]},
    ],
)
def test_what_is_no_answer_is_the_providers_fault(chunk: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        reader().feed(chunk)


@pytest.mark.parametrize("tree", [{}, {"choices": []}, {"choices": None}, {"output": []}])
def test_an_answer_without_a_choice_is_none(tree: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        read_answer(tree)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "index", "delta", "content", "tool_calls", "function", "name", "usage", "logprobs", "id"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage", "error"]), JSON, max_size=3), max_size=4))
def test_garbage_is_read_or_the_providers_fault(chunks: list[dict[str, Any]]) -> None:
    one = reader()
    try:
        for chunk in chunks:
            one.feed(chunk)
        one.end()
    except ProviderFailed:
        pass

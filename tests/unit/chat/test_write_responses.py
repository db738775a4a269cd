"""Answers of the Responses API: golden events, and what OpenAI's own SDK makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

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
from mediagate.core.errors import ContentPolicyViolation, ProviderFailed, RateLimited
from mediagate.core.read_responses import chat_form
from mediagate.core.write_chat import Stamp
from mediagate.core.write_responses import ResponseEvents, response_document

STAMP = Stamp("resp_01", "claude", 1_790_000_000)


def ended() -> float:
    return 1_790_000_009.5


STOP = Finished(Finish.STOP)
LOGPROB = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}


def types_of_events() -> dict[str, type[BaseModel]]:
    """The SDK's class for each event, by its name."""
    union = get_args(ResponseStreamEvent)[0]
    return {get_args(one.model_fields["type"].annotation)[0]: one for one in get_args(union)}


TYPES = types_of_events()


def parsed(stream: bytes) -> list[dict[str, Any]]:
    events = []
    for number, block in enumerate(stream.decode().removesuffix("\n\n").split("\n\n")):
        named, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert named == f"event: {event['type']}"
        assert event["sequence_number"] == number
        TYPES[event["type"]].model_validate(event, strict=True)
        events.append(event)
    return events


def streamed(events: Iterable[ChatEvent], asked: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    writer = ResponseEvents(STAMP, asked or {}, ended)
    pieces = [writer.take(event) for event in events]
    assert writer.is_complete
    return parsed(b"".join([*pieces, writer.end()]))


def accumulated(events: list[dict[str, Any]]) -> Any:
    """What the SDK's own accumulator makes of the events; the last thing that it says."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    told: list[Any] = []
    for event in events:
        told = state.handle_event(TYPES[event["type"]].model_validate(event))
    return told[-1]


def short(event: dict[str, Any]) -> tuple[Any, ...]:
    name = event["type"].removeprefix("response.")
    where = [event[name] for name in ("output_index", "content_index", "summary_index") if name in event]
    said = next((event[name] for name in ("delta", "text", "arguments", "refusal") if name in event), None)
    return (name, *where) if said is None else (name, *where, said)


def test_the_stream_of_words() -> None:
    events = streamed([TextDelta("Hel"), TextDelta("lo 🚣"), STOP, Used(Usage(3, 2, 1, 0, 1))])
    assert [short(event) for event in events] == [
        ("created",),
        ("in_progress",),
        ("output_item.added", 0),
        ("content_part.added", 0, 0),
        ("output_text.delta", 0, 0, "Hel"),
        ("output_text.delta", 0, 0, "lo 🚣"),
        ("output_text.done", 0, 0, "Hello 🚣"),
        ("content_part.done", 0, 0),
        ("output_item.done", 0),
        ("completed",),
    ]
    assert events[2:5] == [
        {
            "type": "response.output_item.added",
            "sequence_number": 2,
            "output_index": 0,
            "item": {
                "id": "msg_010000",
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            },
        },
        {
            "type": "response.content_part.added",
            "sequence_number": 3,
            "item_id": "msg_010000",
            "output_index": 0,
            "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
        },
        {
            "type": "response.output_text.delta",
            "sequence_number": 4,
            "item_id": "msg_010000",
            "output_index": 0,
            "content_index": 0,
            "delta": "Hel",
            "logprobs": [],
        },
    ]
    part = {"type": "output_text", "text": "Hello 🚣", "annotations": [], "logprobs": []}
    message = {"id": "msg_010000", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    assert events[-2]["item"] == message
    assert events[-1]["response"] == {
        "id": "resp_01",
        "object": "response",
        "created_at": 1_790_000_000,
        "completed_at": 1_790_000_009,
        "model": "claude",
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "output": [message],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": None,
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": 5,
        },
        "user": None,
    }


ALL: list[ChatEvent] = [
    Used(Usage(9)),
    ReasoningDelta("Hm"),
    ReasoningDelta("m."),
    TextDelta("I look. "),
    TokenLogprobs((LOGPROB,)),
    ToolCallBegun(0, "call_1", "look", 0, {"google": {"thought_signature": "s"}}),
    ToolCallBegun(1, "call_2", "look"),
    ToolCallDelta(1, '{"at":'),
    ToolCallDelta(0, "{}"),
    ToolCallDelta(1, "3}"),
    ToolCallDelta(1, ""),
    ToolCallBegun(2, "call_3", "go"),
    TextDelta("Then."),
    RefusalDelta("Not "),
    RefusalDelta("that."),
    Finished(Finish.TOOL_CALLS),
    Used(Usage(9, 30)),
]


def test_everything_in_one_stream() -> None:
    events = streamed(ALL)
    assert [short(event) for event in events[2:-1]] == [
        ("output_item.added", 0),
        ("content_part.added", 0, 0),
        ("reasoning_text.delta", 0, 0, "Hm"),
        ("reasoning_text.delta", 0, 0, "m."),
        ("reasoning_text.done", 0, 0, "Hmm."),
        ("content_part.done", 0, 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("content_part.added", 1, 0),
        ("output_text.delta", 1, 0, "I look. "),
        ("output_text.delta", 1, 0, ""),
        ("output_text.done", 1, 0, "I look. "),
        ("content_part.done", 1, 0),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("output_item.added", 3),
        ("function_call_arguments.delta", 3, '{"at":'),
        ("function_call_arguments.delta", 2, "{}"),
        ("function_call_arguments.delta", 3, "3}"),
        ("output_item.added", 4),
        ("output_item.added", 5),
        ("content_part.added", 5, 0),
        ("output_text.delta", 5, 0, "Then."),
        ("output_text.done", 5, 0, "Then."),
        ("content_part.done", 5, 0),
        ("content_part.added", 5, 1),
        ("refusal.delta", 5, 1, "Not "),
        ("refusal.delta", 5, 1, "that."),
        ("refusal.done", 5, 1, "Not that."),
        ("content_part.done", 5, 1),
        ("output_item.done", 5),
        ("function_call_arguments.done", 2, "{}"),
        ("output_item.done", 2),
        ("function_call_arguments.done", 3, '{"at":3}'),
        ("output_item.done", 3),
        ("function_call_arguments.delta", 4, "{}"),
        ("function_call_arguments.done", 4, "{}"),
        ("output_item.done", 4),
    ]
    done = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    assert [done[place] for place in range(6)] == events[-1]["response"]["output"]
    assert done[2] == {
        "id": "fc_010002",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "look",
        "arguments": "{}",
        "extra_content": {"google": {"thought_signature": "s"}},
    }
    assert done[1]["content"][0]["logprobs"] == [LOGPROB]


@pytest.mark.parametrize("asked", [{}, {"reasoning": {"summary": "auto"}}])
def test_the_document_is_what_the_stream_comes_to(asked: dict[str, Any]) -> None:
    events = streamed(ALL, asked)
    document = response_document(STAMP, asked, ALL, ended)
    assert document == events[-1]["response"]
    Response.model_validate(document, strict=True)
    said = accumulated(events)
    assert said.type == "response.completed"
    assert said.response.output_text == "I look. Then."
    assert [item.type for item in said.response.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "function_call",
        "message",
    ]
    assert said.response.usage.total_tokens == 39


def test_thoughts_as_the_summary_that_was_asked_for() -> None:
    events = streamed(
        [ReasoningDelta("Hm"), ReasoningDelta("m."), TextDelta("a"), STOP], {"reasoning": {"summary": "auto"}}
    )
    assert [short(event) for event in events[2:9]] == [
        ("output_item.added", 0),
        ("reasoning_summary_part.added", 0, 0),
        ("reasoning_summary_text.delta", 0, 0, "Hm"),
        ("reasoning_summary_text.delta", 0, 0, "m."),
        ("reasoning_summary_text.done", 0, 0, "Hmm."),
        ("reasoning_summary_part.done", 0, 0),
        ("output_item.done", 0),
    ]
    assert events[8]["item"] == {
        "id": "rs_010000",
        "type": "reasoning",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": "Hmm."}],
    }


@pytest.mark.parametrize(
    ("finish", "reason"), [(Finish.LENGTH, "max_output_tokens"), (Finish.CONTENT_FILTER, "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete(finish: Finish, reason: str) -> None:
    events = streamed([TextDelta("Hel"), ToolCallBegun(0, "call_1", "look"), Finished(finish)])
    response = events[-1]["response"]
    assert (events[-1]["type"], response["status"]) == ("response.incomplete", "incomplete")
    assert response["incomplete_details"] == {"reason": reason}
    assert response["completed_at"] is None
    # The text was whole when the call began.
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["output"][1]["arguments"] == ""
    assert accumulated(events).type == "response.incomplete"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderFailed("It broke off.", code="provider_connection_lost"), "server_error"),
        (RateLimited("Too much."), "rate_limit_exceeded"),
        (ContentPolicyViolation("Not this."), "invalid_prompt"),
    ],
)
def test_an_answer_that_breaks_off_fails(error: ProviderFailed, code: str) -> None:
    writer = ResponseEvents(STAMP, {})
    stream = writer.take(TextDelta("Hel")) + writer.take(Used(Usage(3)))
    assert not writer.is_complete
    events = parsed(stream + writer.fail(error))
    failed, told = events[-2:]
    response = failed["response"]
    assert (failed["type"], response["status"]) == ("response.failed", "failed")
    assert response["error"] == {"code": code, "message": error.message}
    assert [(item["status"], item["content"][0]["text"]) for item in response["output"]] == [("incomplete", "Hel")]
    assert response["usage"]["input_tokens"] == 3
    assert told == {
        "type": "error",
        "sequence_number": len(events) - 1,
        "code": error.code,
        "message": error.message,
        "param": None,
        "error": {"type": error.openai_type, "code": error.code, "message": error.message, "param": None},
    }
    assert accumulated(events[:-1]).type == "response.failed"


def test_an_answer_that_fails_before_its_first_piece() -> None:
    events = parsed(ResponseEvents(STAMP, {}).fail(ProviderFailed("It broke off.")))
    assert [short(event)[0] for event in events] == ["created", "in_progress", "failed", "error"]


def test_an_answer_of_no_words() -> None:
    events = streamed([TextDelta(""), ReasoningDelta(""), STOP])
    assert [short(event)[0] for event in events] == ["created", "in_progress", "completed"]
    assert events[-1]["response"]["output"] == []
    assert accumulated(events).response.output_text == ""


def test_a_response_is_one_answer() -> None:
    events = streamed([TextDelta("a"), TextDelta("b", choice=1), STOP, Finished(Finish.LENGTH, 1)])
    assert events[-1]["response"]["status"] == "completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "a"


def test_half_a_pair_of_surrogates_is_said_as_it_came() -> None:
    events = streamed([TextDelta("\ud83d"), TextDelta("\udea3"), STOP])
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == ["\ud83d", "\udea3"]


ASKED: dict[str, Any] = {
    "model": "claude",
    "input": "Hi",
    "instructions": "Be brief.",
    "max_output_tokens": 99,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "reasoning": {"effort": "low", "summary": "detailed"},
    "safety_identifier": "s",
    "service_tier": "auto",
    "store": True,
    "temperature": 0.5,
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": None},
    "tool_choice": {"type": "function", "name": "look"},
    "tools": [
        {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "function": {"name": "go"}},
    ],
    "top_logprobs": 2,
    "top_p": 0.9,
    "truncation": "disabled",
    "user": "u",
}


def test_a_response_says_what_was_asked() -> None:
    assert chat_form(ASKED)
    document = response_document(STAMP, ASKED, [STOP])
    Response.model_validate(document, strict=True)
    said = {name: document[name] for name in ASKED if name in document}
    assert said == {
        **{name: value for name, value in ASKED.items() if name != "input"},
        "store": False,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        "tools": [
            {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True},
            {"type": "function", "name": "go", "parameters": None, "strict": None},
        ],
    }


WORDS = st.text(max_size=6)
SAYINGS = st.one_of(
    st.builds(TextDelta, WORDS),
    st.builds(RefusalDelta, WORDS),
    st.builds(ReasoningDelta, WORDS),
    st.builds(TextDelta, WORDS, st.just(1)),
    st.just(TokenLogprobs((LOGPROB,))),
    st.just(Used(Usage(3, 4))),
    # Calls are numbered as they begin.
    st.just("call"),
    st.builds(lambda number, text: (number, text), st.integers(min_value=0), WORDS),
)


def numbered(sayings: list[Any]) -> list[ChatEvent]:
    """The same with whole numbers of calls."""
    found: list[ChatEvent] = []
    calls = 0
    for one in sayings:
        if one == "call":
            found.append(ToolCallBegun(calls, f"call_{calls}", "look"))
            calls += 1
        elif not isinstance(one, tuple):
            found.append(one)
        elif calls:
            found.append(ToolCallDelta(one[0] % calls, one[1]))
    return found


@given(st.lists(SAYINGS, max_size=12), st.sampled_from(Finish), st.booleans())
def test_any_answer_is_told_in_order(sayings: list[Any], finish: Finish, summary: bool) -> None:
    asked: dict[str, Any] = {"reasoning": {"summary": "auto"}} if summary else {}
    said = [*numbered(sayings), Finished(finish)]
    events = streamed(said, asked)
    assert response_document(STAMP, asked, said, ended) == events[-1]["response"]
    assert accumulated(events).type == events[-1]["type"]
    whole = "".join(one.text for one in said if isinstance(one, TextDelta) and not one.choice)
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == whole
    # What begins ends, once, and nothing is said of what has not begun or is over.
    opened: set[int] = set()
    closed: set[int] = set()
    for event in events:
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(opened)
            opened.add(event["output_index"])
        elif "output_index" in event:
            assert event["output_index"] in opened - closed
            if event["type"] == "response.output_item.done":
                closed.add(event["output_index"])
    assert opened == closed

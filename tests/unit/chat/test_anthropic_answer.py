"""Anthropic's answers as the pieces of a chat. What is read here is judged by the types of the official client too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

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
from mediagate.core.errors import (
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
)
from mediagate.core.write_chat import Stamp, chat_document
from mediagate.providers.anthropic.chat_answer import FINISHES, MessageReader, events_of

EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
THOUGHT = {"type": "thinking", "thinking": "Two cities.", "signature": "c2ln"}
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 1000,
    "output_tokens": 1,
}


def start(**usage: Any) -> dict[str, Any]:
    return {
        "type": "message_start",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-sonnet-5",
            "stop_reason": None, "stop_sequence": None, "usage": usage or USAGE,
        },
    }  # fmt: skip


def begun(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": members}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ending(reason: str, output: int = 7, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None, **more},
            "usage": {"output_tokens": output, "output_tokens_details": {"thinking_tokens": 3}},
        },
        {"type": "message_stop"},
    ]


def read(*events: dict[str, Any]) -> list[ChatEvent]:
    reader = MessageReader()
    found: list[ChatEvent] = []
    for event in events:
        if event["type"] not in ("ping", "error", "new_kind"):
            EVENTS.validate_python(event)
        found += reader.feed(event)
    assert reader.is_complete
    return found


def test_a_stream_of_text() -> None:
    found = read(
        start(),
        {"type": "ping"},
        begun(0, type="text", text=""),
        delta(0, type="text_delta", text="Hel"),
        {"type": "new_kind", "anything": [1]},
        delta(0, type="text_delta", text="lo"),
        stop(0),
        *ending("end_turn"),
    )
    assert found[1:3] == [TextDelta("Hel"), TextDelta("lo")]
    assert found[0] == Used(Usage(1110, 1, cached_tokens=100, cache_write_tokens=1000))
    assert found[3:] == [
        Used(Usage(1110, 7, cached_tokens=100, cache_write_tokens=1000, reasoning_tokens=3)),
        Finished(Finish.STOP, provider_reason="end_turn"),
    ]


def test_thoughts_and_parallel_calls() -> None:
    found = read(
        start(),
        begun(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Two "),
        delta(0, type="thinking_delta", thinking="cities."),
        delta(0, type="signature_delta", signature="c2ln"),
        stop(0),
        begun(1, type="redacted_thinking", data="eA=="),
        stop(1),
        begun(2, type="tool_use", id="toolu_1", name="weather", input={}),
        delta(2, type="input_json_delta", partial_json=""),
        delta(2, type="input_json_delta", partial_json='{"city": "Os'),
        delta(2, type="input_json_delta", partial_json='lo"}'),
        stop(2),
        begun(3, type="tool_use", id="toolu_2", name="noon", input={}),
        stop(3),
        *ending("tool_use"),
    )
    blocks = [THOUGHT, {"type": "redacted_thinking", "data": "eA=="}]
    assert found[1:-2] == [
        ReasoningDelta("Two "),
        ReasoningDelta("cities."),
        ToolCallBegun(0, "toolu_1", "weather", extra={"anthropic": {"thinking_blocks": blocks}}),
        ToolCallDelta(0, '{"city": "Os'),
        ToolCallDelta(0, 'lo"}'),
        ToolCallBegun(1, "toolu_2", "noon"),
    ]
    assert found[-1] == Finished(Finish.TOOL_CALLS, provider_reason="tool_use")


def test_a_call_at_anthropic_is_no_call_of_the_callers() -> None:
    found = read(
        start(),
        begun(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"query": "x"}'),
        stop(0),
        begun(1, type="text", text="Found."),
        stop(1),
        *ending("end_turn"),
    )
    assert [piece for piece in found if not isinstance(piece, Used | Finished)] == [TextDelta("Found.")]


@pytest.mark.parametrize(("reason", "finish"), FINISHES.items())
def test_every_reason_to_stop(reason: str, finish: Finish) -> None:
    assert read(start(), *ending(reason))[-1] == Finished(finish, provider_reason=reason)


def test_the_documented_reasons_are_all_known() -> None:
    from typing import get_args

    from anthropic.types import StopReason

    assert set(FINISHES) == set(get_args(StopReason))


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    found = read(start(), *ending("refusal", stop_details=details))
    assert RefusalDelta("No.") in found
    assert found[-1] == Finished(Finish.CONTENT_FILTER, provider_reason="refusal")


@pytest.mark.parametrize(
    ("kind", "said", "expected", "code"),
    [
        ("overloaded_error", "Overloaded", Unavailable, "provider_unavailable"),
        ("rate_limit_error", "Slow down", RateLimited, "provider_rate_limited"),
        (
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            InvalidRequest,
            "context_length_exceeded",
        ),
        ("request_too_large", "Request exceeds the maximum size", InvalidRequest, "provider_rejected_request"),
        ("api_error", "Internal server error", ProviderFailed, "provider_failed"),
        ("timeout_error", "Timed out", ProviderTimeout, "provider_timeout"),
        ("permission_error", "no", ProviderRefused, "provider_credentials_refused"),
        ("billing_error", "no", ProviderRefused, "provider_credentials_refused"),
        ("brand_new_error", "?", ProviderFailed, "provider_failed"),
    ],
)
def test_an_error_in_the_stream(kind: str, said: str, expected: type[MediagateError], code: str) -> None:
    reader = MessageReader()
    reader.feed(start())
    with pytest.raises(expected) as caught:
        reader.feed({"type": "error", "error": {"type": kind, "message": said}})
    assert caught.value.code == code


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "message_start"},
        {"type": "message_start", "message": []},
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": "many"}},
        {"type": "error"},
    ],
)
def test_garbage_is_an_answer_that_cannot_be_read(event: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed) as caught:
        MessageReader().feed(event)
    assert caught.value.code == "provider_bad_answer"


def test_a_whole_message() -> None:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5",
        "content": [
            THOUGHT,
            {"type": "text", "text": "One moment."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Æ"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
    }  # fmt: skip
    Message.model_validate(message)
    tree = chat_document(Stamp("chatcmpl-1", "claude", 1), events_of(message))
    assert tree["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "One moment.",
                "refusal": None,
                "annotations": [],
                "reasoning_content": "Two cities.",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Æ"}'},
                        "extra_content": {"anthropic": {"thinking_blocks": [THOUGHT]}},
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]
    assert tree["usage"]["prompt_tokens"] == 1110
    assert tree["usage"]["completion_tokens"] == 9
    assert tree["usage"]["prompt_tokens_details"]["cached_tokens"] == 100
    assert tree["usage"]["completion_tokens_details"]["reasoning_tokens"] == 4


@pytest.mark.parametrize("message", [{}, {"content": 7}, {"content": [{}], "stop_reason": "end_turn"}, {"content": []}])
def test_a_message_that_is_none(message: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        events_of(message)


def test_the_stream_of_the_official_documents() -> None:
    """As https://platform.claude.com/docs/en/build-with-claude/streaming shows it."""
    lines = """
{"type":"message_start","message":{"id":"msg_4QpJur2dWWDjF6C758FbBw5vm12BaVipnK","type":"message","role":"assistant","content":[],"model":"claude-3-opus-20240229","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type": "ping"}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"!"}}
{"type":"content_block_stop","index":0}
{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":6}}
{"type":"message_stop"}
"""
    found = read(*map(json.loads, lines.split("\n")[1:-1]))
    assert "".join(piece.text for piece in found if isinstance(piece, TextDelta)) == "Hello!"
    assert Used(Usage(11, 6)) in found

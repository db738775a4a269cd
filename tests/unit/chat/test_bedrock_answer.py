"""Converse's answers as the pieces of a chat."""

from __future__ import annotations

from typing import Any

import pytest

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
from mediagate.providers.bedrock.chat_answer import FINISHES, MALFORMED, ConverseReader, events_of
from mediagate.providers.bedrock.chat_failures import exception_of
from tests.unit.chat.test_bedrock_body import SERVICE

THOUGHT = {"reasoningText": {"text": "Two cities.", "signature": "c2ln"}}
USAGE = {
    "inputTokens": 10,
    "outputTokens": 7,
    "totalTokens": 1117,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 1000,
}
USED = Used(Usage(1110, 7, cached_tokens=100, cache_write_tokens=1000))


def delta(index: int, **members: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": members}


def call(index: int, id_: str, name: str, **more: str) -> tuple[str, dict[str, Any]]:
    start = {"toolUse": {"toolUseId": id_, "name": name, **more}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "contentBlockStop", {"contentBlockIndex": index}


def ending(reason: str) -> list[tuple[str, dict[str, Any]]]:
    return [("messageStop", {"stopReason": reason}), ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 5}})]


def read(*events: tuple[str, dict[str, Any]]) -> list[ChatEvent]:
    reader = ConverseReader()
    found = [piece for kind, event in events for piece in reader.feed(kind, event)]
    assert reader.is_complete
    return found + reader.end()


def test_a_stream_of_text() -> None:
    found = read(
        ("messageStart", {"role": "assistant"}),
        delta(0, text="Hel"),
        ("newKind", {"anything": [1]}),
        delta(0, text=""),
        delta(0, citation={"title": "x"}),
        delta(0, text="lo"),
        stop(0),
        *ending("end_turn"),
    )
    assert found == [TextDelta("Hel"), TextDelta("lo"), USED, Finished(Finish.STOP, provider_reason="end_turn")]


def test_a_stream_without_its_usage_is_complete() -> None:
    assert read(delta(0, text="x"), ending("max_tokens")[0])[-1] == Finished(
        Finish.LENGTH, provider_reason="max_tokens"
    )


def test_thoughts_and_parallel_calls() -> None:
    found = read(
        delta(0, reasoningContent={"text": "Two "}),
        delta(0, reasoningContent={"text": "cities."}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        stop(0),
        delta(1, reasoningContent={"redactedContent": "eA=="}),
        stop(1),
        call(2, "t1", "weather"),
        delta(2, toolUse={"input": ""}),
        delta(2, toolUse={"input": '{"city": "Os'}),
        delta(2, toolUse={"input": 'lo"}'}),
        stop(2),
        call(3, "t2", "noon", type="tool_use"),
        stop(3),
        *ending("tool_use"),
    )
    assert found == [
        ReasoningDelta("Two "),
        ReasoningDelta("cities."),
        ToolCallBegun(0, "t1", "weather", extra={"bedrock": {"reasoning": [THOUGHT, {"redactedContent": "eA=="}]}}),
        ToolCallDelta(0, '{"city": "Os'),
        ToolCallDelta(0, 'lo"}'),
        ToolCallBegun(1, "t2", "noon"),
        USED,
        Finished(Finish.TOOL_CALLS, provider_reason="tool_use"),
    ]


def test_thoughts_without_a_signature_are_not_sent_back() -> None:
    found = read(delta(0, reasoningContent={"text": "Hm."}), stop(0), call(1, "t", "noon"), *ending("tool_use"))
    assert ToolCallBegun(0, "t", "noon") in found


def test_a_call_at_bedrock_is_no_call_of_the_callers() -> None:
    found = read(
        call(0, "t", "nova_grounding", type="server_tool_use"),
        delta(0, toolUse={"input": "{}"}),
        delta(1, text="Found."),
        *ending("end_turn"),
    )
    assert found[0] == TextDelta("Found.")


@pytest.mark.parametrize(("reason", "finish"), FINISHES.items())
def test_every_reason_to_stop(reason: str, finish: Finish) -> None:
    assert read(*ending(reason))[-1] == Finished(finish, provider_reason=reason)


def test_the_documented_reasons_are_all_known() -> None:
    assert set(FINISHES) | MALFORMED == set(SERVICE.shape_for("StopReason").enum)


@pytest.mark.parametrize("reason", sorted(MALFORMED))
def test_what_the_model_could_not_write_is_no_answer(reason: str) -> None:
    with pytest.raises(ProviderFailed) as caught:
        ConverseReader().feed("messageStop", {"stopReason": reason})
    assert caught.value.code == "provider_malformed_answer"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("contentBlockStart", {}),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"name": "x"}}}),
        ("contentBlockDelta", {"delta": {"text": "x"}}),
        ("messageStop", {}),
        ("metadata", {}),
        ("metadata", {"usage": {"inputTokens": "many"}}),
        ("metadata", {"usage": []}),
    ],
)
def test_garbage_is_an_answer_that_cannot_be_read(kind: str, event: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed) as caught:
        ConverseReader().feed(kind, event)
    assert caught.value.code == "provider_bad_answer"


PICTURE = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}


@pytest.mark.parametrize(
    "event",
    [
        delta(0, **PICTURE),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
    ],
)
def test_a_picture_is_no_empty_answer(event: tuple[str, dict[str, Any]]) -> None:
    with pytest.raises(ProviderFailed, match="'image'"):
        ConverseReader().feed(*event)


def test_a_picture_in_a_whole_answer_is_no_empty_answer() -> None:
    message = {"role": "assistant", "content": [{"text": "Here."}, PICTURE]}
    with pytest.raises(ProviderFailed, match="'image'"):
        events_of({"output": {"message": message}, "stopReason": "end_turn", "usage": USAGE})


def test_a_whole_answer() -> None:
    answer = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": THOUGHT},
                    {"citationsContent": {"content": [{"text": "One "}], "citations": []}},
                    {"text": "moment."},
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Æ"}, "type": "tool_use"}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": USAGE,
        "metrics": {"latencyMs": 7},
    }
    tree = chat_document(Stamp("chatcmpl-1", "claude", 1), events_of(answer))
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
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Æ"}'},
                        "extra_content": {"bedrock": {"reasoning": [THOUGHT]}},
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]
    assert (tree["usage"]["prompt_tokens"], tree["usage"]["completion_tokens"]) == (1110, 7)


@pytest.mark.parametrize(
    "answer",
    [{}, {"output": {}}, {"output": {"message": {"content": 7}}}, {"output": {"message": {"content": []}}}],
)
def test_an_answer_that_is_none(answer: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        events_of(answer)


EXCEPTIONS = [
    ("ThrottlingException", RateLimited, "provider_rate_limited"),
    ("throttlingException", RateLimited, "provider_rate_limited"),
    ("com.amazon.coral.service#ThrottlingException:http://internal/", RateLimited, "provider_rate_limited"),
    ("ServiceUnavailableException", Unavailable, "provider_unavailable"),
    ("modelNotReadyException", Unavailable, "provider_unavailable"),
    ("internalServerException", ProviderFailed, "provider_failed"),
    ("modelStreamErrorException", ProviderFailed, "provider_failed"),
    ("ModelErrorException", ProviderFailed, "provider_failed"),
    ("ModelTimeoutException", ProviderTimeout, "provider_timeout"),
    ("validationException", InvalidRequest, "provider_rejected_request"),
    ("AccessDeniedException", ProviderRefused, "provider_credentials_refused"),
    ("ExpiredTokenException", ProviderRefused, "provider_credentials_refused"),
    ("ResourceNotFoundException", ProviderRefused, "provider_not_found"),
    ("BrandNewException", ProviderFailed, "provider_failed"),
]


@pytest.mark.parametrize(("kind", "expected", "code"), EXCEPTIONS)
def test_exceptions(kind: str, expected: type[MediagateError], code: str) -> None:
    error = exception_of(kind, "The sentence.")
    assert isinstance(error, expected)
    assert error.code == code


def test_every_exception_of_the_service_is_known() -> None:
    known = {kind.lower() for kind, _, code in EXCEPTIONS if kind != "BrandNewException"}
    for operation in ("Converse", "ConverseStream"):
        assert {shape.name.lower() for shape in SERVICE.operation_model(operation).error_shapes} <= known
    events = SERVICE.shape_for("ConverseStreamOutput").members
    assert {name.lower() for name, shape in events.items() if shape.metadata.get("exception")} <= known


def test_a_prompt_that_is_too_long() -> None:
    error = exception_of("ValidationException", "Input is too long for requested model.")
    assert isinstance(error, InvalidRequest)
    assert error.code == "context_length_exceeded"

"""Answers of `generateContent`, whole and in pieces, as events and as Chat Completions answers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

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
from mediagate.core.errors import (
    ContentPolicyViolation,
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
)
from mediagate.core.write_chat import Stamp, chat_document
from mediagate.providers.chat_failures import FileGone
from mediagate.providers.google_chat.answer import AnswerReader, events_of
from mediagate.providers.google_chat.failures import explain
from tests.doubles.generate_content import require_answer

TITLE = "Gemini"
USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 3,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 20,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
}
USED = Used(Usage(12, 8, cached_tokens=4, reasoning_tokens=3, audio_input_tokens=6))


def candidate(*parts: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    found = {"content": {"role": "model", "parts": list(parts)}, **more}
    return found if reason is None else {**found, "finishReason": reason}


def answer(*candidates: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "modelVersion": "gemini-3-flash", "responseId": "r", **more}


def read(*pieces: Mapping[str, Any]) -> list[ChatEvent]:
    """The events of a stream, each of whose pieces both APIs could send."""
    numbers = itertools.count(1)
    reader = AnswerReader(TITLE, lambda: f"call_{next(numbers)}")
    events = []
    for piece in pieces:
        require_answer(piece)
        events += reader.feed(piece)
    reader.end()
    return events


def test_a_whole_answer() -> None:
    tree = answer(
        candidate({"text": "Hm.", "thought": True}, {"text": "It is "}, {"text": "wet."}, reason="STOP"),
        usageMetadata=USAGE,
    )
    require_answer(tree)
    events = events_of(tree, TITLE)
    assert events == [
        ReasoningDelta("Hm."),
        TextDelta("It is "),
        TextDelta("wet."),
        Finished(Finish.STOP, 0, "STOP"),
        USED,
    ]
    assert chat_document(Stamp("chatcmpl-1", "m", 1), events) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "It is wet.",
                    "refusal": None,
                    "annotations": [],
                    "reasoning_content": "Hm.",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 8,
            "total_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 6},
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_a_stream_with_thoughts_and_calls() -> None:
    half = {"promptTokenCount": 10}
    signature = {"thoughtSignature": "c2lnbmVk"}
    events = read(
        answer(candidate({"text": "Hm.", "thought": True}), usageMetadata=half),
        answer(candidate({"text": "Let me see."}), usageMetadata=half),
        answer(candidate({"functionCall": {"name": "weather", "args": {"place": "Köln"}}, **signature})),
        answer(candidate({"functionCall": {"id": "theirs", "name": "time"}}, {"text": "", **signature})),
        answer(candidate(reason="STOP"), usageMetadata=USAGE),
        answer(usageMetadata=USAGE),
    )
    assert events == [
        ReasoningDelta("Hm."),
        Used(Usage(10)),
        TextDelta("Let me see."),
        ToolCallBegun(0, "call_1", "weather", 0, {"google": {"thought_signature": "c2lnbmVk"}}),
        ToolCallDelta(0, '{"place": "Köln"}'),
        ToolCallBegun(1, "theirs", "time"),
        ToolCallDelta(1, "{}"),
        Finished(Finish.TOOL_CALLS, 0, "STOP"),
        USED,
    ]


def test_several_choices() -> None:
    events = read(
        answer(candidate({"text": "a"}), candidate({"text": "b"}, index=1)),
        answer(candidate({"functionCall": {"name": "f"}}, index=1, reason="STOP")),
        answer(candidate(index=0, reason="MAX_TOKENS")),
    )
    assert events == [
        TextDelta("a"),
        TextDelta("b", 1),
        ToolCallBegun(0, "call_1", "f", 1),
        ToolCallDelta(0, "{}", 1),
        Finished(Finish.TOOL_CALLS, 1, "STOP"),
        Finished(Finish.LENGTH, 0, "MAX_TOKENS"),
    ]


def test_how_likely_the_tokens_were() -> None:
    tokens = {
        "chosenCandidates": [{"token": "ü", "tokenId": 7, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "ü", "logProbability": -0.5}, {"token": "u"}]}],
    }
    events = read(answer(candidate({"text": "ü"}, reason="STOP", logprobsResult=tokens)))
    told = {
        "token": "ü",
        "logprob": -0.5,
        "bytes": [195, 188],
        "top_logprobs": [
            {"token": "ü", "logprob": -0.5, "bytes": [195, 188]},
            {"token": "u", "logprob": 0.0, "bytes": [117]},
        ],
    }
    assert events[1] == TokenLogprobs((told,))
    choice = chat_document(Stamp("c", "m", 1), events)["choices"][0]
    assert choice["logprobs"] == {"content": [told], "refusal": None}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", Finish.STOP),
        ("MAX_TOKENS", Finish.LENGTH),
        ("SAFETY", Finish.CONTENT_FILTER),
        ("RECITATION", Finish.CONTENT_FILTER),
        ("LANGUAGE", Finish.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", Finish.CONTENT_FILTER),
        ("BLOCKLIST", Finish.CONTENT_FILTER),
        ("SPII", Finish.CONTENT_FILTER),
        ("MODEL_ARMOR", Finish.CONTENT_FILTER),
        ("OTHER", Finish.CONTENT_FILTER),
        ("A_NEW_ONE", Finish.STOP),
    ],
)
def test_why_an_answer_ends(reason: str, finish: Finish) -> None:
    events = events_of(answer(candidate({"text": "x"}, reason=reason)), TITLE)
    assert events[-1] == Finished(finish, 0, reason)
    # A filtered answer may have no content at all.
    assert events_of(answer({"finishReason": reason}), TITLE) == [Finished(finish, 0, reason)]


@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"]
)
def test_what_a_model_wrote_wrongly_is_no_answer(reason: str) -> None:
    with pytest.raises(ProviderFailed, match=reason):
        events_of(answer({"finishReason": reason}), TITLE)


def test_a_missing_signature_is_explained() -> None:
    with pytest.raises(InvalidRequest, match="extra_content"):
        events_of(answer({"finishReason": "MISSING_THOUGHT_SIGNATURE"}), TITLE)


def test_a_blocked_question() -> None:
    tree = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    assert read(tree) == [Finished(Finish.CONTENT_FILTER, 0, "PROHIBITED_CONTENT"), Used(Usage(4))]


def test_an_empty_answer_is_an_answer() -> None:
    assert read(answer(candidate(reason="STOP"))) == [Finished(Finish.STOP, 0, "STOP")]


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [{}],
        [{"usageMetadata": {"promptTokenCount": 4}}],
        [answer(candidate({"text": "It is"}))],
        [answer(candidate({"text": "a"}, reason="STOP"), candidate({"text": "b"}, index=1))],
        [answer(candidate({"text": "a"}, reason="FINISH_REASON_UNSPECIFIED"))],
    ],
)
def test_an_answer_without_its_end(pieces: list[dict[str, Any]]) -> None:
    with pytest.raises(ProviderFailed, match="broke off before its end"):
        read(*pieces)


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"candidates": "x"},
        {"candidates": ["x"]},
        {"candidates": [{"content": {"parts": [7]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}]},
        {"candidates": [{"index": "x"}]},
        {"usageMetadata": {"promptTokenCount": "x"}},
        {"promptFeedback": 7},
        {"error": "x"},
    ],
)
def test_what_cannot_be_read(tree: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        events_of(tree, TITLE)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}, RateLimited),
        ({"code": 8, "message": "Resource exhausted."}, RateLimited),
        ({"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}, Unavailable),
        ({"code": 13, "message": "Internal."}, ProviderFailed),
        ({"code": 0}, ProviderFailed),
    ],
)
def test_an_error_in_the_middle_of_a_stream(error: dict[str, Any], kind: type[Exception]) -> None:
    reader = AnswerReader(TITLE)
    reader.feed(answer(candidate({"text": "It is"})))
    with pytest.raises(kind):
        reader.feed({"error": error})


def refusal(status: int, message: str, word: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": word, **more}}


INFO = "type.googleapis.com/google.rpc.ErrorInfo"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"


@pytest.mark.parametrize(
    ("status", "tree", "kind", "code"),
    [
        (
            400,
            refusal(400, "Unsupported MIME type: image/gif", "INVALID_ARGUMENT"),
            InvalidRequest,
            "provider_rejected_request",
        ),
        (
            400,
            refusal(
                400,
                "API key not valid. Please pass a valid API key.",
                "INVALID_ARGUMENT",
                details=[{"@type": INFO, "reason": "API_KEY_INVALID"}],
            ),
            ProviderRefused,
            "provider_credentials_refused",
        ),
        (
            400,
            refusal(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"),
            ProviderRefused,
            "provider_credentials_refused",
        ),
        (
            400,
            refusal(400, "The File abc is not in an ACTIVE state and usage is not allowed.", "FAILED_PRECONDITION"),
            Unavailable,
            "provider_file_not_ready",
        ),
        (
            400,
            refusal(
                400,
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                "INVALID_ARGUMENT",
            ),
            InvalidRequest,
            "context_length_exceeded",
        ),
        (
            403,
            refusal(
                403,
                "You do not have permission to access the File abc or it may not exist.",
                "PERMISSION_DENIED",
            ),
            FileGone,
            "provider_file_gone",
        ),
        (
            403,
            refusal(403, "Permission denied on resource project.", "PERMISSION_DENIED"),
            ProviderRefused,
            "provider_credentials_refused",
        ),
        (
            404,
            refusal(404, "models/gemini-9 is not found for API version v1", "NOT_FOUND"),
            ProviderRefused,
            "provider_not_found",
        ),
        (
            400,
            refusal(400, "The prompt violates our usage guidelines.", "INVALID_ARGUMENT"),
            ContentPolicyViolation,
            "content_policy_violation",
        ),
        (
            429,
            refusal(429, "Quota exceeded.", "RESOURCE_EXHAUSTED", details=[{"@type": RETRY, "retryDelay": "7s"}]),
            RateLimited,
            "provider_rate_limited",
        ),
        (500, refusal(500, "Internal error.", "INTERNAL"), ProviderFailed, "provider_failed"),
        (503, refusal(503, "The model is overloaded.", "UNAVAILABLE"), Unavailable, "provider_unavailable"),
        (504, refusal(504, "Deadline expired.", "DEADLINE_EXCEEDED"), ProviderTimeout, "provider_timeout"),
    ],
)
@pytest.mark.parametrize("in_list", [False, True])
def test_refusals(status: int, tree: Any, kind: type[MediagateError], code: str, in_list: bool) -> None:
    error = explain(httpx.Response(status, json=[tree] if in_list else tree), TITLE)
    assert type(error) is kind
    assert isinstance(error, MediagateError)
    assert error.code == code
    if status == 429:
        assert error.retry_after_s == 7


def test_a_refusal_that_is_no_json() -> None:
    error = explain(httpx.Response(502, text="<html>"), TITLE)
    assert isinstance(error, ProviderFailed)

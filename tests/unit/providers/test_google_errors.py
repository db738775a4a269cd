"""What Google's sentences mean."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mediagate.core.errors import (
    ContentPolicyViolation,
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    RateLimited,
)
from mediagate.providers.base import FailureStage
from mediagate.providers.google_errors import CATEGORIES, content_refusal, explain, failure_of, is_refusal, speakable

BLOCKED = [
    "Veo could not generate videos because the input image violates Vertex AI's usage guidelines.",
    "The prompt could not be submitted. This prompt contains sensitive words that violate Google's Responsible AI "
    "practices.",
    "Support codes: 58061214",
    "The request was blocked for safety reasons.",
    "This was blocked by our policies.",
    "Your input violates our content policy.",
]
OTHER = [
    "",
    "Invalid value at 'safety_settings'.",
    "API key not valid. Please pass a valid API key.",
    "Requests to this API are blocked.",
    "Quota exceeded for quota metric 'Video requests'.",
]


@pytest.mark.parametrize("said", BLOCKED)
def test_refused_content(said: str) -> None:
    assert is_refusal(said)


@pytest.mark.parametrize("said", OTHER)
def test_other_refusals(said: str) -> None:
    assert not is_refusal(said)


@pytest.mark.parametrize("word", ["SAFETY", "safety", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST"])
def test_a_word_is_enough(word: str) -> None:
    assert is_refusal("no", ["x", word])
    assert not is_refusal("no", [f"{word}_SETTINGS", "API_KEY_SERVICE_BLOCKED"])


def test_support_codes_are_categories_and_stand_for_one_each() -> None:
    codes = [code for known in CATEGORIES.values() for code in known]
    assert len(codes) == len(set(codes))
    assert all(len(code) == 8 and code.isdigit() for code in codes)
    failure = content_refusal("Vertex AI", "Filtered. Support codes: 61493863, 32635315. Ticket 123456789012")
    assert failure.message == "Vertex AI refuses this content (violence, vulgarity)."


@pytest.mark.parametrize(
    ("said", "field", "stage"),
    [
        ("the input image violates the guidelines", "input_reference", FailureStage.INPUT),
        ("the input video violates the guidelines", "video", FailureStage.INPUT),
        ("This prompt contains sensitive words", "prompt", FailureStage.INPUT),
        ("58061214", None, FailureStage.OUTPUT),
    ],
)
def test_the_input_at_fault(said: str, field: str | None, stage: FailureStage) -> None:
    failure = content_refusal("Gemini", said)
    assert (failure.field, failure.stage) == (field, stage)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The seed is out of range.", "The seed is out of range."),
        ("Model veo-3.1-generate-001 needs 8 seconds.", "Model veo-3.1-generate-001 needs 8 seconds."),
        ("service-1@gcp-sa-aiplatform.iam.gserviceaccount.com may not write", ""),
        ("projects/my-project/locations/us-central1 has no such model", ""),
        ("Project 123456 is not allowed to use this", ""),
        ("gs://secret-bucket/x cannot be written", ""),
    ],
)
def test_what_may_be_told(said: str, told: str) -> None:
    assert speakable(said) == told


def response(status: int, tree: Any, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=tree, headers=headers)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (response(400, {"error": {"code": 400, "message": BLOCKED[0]}}), ContentPolicyViolation),
        (response(400, {"error": {"code": "SAFETY", "message": "no"}}), ContentPolicyViolation),
        (response(500, {"error": {"message": BLOCKED[0]}}), ProviderFailed),
        (response(400, [{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}]), InvalidRequest),
        (response(400, {"error": {"message": "Enable billing.", "status": "FAILED_PRECONDITION"}}), ProviderRefused),
        (response(400, {"error": {"message": "x", "details": [{"reason": "API_KEY_INVALID"}]}}), ProviderRefused),
        (
            response(400, {"error": {"code": "invalid_request", "message": "Invalid interaction name."}}),
            FileNotFoundError,
        ),
        (response(400, "no"), InvalidRequest),
        (response(400, []), InvalidRequest),
        (response(400, {"error": "no"}), InvalidRequest),
        (response(400, {"error": {"message": 5, "details": 5, "status": 5}}), InvalidRequest),
    ],
)
def test_answers(answer: httpx.Response, kind: type[Exception]) -> None:
    error = explain(answer, "Google")
    assert type(error) is kind


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        (response(429, {"error": {"details": [{"retryDelay": "13s"}]}}), 13.0),
        (response(429, {"error": {"details": [{"retryDelay": "13s"}]}}, **{"retry-after": "7"}), 7.0),
        (response(429, {}), None),
    ],
)
def test_the_pause_stands_in_the_body_too(answer: httpx.Response, pause_s: float | None) -> None:
    error = explain(answer, "Google")
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == pause_s


@pytest.mark.parametrize("error", [{}, {"code": None}, {"code": "weird", "message": None}, {"code": 2, "status": []}])
def test_an_error_that_says_nothing_is_the_providers(error: dict[str, Any]) -> None:
    failure = failure_of(error, "Gemini")
    assert (failure.stage, failure.code) == (FailureStage.PROVIDER, "provider_failed")


def test_a_refusal_names_no_host() -> None:
    error = explain(response(400, {"error": {"message": "worker-7.internal at 10.1.2.3 says no"}}), "Google")
    assert isinstance(error, MediagateError)
    assert "10.1.2.3" not in error.message

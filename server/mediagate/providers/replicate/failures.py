"""What Replicate says when it makes no video."""

from __future__ import annotations

import re
from typing import Final

import httpx

from mediagate.core.errors import ContentPolicyViolation, RateLimited
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.http_failures import pause_of, provider_message
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_refusals import BLOCKED, blocked, explained, is_about_content

# The codes of the hosted models' own errors, which stand at the end of the text.
_SENSITIVE: Final = re.compile(r"\(E005\)|flagged as sensitive|nsfw", re.IGNORECASE)
_INVALID: Final = re.compile(r"\(E006\)|input validation|invalid input", re.IGNORECASE)
_BUSY: Final = re.compile(r"\(E00[34]\)|high demand|temporarily unavailable", re.IGNORECASE)
_RESETS: Final = re.compile(r"resets in ~?(\d+(?:\.\d+)?)s")

_FAILED: Final = "Replicate's model failed to make the video. Try again."


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means. The pause after a 429 may be told in its text alone."""
    said = provider_message(response)
    if response.status_code == 429:
        resets = _RESETS.search(said)
        wait_s = pause_of(response.headers.get("retry-after"))
        if wait_s is None and resets is not None:
            wait_s = float(resets[1])
        return RateLimited(
            f"{title} asks for a pause. Try again later.", code="provider_rate_limited", retry_after_s=wait_s
        )
    if 400 <= response.status_code < 500 and _SENSITIVE.search(said):
        return ContentPolicyViolation(said, code=BLOCKED)
    return explained(response, title)


def failure_of(said: str) -> Failure:
    """The reason of a prediction that failed. Most texts are exceptions of a model's code and are not shown."""
    if _SENSITIVE.search(said) or is_about_content(said):
        return blocked(FailureStage.INPUT)
    if _INVALID.search(said):
        message = safe_words(said) or "Replicate's model does not take this request."
        return Failure(FailureStage.INPUT, "provider_rejected_request", message, retryable=False)
    if _BUSY.search(said):
        return Failure(
            FailureStage.PROVIDER,
            "provider_unavailable",
            "Replicate's model was temporarily unavailable. Try again later.",
            retryable=True,
        )
    return Failure(FailureStage.PROVIDER, "provider_failed", _FAILED, retryable=True)


def out_of_time() -> Failure:
    """A prediction that did not start within its deadline; it costs nothing."""
    return Failure(
        FailureStage.DEADLINE,
        "provider_deadline",
        "Replicate could not start the video in time. Try again later.",
        retryable=True,
    )


def cancelled(*, started: bool) -> Failure:
    """A prediction that was cancelled, by somebody or by its deadline: what had started is charged."""
    return Failure(FailureStage.PROVIDER, "cancelled", "The video was cancelled.", retryable=True, charged=started)

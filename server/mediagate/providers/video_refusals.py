"""What providers say when they make no video, as failures that an end user may read."""

from __future__ import annotations

import re
from typing import Final

import httpx

from mediagate.core.errors import ContentPolicyViolation, InvalidRequest, ProviderRefused
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.http_failures import error_of, provider_message
from mediagate.providers.safe_words import safe_words

BLOCKED: Final = "content_policy_violation"
# Providers have no code for it in these answers, so their words have to tell.
_CONTENT: Final = re.compile(
    r"moderat|\bsafety\b|content (?:polic|filter|guideline)|usage (?:polic|guideline)|prohibited",
    re.IGNORECASE,
)
# A refusal that may be about the way and not about the request.
_AMBIGUOUS: Final = (408, 425, 429, 499)


def is_about_content(said: str) -> bool:
    """Whether a provider's sentence speaks of its content policy."""
    return _CONTENT.search(said) is not None


def blocked(stage: FailureStage, *, field: str | None = None, charged: bool = False) -> Failure:
    """A video that the provider's content policy does not allow."""
    about = {"prompt": "the prompt", "input_reference": "the image", "video": "the source video"}.get(field or "")
    message = (
        "The video was made and then withheld because of the provider's content policy."
        if stage is FailureStage.OUTPUT
        else f"The provider's content policy does not allow {about or 'this request'}."
    )
    return Failure(stage, BLOCKED, message, retryable=False, charged=charged, field=field)


def no_video(*, charged: bool = False) -> Failure:
    """A job that is done, with nothing to show for it and no reason."""
    return Failure(
        FailureStage.OUTPUT, "no_video", "The provider finished without a video.", retryable=True, charged=charged
    )


def explained(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means to a request for a video: every 4xx says that nothing was started, but those
    that a front may give."""
    status, said = response.status_code, provider_message(response)
    if status == 402:
        return out_of_credit(title)
    if not 400 <= status < 500 or status in (401, 403, 404, 410, *_AMBIGUOUS):
        return error_of(response, title)
    if is_about_content(said):
        return ContentPolicyViolation(said, code=BLOCKED)
    return rejected(title, said)


def rejected(title: str, said: str, *, field: str | None = None) -> InvalidRequest:
    """A request that the provider does not take; `said` is its own sentence."""
    return InvalidRequest(
        safe_words(said) or f"{title} does not take this request.", param=field, code="provider_rejected_request"
    )


def out_of_credit(title: str) -> ProviderRefused:
    """An account that cannot pay."""
    return ProviderRefused(
        f"The gateway's account at {title} has no credit left. The gateway's operator has to check it.",
        code="provider_credit_exhausted",
    )

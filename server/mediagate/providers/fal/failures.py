"""What fal says when it makes no video.

Its platform says `{"detail": TEXT, "error_type": WORD}`, a model `{"detail": [{"loc", "msg", "type"}]}`. An answer in
neither form is nobody's verdict about a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import InvalidRequest, ProviderFailed
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.http_failures import error_of
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_refusals import blocked, no_video, out_of_credit, rejected

CANCELLED: Final = "client_cancelled"
_AWAY: Final = Failure(
    FailureStage.PROVIDER, "provider_unavailable", "fal was temporarily unavailable. Try again later.", retryable=True
)
_LATE: Final = Failure(
    FailureStage.PROVIDER, "provider_timeout", "fal did not make the video in time. Try again.", retryable=True
)
_BROKE: Final = Failure(
    FailureStage.PROVIDER, "provider_failed", "fal failed to make the video. Try again.", retryable=True
)
_REJECTED: Final = Failure(
    FailureStage.INPUT, "provider_rejected_request", "fal does not take this request.", retryable=False
)
_CANCELLED: Final = Failure(FailureStage.PROVIDER, "cancelled", "The video was cancelled.", retryable=True)

# `error_type`, of the platform.
PLATFORM: Final[Mapping[str, Failure]] = {
    "request_timeout": _LATE,
    "startup_timeout": _LATE,
    "runner_scheduling_failure": _AWAY,
    "runner_connection_timeout": _AWAY,
    "runner_disconnected": _AWAY,
    "runner_connection_refused": _AWAY,
    "runner_connection_error": _AWAY,
    "runner_incomplete_response": _AWAY,
    "runner_server_error": _BROKE,
    "internal_error": _BROKE,
    "client_disconnected": _CANCELLED,
    CANCELLED: _CANCELLED,
    "bad_request": _REJECTED,
}
# `type` of an entry, of a model. Every other one is about a member of the request.
MODEL: Final[Mapping[str, Failure]] = {
    "content_policy_violation": blocked(FailureStage.INPUT),
    "no_media_generated": no_video(),
    "generation_timeout": _LATE,
    "internal_server_error": _BROKE,
    "downstream_service_error": _BROKE,
    "downstream_service_unavailable": _AWAY,
}
# The member at fault, as a caller of ours names it.
FIELDS: Final[Mapping[str, str]] = {
    "prompt": "prompt",
    "duration": "seconds",
    "aspect_ratio": "size",
    "resolution": "size",
    "size": "size",
    "image_url": "input_reference",
    "image_urls": "input_reference",
    "start_image_url": "input_reference",
    "video_url": "video",
}


class Refused(InvalidRequest):
    """The platform or a model says in its own form why there is no video; `failure` is the same for a caller."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, param=failure.field, code=failure.code)
        self.failure = failure


class Broke(ProviderFailed):
    """The same where it is not the request's fault: a job ended by this, a submit may have been taken."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, code=failure.code)
        self.failure = failure


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means."""
    tree = _tree(response)
    detail = tree.get("detail")
    if response.status_code == 402 or (response.status_code == 403 and _locked(detail)):
        return out_of_credit(title)
    if response.status_code in (401, 403, 404, 410, 429):
        return error_of(response, title)
    failure = told(tree, response.headers)
    if failure is not None:
        return Refused(failure) if response.status_code < 500 else Broke(failure)
    if response.status_code in (400, 405, 409, 413, 415, 422):
        return rejected(title, detail if isinstance(detail, str) else "")
    return error_of(response, title)


def told(tree: Mapping[str, Any], headers: Mapping[str, str]) -> Failure | None:
    """The failure that an answer names, in the platform's form or in a model's; None where it names none."""
    charged = _units(headers.get("x-fal-billable-units")) > 0
    detail = tree.get("detail")
    entries = [entry for entry in detail if isinstance(entry, Mapping)] if isinstance(detail, list) else []
    if entries:
        known = [entry for entry in entries if entry.get("type") in MODEL]
        return _charged(MODEL[str(known[0]["type"])] if known else _about_member(entries[0]), charged)
    word = tree.get("error_type") or headers.get("x-fal-error-type")
    return _charged(PLATFORM.get(word, _BROKE), charged) if isinstance(word, str) else None


def _about_member(entry: Mapping[str, Any]) -> Failure:
    location = [part for part in entry.get("loc") or () if isinstance(part, str) and part != "body"]
    name = location[0] if location else ""
    said = safe_words(": ".join(str(part) for part in (name, entry.get("msg")) if part))
    return Failure(
        FailureStage.INPUT,
        "provider_rejected_request",
        said or _REJECTED.message,
        retryable=False,
        field=FIELDS.get(name),
    )


def _charged(failure: Failure, charged: bool) -> Failure:
    return Failure(
        failure.stage, failure.code, failure.message, failure.retryable, charged=charged, field=failure.field
    )


def _units(told_units: str | None) -> float:
    try:
        return float(told_units or 0)
    except ValueError:
        return 0.0


def _locked(detail: Any) -> bool:
    return isinstance(detail, str) and "balance" in detail.lower()


def _tree(response: httpx.Response) -> Mapping[str, Any]:
    try:
        tree = response.json()
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}

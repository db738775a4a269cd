"""OpenAI's video objects and refusals, read with care: servers that only resemble OpenAI answer here too.

A server that is itself a mediagate says more under `mediagate`; that is read where it is there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import ContentPolicyViolation, ProviderFailed, Unsupported
from mediagate.providers.answers import Tree, at_unix
from mediagate.providers.base import Failure, FailureStage, FateUnknown, JobState, JobStatus
from mediagate.providers.http_failures import error_of, nowhere, provider_message
from mediagate.providers.openai.wire import lacks_route
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_refusals import BLOCKED, blocked, out_of_credit, rejected

# OpenAI's four words, https://platform.openai.com/docs/api-reference/videos/object, and what servers of the same shape
# say beside them: LiteLLM and aimock `processing`, others that a job was stopped.
STATES: Final[Mapping[str, JobState]] = {
    "queued": JobState.QUEUED,
    "in_progress": JobState.RENDERING,
    "processing": JobState.RENDERING,
    "completed": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
}
# mediagate's own phases that OpenAI's words do not tell apart.
PHASES: Final[Mapping[str, JobState]] = {
    "finalizing": JobState.FINALIZING,
    "archiving": JobState.FINALIZING,
    "cancelled": JobState.CANCELLED,
}
POLICY_CODES: Final = frozenset(
    {
        "content_filter", "content_policy_violation", "contentfilter", "input_moderation", "moderation_blocked",
        "output_moderation", "responsibleaipolicyviolation", "sentinel_block",
    }
)  # fmt: skip
CREDIT_CODES: Final = frozenset({"billing_hard_limit_reached", "insufficient_credits", "insufficient_quota"})
# A framework's own 404 has no envelope either, but does not know what it is that is missing.
_ABOUT_A_VIDEO: Final = re.compile(r"\b(video|job)\b", re.IGNORECASE)
_ENDED: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_REJECTED: Final = (400, 409, 413, 415, 422)
POLL_AFTER: Final = "openai-poll-after-ms"
POLL_AFTER_S_MAX: Final = 300.0


def has_ended(status: JobStatus) -> bool:
    """Whether the job goes on no more."""
    return status.state in _ENDED


def status_of(tree: Tree, headers: httpx.Headers | None = None) -> JobStatus:
    """A video object as the answer to a poll. Raises `FateUnknown` for words that nobody knows, and `KeyError`,
    `TypeError` or `ValueError` for what is no video object."""
    details = _object(tree.get("mediagate"))
    word, phase = tree["status"], details.get("phase")
    state = STATES.get(word)
    if state is None or phase == "fate_unknown":
        raise FateUnknown("the server does not say what became of the job")
    state = PHASES.get(str(phase), state)
    if state is JobState.SUCCEEDED and tree.get("error"):
        state = JobState.FAILED
    expires_at = _number(tree.get("expires_at"))
    return JobStatus(
        state,
        progress_percent=_progress(tree, details) if state in (JobState.RENDERING, JobState.FINALIZING) else None,
        position=_whole(details.get("position")) if state is JobState.QUEUED else None,
        poll_after_s=_poll_after_s(headers or httpx.Headers()),
        failure=failure_of(tree) if state is JobState.FAILED else None,
        cost_usd=_number(_object(tree.get("usage")).get("cost_usd")),
        expires_at=at_unix(expires_at) if expires_at else None,
    )


def failure_of(tree: Tree) -> Failure:
    """Why a job failed. A refusal for its content is one of the output where the code does not say otherwise, since the
    job was taken."""
    told = _object(_object(tree.get("mediagate")).get("failure"))
    if told.get("stage") in tuple(FailureStage):
        return _told(told)
    error = tree.get("error")
    code = str(_object(error).get("code") or "").lower()
    message = safe_words(error if isinstance(error, str) else _object(error).get("message"))
    if code in POLICY_CODES:
        return blocked(FailureStage.INPUT if code.startswith("input") else FailureStage.OUTPUT)
    # vLLM puts the HTTP status there that the same error would have at once.
    if code in ("400", "413", "422") or code.startswith("invalid_"):
        because = message or "The provider does not take this request."
        return Failure(FailureStage.INPUT, "provider_rejected_request", because, retryable=False)
    because = message or "The provider could not make this video."
    return Failure(FailureStage.PROVIDER, "provider_failed", because, retryable=True)


def _told(failure: Mapping[str, Any]) -> Failure:
    field = failure.get("field")
    return Failure(
        FailureStage(failure["stage"]),
        str(failure.get("code") or "provider_failed"),
        safe_words(failure.get("message")) or "The provider could not make this video.",
        retryable=failure.get("retryable") is True,
        charged=failure.get("charged") is True,
        field=field if isinstance(field, str) else None,
    )


def explain_videos(*, routes_may_lack: bool = False) -> Callable[[httpx.Response, str], Exception]:
    """What an answer of 400 or more means. A 404 that is about the route and not about a video is a wrong address; with
    `routes_may_lack` it is `Unsupported`, because the server need not have every route."""

    def explain(response: httpx.Response, title: str) -> Exception:
        said = provider_message(response)
        error = _error(response)
        code = str(error.get("code") or "").lower()
        if lacks_route(response, said, "videos") and not _ABOUT_A_VIDEO.search(said):
            if routes_may_lack or response.status_code != 404:
                return Unsupported(f"{title} cannot do this.", code="unsupported_by_provider")
            return nowhere(title)
        return refused(response, title, code, said, error.get("param")) or error_of(response, title)

    return explain


def refused(response: httpx.Response, title: str, code: str, said: str, param: object = None) -> Exception | None:
    """What the code of an error means, before its status is looked at; None where the status says it all."""
    field = param.partition("[")[0][:64] if isinstance(param, str) and param else None
    if code in POLICY_CODES:
        return ContentPolicyViolation(f"{title} refuses this content.", param=field, code=BLOCKED)
    if response.status_code == 402 or code in CREDIT_CODES:
        return out_of_credit(title)
    if code.startswith("idempotency"):
        # An earlier submit with the same token was taken, or still may be.
        return ProviderFailed(f"{title} has not finished an earlier request.", code="provider_failed")
    return rejected(title, said, field=field) if response.status_code in _REJECTED else None


def _error(response: httpx.Response) -> Mapping[str, Any]:
    try:
        tree = response.json()
    except (ValueError, RecursionError):
        return {}
    return _object(_object(tree).get("error"))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if value >= 0 else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _progress(tree: Tree, details: Mapping[str, Any]) -> float | None:
    if details and details.get("progress_source") != "reported":
        return None
    percent = _number(tree.get("progress"))
    return None if percent is None else min(float(percent), 100.0)


def _poll_after_s(headers: httpx.Headers) -> float | None:
    try:
        seconds = float(headers.get(POLL_AFTER, "")) / 1000
    except ValueError:
        return None
    return min(seconds, POLL_AFTER_S_MAX) if seconds > 0 else None

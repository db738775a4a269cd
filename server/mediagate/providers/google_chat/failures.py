"""What `generateContent` means by a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import (
    ContentPolicyViolation,
    InvalidRequest,
    Unavailable,
)
from mediagate.providers.chat_failures import chat_status_error, file_gone, is_about_absence
from mediagate.providers.google_errors import details_of, error_in, is_refusal, pause_in, speakable

FILE_NOT_READY: Final = "provider_file_not_ready"
_NOT_FETCHED: Final = re.compile(r"cannot fetch content from the provided url", re.IGNORECASE)
_FILE_NOT_READY: Final = re.compile(r"not in an active state", re.IGNORECASE)
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_STATUSES: Final = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 13: 500, 14: 503, 16: 401}


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means."""
    return error_of(response.status_code, error_in(response), title, retry_after=response.headers.get("retry-after"))


def inner_error(error: Any, title: str) -> Exception:
    """The same for an error inside of an answer of 200, whose code is a status of HTTP's or a number of gRPC's."""
    tree = error if isinstance(error, Mapping) else {}
    code = tree.get("code")
    status = code if isinstance(code, int) else 500
    return error_of(_STATUSES.get(status, status), tree, title)


def error_of(status: int, error: Mapping[str, Any], title: str, *, retry_after: str | None = None) -> Exception:
    """What a status with Google's `error` means for a chat."""
    message = error.get("message")
    said = message if isinstance(message, str) else ""
    details = details_of(error)
    reasons = {str(detail.get("reason")) for detail in details}
    words = [str(error.get("status") or ""), *reasons]
    if status in (400, 403, 404) and is_about_absence(said):
        return file_gone(title)
    if status == 400 and _NOT_FETCHED.search(said):
        return InvalidRequest(f"{title} cannot fetch a URL of this request.", code="provider_cannot_fetch")
    if status == 400 and _FILE_NOT_READY.search(said):
        return Unavailable(f"{title} is not done with a file of this request. Try again soon.", code=FILE_NOT_READY)
    if 400 <= status < 500 and status != 429 and is_refusal(said, words):
        return ContentPolicyViolation(f"{title} does not allow this content.", code="content_policy_violation")
    if status == 400 and ("API_KEY_INVALID" in reasons or error.get("status") == "FAILED_PRECONDITION"):
        status = 401
    if status < 400:
        status = 500
    return chat_status_error(status, title, said=speakable(said), retry_after=retry_after or pause_in(error))

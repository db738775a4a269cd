"""What goes wrong at a provider, for every provider alike: a status, a sentence or a broken connection as one of our
errors."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx

from mediagate.core.errors import (
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    Unsupported,
)
from mediagate.core.limits import echo

_REFUSED = (401, 403)
_REJECTED = (400, 409, 413, 415, 422)
# "You have exceeded your file storage quota", "Storage limit exceeded", "The quota for files without expiry is
# reached"; not a quota of requests or of money.
_STORAGE_FULL = re.compile(
    r"storage[ _-]?(quota|limit|capacity|space)|(quota|limit)\b.{0,24}\b(storage|for files)|out of (disk )?space"
    r"|XMinioStorageFull|StorageFull",
    re.IGNORECASE,
)
_UNSUPPORTED = (405, 501)
# Of what FastAPI finds wrong.
_WRONGS_MAX = 8
_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.UnsupportedProtocol,
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


def error_of(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means, for every provider alike."""
    return status_error(
        response.status_code, title, said=provider_message(response), retry_after=response.headers.get("retry-after")
    )


def status_error(status: int, title: str, *, said: str = "", retry_after: str | None = None) -> Exception:
    """The same from the status alone; `said` is the provider's own sentence, `retry_after` its header."""
    wait_s = pause_of(retry_after)
    if status == 507 or (400 <= status < 500 and status not in (404, 410) and is_about_storage(said)):
        return storage_full(title)
    if status in (404, 410):
        return FileNotFoundError(f"{title} does not have it")
    if status in _REFUSED:
        return ProviderRefused(
            f"{title} does not accept the gateway's credentials for this. The gateway's operator has to check them.",
            code="provider_credentials_refused",
        )
    if status == 429:
        return RateLimited(
            f"{title} asks for a pause. Try again later.", code="provider_rate_limited", retry_after_s=wait_s
        )
    if status in _REJECTED:
        because = f": {echo(said, chars_max=300)}" if said else "."
        return InvalidRequest(f"{title} does not take this{because}", code="provider_rejected_file")
    if status in _UNSUPPORTED:
        return Unsupported(f"{title} cannot do this.", code="unsupported_by_provider")
    if status == 503:
        return Unavailable(
            f"{title} is temporarily unavailable. Try again later.",
            code="provider_unavailable",
            retry_after_s=wait_s,
        )
    return ProviderFailed(f"{title} failed. Try again later.", code="provider_failed", retry_after_s=wait_s)


def is_about_storage(said: str) -> bool:
    """Whether a provider's words, or its code, say that the account can hold no more."""
    return _STORAGE_FULL.search(said) is not None


def storage_full(title: str) -> ProviderRefused:
    """The account at the provider is full. A repetition of the same request does not help."""
    return ProviderRefused(
        f"The gateway's account at {title} has no room for more files. Name another target, delete files that lie "
        "there, or ask the gateway's operator.",
        code="provider_storage_full",
    )


def nowhere(title: str) -> ProviderRefused:
    """What a 404 means for a create, and for a list: the place itself is missing."""
    return ProviderRefused(
        f"{title} does not have the place that the gateway is configured to use. "
        "The gateway's operator has to check it.",
        code="provider_not_found",
    )


def transport_error(error: Exception, title: str) -> MediagateError:
    """What a broken connection means."""
    # The transport's table takes every broken connection for one that never was; its cause knows better.
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    if isinstance(cause, _NEVER_CONNECTED):
        return Unavailable(f"{title} cannot be reached. Try again later.", code="provider_unavailable")
    if isinstance(cause, httpx.TimeoutException | aiohttp.ServerTimeoutError):
        return ProviderTimeout(f"{title} did not answer in time. Try again later.", code="provider_timeout")
    return ProviderFailed(f"The connection to {title} broke. Try again later.", code="provider_connection_lost")


def provider_message(response: httpx.Response) -> str:
    """The provider's own sentence about a refusal, in the shapes that are in use; empty where there is none."""
    try:
        tree: Any = response.json()
    except (ValueError, RecursionError):
        return ""
    said = tree.get("error", tree) if isinstance(tree, dict) else ""
    # Mistral has FastAPI's `detail` inside of a `message`.
    for names in (("message", "detail"), ("detail",)):
        if isinstance(said, dict):
            said = next((said[name] for name in names if said.get(name)), "")
    if isinstance(said, list):
        said = "; ".join(wrong for one in said[:_WRONGS_MAX] if (wrong := _wrong(one)))
    return said if isinstance(said, str) else ""


def _wrong(one: Any) -> str:
    """One of FastAPI's findings: `{"loc": ["body", "messages"], "msg": "Field required"}`."""
    said = one.get("msg") if isinstance(one, dict) else None
    if not isinstance(said, str):
        return ""
    place = one.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {said}" if where else said


def pause_of(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds: a number, or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())

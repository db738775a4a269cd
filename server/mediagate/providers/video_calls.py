"""Calls of video providers: what each outcome says about a job, and where a finished video's bytes are."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar
from urllib.parse import urljoin

import httpx

from mediagate.core.errors import (
    ContentPolicyViolation,
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    RateLimited,
    Unavailable,
    Unsupported,
)
from mediagate.providers.base import Failure, FailureStage, FateUnknown, ProviderBusy, SubmitRefused
from mediagate.providers.files import Origin
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_content import HttpContent
from mediagate.providers.media_hosts import MediaHosts, PublicHosts, endpoint_of

Answer = TypeVar("Answer")
REDIRECTS_MAX: Final = 5
VIDEO_TYPE: Final = "video/mp4"
NO_LENGTH: Final = "provider_tells_no_length"
_TEXTS: Final = ("application/json", "application/problem+json", "application/xml", "text/")


async def submitting(call: Awaitable[Answer]) -> Answer:
    """Await a call that starts a job, sent once.

    A refusal in so many words is `SubmitRefused`; a request for patience and a connection that never was are
    `ProviderBusy`. Everything else may have started the job: `FateUnknown`.
    """
    try:
        return await call
    except RateLimited as error:
        raise ProviderBusy(error.message, error.retry_after_s) from error
    except Unavailable as error:
        # An answer of 503 has no cause, and a front may give it after the job was taken.
        if error.__cause__ is None:
            raise FateUnknown(error.message) from error
        raise ProviderBusy(error.message, error.retry_after_s) from error
    except (InvalidRequest, ProviderRefused, Unsupported) as error:
        raise SubmitRefused(refusal(error)) from error
    except FileNotFoundError as error:
        raise SubmitRefused(
            Failure(
                FailureStage.PROVIDER,
                "provider_not_found",
                "The provider does not have this model, or not for this account.",
                retryable=False,
                field="model",
            )
        ) from error
    except (MediagateError, httpx.HTTPError, TimeoutError) as error:
        raise FateUnknown(str(error)) from error


def refusal(error: InvalidRequest | ProviderRefused | Unsupported) -> Failure:
    """A refusal as the failure of a video."""
    if isinstance(error, ProviderRefused):
        return Failure(FailureStage.GATEWAY, error.code or "provider_refused", error.message, retryable=False)
    stage = FailureStage.INPUT if isinstance(error, InvalidRequest) else FailureStage.PROVIDER
    policy = isinstance(error, ContentPolicyViolation)
    code = "content_policy_violation" if policy else "provider_rejected_request"
    return Failure(stage, code, error.message, retryable=False, field=error.param)


async def asking(call: Awaitable[Answer]) -> Answer:
    """Await a call about a job: whatever goes wrong says nothing about the job. Raises `FateUnknown`."""
    try:
        return await call
    except (MediagateError, OSError, httpx.HTTPError, LookupError, TypeError, ValueError) as error:
        raise FateUnknown(str(error) or type(error).__name__) from error


async def settled(http: ProviderHttp, url: str, hosts: MediaHosts | None = None) -> Origin:
    """Where the bytes behind `url` are in the end, with the headers that may go there: the account's credentials for
    the account's own host alone. Each step, the first one too, is one that `hosts` allow (`PublicHosts` where there are
    none). Raises `FileNotFoundError` where the link has expired, and as `ProviderHttp.call`."""
    return (await _followed(http, url, hosts))[0]


async def remote_video(
    http: ProviderHttp, url: str, hosts: MediaHosts | None = None, *, content_type: str = VIDEO_TYPE
) -> HttpContent:
    """The video behind a link of the provider's. Raises as `settled` does, and `ProviderFailed` where the server does
    not tell its length, or sends a text."""
    content = await _remote(http, url, hosts)
    if content.content_type.startswith(_TEXTS):
        raise ProviderFailed(f"{http.title} sends something else than a video.", code="provider_bad_answer")
    if not content.content_type.startswith("video/"):
        content.content_type = content_type
    return content


async def remote_picture(http: ProviderHttp, url: str, hosts: MediaHosts | None = None) -> HttpContent:
    """A picture of a video. Raises as `remote_video` does, and `FileNotFoundError` where the server sends something
    else: one that makes no pictures may give the video for any."""
    content = await _remote(http, url, hosts)
    if not content.content_type.startswith("image/"):
        raise FileNotFoundError(f"{http.title} makes no pictures of videos")
    return content


async def _remote(http: ProviderHttp, url: str, hosts: MediaHosts | None) -> HttpContent:
    origin, answer = await _followed(http, url, hosts)
    return HttpContent(
        http,
        origin.url,
        size_bytes=_whole(answer),
        content_type=answer.headers.get("content-type", "").partition(";")[0].strip(),
        etag=answer.headers.get("etag", ""),
        anonymous=not origin.headers,
    )


async def _followed(http: ProviderHttp, url: str, hosts: MediaHosts | None) -> tuple[Origin, httpx.Response]:
    """As `settled`, with the answer that was found there, of which only the head is read."""
    for _ in range(REDIRECTS_MAX):
        if not await _allowed(http, url, hosts or PublicHosts(None)):
            break
        origin = Origin(http.url(url), await _credentials(http, url))
        async with http.stream("GET", url, headers=_probe(origin), anonymous=not origin.headers) as response:
            if not response.is_redirect:
                return origin, response
            url = urljoin(http.url(url), response.headers.get("location", ""))
    raise ProviderFailed(f"{http.title} has the video in a place that is not allowed.", code="provider_bad_redirect")


async def _credentials(http: ProviderHttp, url: str) -> dict[str, str]:
    return await http.headers() if endpoint_of(http.url(url)) == endpoint_of(http.base_url) else {}


def _probe(origin: Origin) -> dict[str, str]:
    return {**origin.headers, "range": "bytes=0-0", "accept-encoding": "identity"}


async def _allowed(http: ProviderHttp, url: str, hosts: MediaHosts) -> bool:
    try:
        return await hosts.allow(http.url(url), http.base_url)
    except OSError as error:
        raise Unavailable(
            f"{http.title} has the video in a place that cannot be reached. Try again later.",
            code="provider_unavailable",
        ) from error


def _whole(response: httpx.Response) -> int:
    """The length of the whole that an answer to a range tells."""
    told = response.headers.get("content-range", "").rpartition("/")[2]
    if response.status_code != 206:
        told = response.headers.get("content-length", "")
    if not told.isascii() or not told.isdigit():
        raise ProviderFailed("The provider does not tell the length of the video.", code=NO_LENGTH)
    return int(told)

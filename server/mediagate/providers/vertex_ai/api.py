"""What Google Cloud Storage's JSON API answers, beyond what all providers have in common."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Final

import google_crc32c
import httpx

from mediagate.core.errors import MediagateError, ProviderFailed
from mediagate.core.retry_budget import RetryBudget
from mediagate.providers import http, http_failures

# What the API answers to the DELETE of an upload that it was still taking, and to what comes for it afterwards:
# https://cloud.google.com/storage/docs/json_api/v1/status-codes#499_Client_Closed_Request
CLIENT_CLOSED_REQUEST: Final = 499
PRECONDITION_FAILED: Final = 412
_PERSISTED: Final = re.compile(r"bytes=0-(\d+)")


class PreconditionFailed(ProviderFailed):
    """An object or a bucket is not in the state that a call asked for. The same call again has the same end."""

    retryable = False


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means. An upload that was cancelled is a `FileNotFoundError`."""
    if response.status_code == PRECONDITION_FAILED:
        return PreconditionFailed(
            f"{title} holds something else in this place. Try again later.", code="provider_conflict"
        )
    if response.status_code == CLIENT_CLOSED_REQUEST:
        return FileNotFoundError(f"{title} does not have it")
    # Where the checksum is sent with the bytes, the API compares; what broke on the way is no fault of the caller.
    if response.status_code == 400 and "crc32c" in http_failures.provider_message(response).lower():
        return checksum_mismatch(title)
    return http_failures.error_of(response, title)


def checksum_mismatch(title: str) -> ProviderFailed:
    """The bytes at the provider are not those that were sent or announced."""
    return ProviderFailed(f"{title} took or gave other bytes. Try again later.", code="provider_checksum_mismatch")


async def pause_after(error: MediagateError, failures: int, budget: RetryBudget) -> None:
    """Wait for the next attempt. Raises `error` where it was the last one, another one cannot help, or there were too
    many of late."""
    pause_s = max(error.retry_after_s or 0.0, http.BACK_OFF_S * 4 ** (failures - 1))
    if failures >= http.ATTEMPTS_MAX or not error.retryable or pause_s > http.PAUSE_S_MAX:
        raise error
    if not budget.ask_again():
        raise error
    await asyncio.sleep(pause_s)


def crc32c_text(checksum: int) -> str:
    """A checksum as the API writes it: base64 of four bytes, the highest first."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def crc32c_of(checksum: int, data: bytes) -> int:
    """The checksum of what came before and `data`."""
    return int(google_crc32c.extend(checksum, data))


def persisted_bytes(answer: httpx.Response) -> int:
    """How many bytes of an upload the store keeps, as a 308 tells it; without the header it has none."""
    match = _PERSISTED.fullmatch(answer.headers.get("range", ""))
    return int(match[1]) + 1 if match else 0

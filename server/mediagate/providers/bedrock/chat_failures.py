"""What Bedrock's models refuse, by the names of its exceptions: in an answer's header, its body, or a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import httpx

from mediagate.providers.bedrock.spec import CHAT
from mediagate.providers.chat_failures import chat_status_error
from mediagate.providers.http_failures import provider_message

_STATUSES: Final[Mapping[str, int]] = {
    "accessdeniedexception": 403,
    "expiredtokenexception": 403,
    "incompletesignature": 403,
    "incompletesignatureexception": 403,
    "internalserverexception": 500,
    "invalidsignatureexception": 403,
    "missingauthenticationtokenexception": 403,
    "modelerrorexception": 500,
    "modelnotreadyexception": 503,
    "modelstreamerrorexception": 500,
    "modeltimeoutexception": 504,
    "resourcenotfoundexception": 404,
    "servicequotaexceededexception": 429,
    "serviceunavailableexception": 503,
    "throttlingexception": 429,
    "unrecognizedclientexception": 403,
    "validationexception": 400,
}


def explained(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means."""
    said, retry_after = provider_message(response), response.headers.get("retry-after")
    kind = response.headers.get("x-amzn-errortype", "") or _kind_in(response)
    return exception_of(kind, said, status=response.status_code, retry_after=retry_after)


def exception_of(kind: str, said: str, *, status: int = 500, retry_after: str | None = None) -> Exception:
    """The same by the exception's name: `ThrottlingException`, `throttlingException`,
    `com.amazon...#ThrottlingException:http://...`; `status` counts where the name is not known."""
    plain = kind.partition(":")[0].rpartition("#")[2].strip().lower()
    return chat_status_error(_STATUSES.get(plain, status), CHAT.title, said=said, retry_after=retry_after)


def _kind_in(response: httpx.Response) -> str:
    try:
        tree = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    kind = tree.get("__type") if isinstance(tree, dict) else None
    return kind if isinstance(kind, str) else ""

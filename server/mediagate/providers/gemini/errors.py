"""What the Gemini API means by a refusal."""

from __future__ import annotations

from typing import Any, Final

import httpx

from mediagate.core.errors import ProviderFailed
from mediagate.providers import http
from mediagate.providers.files import FileOperation, unsupported
from mediagate.providers.gemini.spec import FILES

NAME_TAKEN: Final = "provider_name_taken"


def explain(response: httpx.Response, title: str) -> Exception:
    """As everywhere, but for what Google says in its own way.

    A file that does not exist is a 403 of the same words as one of another project; a 403 for other reasons stays a
    refusal of the credentials. A key that is wrong is a 400, and so is the download of an upload. How long to pause
    stands in the body.
    """
    error = _error(response)
    message = error.get("message")
    said = message if isinstance(message, str) else ""
    reasons = {detail.get("reason") for detail in _details(error)}
    status = response.status_code
    if status == 403 and "or it may not exist" in said:
        status = 404
    elif status == 400 and "API_KEY_INVALID" in reasons:
        status = 401
    elif status == 400 and "GENERATED files can be downloaded" in said:
        return unsupported(FILES, FileOperation.CONTENT)
    elif status == 409:
        return ProviderFailed(f"{title} still holds an earlier attempt. Try again.", code=NAME_TAKEN)
    pause = response.headers.get("retry-after") or _pause(error)
    return http.status_error(status, title, said=said, retry_after=pause)


def _error(response: httpx.Response) -> dict[str, Any]:
    try:
        tree: Any = response.json()
    except ValueError:
        return {}
    # Some of its servers answer with a list of one.
    if isinstance(tree, list) and tree:
        tree = tree[0]
    error = tree.get("error") if isinstance(tree, dict) else None
    return error if isinstance(error, dict) else {}


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _pause(error: dict[str, Any]) -> str | None:
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            return delay.removesuffix("s")
    return None

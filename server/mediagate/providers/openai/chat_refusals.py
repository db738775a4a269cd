"""What a refusal of a chat means, where it comes in OpenAI's shape."""

from __future__ import annotations

from typing import Any, Final

import httpx

from mediagate.core.errors import ProviderRefused
from mediagate.providers.chat_failures import NotThere, chat_status_error, file_gone, is_about_absence, rejected
from mediagate.providers.http_failures import provider_message

_ABSENT: Final = (404, 410)
_REJECTED: Final = (400, *_ABSENT, 409, 413, 415, 422)


def explain_chat(response: httpx.Response, title: str) -> Exception:
    """What the provider finds wrong with the request is the caller's to know, with the member that it names; what it
    says of the account is not."""
    status, said, error = response.status_code, provider_message(response), _error(response)
    code, param = _text(error, "code"), _text(error, "param")
    if status == 429 and code == "insufficient_quota":
        return ProviderRefused(
            f"The gateway's account at {title} has used up what it may spend. The gateway's operator has to look at "
            "it.",
            code="provider_quota_exhausted",
        )
    if status not in _REJECTED:
        return chat_status_error(status, title, said=said, retry_after=response.headers.get("retry-after"))
    if is_about_absence(said):
        return file_gone(title)
    # The model's name is the gateway's own; that it is wrong is no fault of the caller's.
    if status in _ABSENT and (not said or code in ("model_not_found", "DeploymentNotFound")):
        return chat_status_error(status, title, said=said)
    refusal = rejected(title, said, code=code, param=param)
    return NotThere(refusal.message, param=param, code=refusal.code) if status in _ABSENT else refusal


def _text(error: dict[str, Any], name: str) -> str | None:
    value = error.get(name)
    return value if isinstance(value, str) and value else None


def _error(response: httpx.Response) -> dict[str, Any]:
    try:
        tree: Any = response.json()
    except (ValueError, RecursionError):
        return {}
    error = tree.get("error", tree) if isinstance(tree, dict) else None
    return error if isinstance(error, dict) else {}

"""What the Gemini API means by a refusal."""

from __future__ import annotations

from typing import Final

import httpx

from mediagate.core.errors import ProviderFailed
from mediagate.providers import http_failures
from mediagate.providers.files import FileOperation, unsupported
from mediagate.providers.gemini.spec import FILES
from mediagate.providers.google_errors import details_of, error_in, pause_in

NAME_TAKEN: Final = "provider_name_taken"


def explain(response: httpx.Response, title: str) -> Exception:
    """As everywhere, but for what Google says in its own way.

    A file that does not exist is a 403 of the same words as one of another project; a 403 for other reasons stays a
    refusal of the credentials. A key that is wrong is a 400, and so is the download of an upload. How long to pause
    stands in the body.
    """
    error = error_in(response)
    message = error.get("message")
    said = message if isinstance(message, str) else ""
    reasons = {detail.get("reason") for detail in details_of(error)}
    status = response.status_code
    if status == 403 and "or it may not exist" in said:
        status = 404
    elif status == 400 and "API_KEY_INVALID" in reasons:
        status = 401
    elif status == 400 and "GENERATED files can be downloaded" in said:
        return unsupported(FILES, FileOperation.CONTENT)
    elif status == 409:
        return ProviderFailed(f"{title} still holds an earlier attempt. Try again.", code=NAME_TAKEN)
    pause = response.headers.get("retry-after") or pause_in(error)
    return http_failures.status_error(status, title, said=said, retry_after=pause)

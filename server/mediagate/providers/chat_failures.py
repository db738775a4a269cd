"""What goes wrong at a provider of chat models, for the native ones alike."""

from __future__ import annotations

import re
from typing import Final

import httpx

from mediagate.core.errors import (
    ContentPolicyViolation,
    InvalidField,
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    Unavailable,
)
from mediagate.core.limits import echo
from mediagate.providers.http_failures import is_about_storage, pause_of, provider_message, status_error
from mediagate.providers.video_refusals import is_about_content

SAID_CHARS_MAX: Final = 500
_ABOUT_CONTENT: Final = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
TOO_LONG: Final = "context_length_exceeded"
FILE_GONE: Final = "provider_file_gone"
_FILE_GONE: Final = re.compile(
    r"(no such|cannot find|could not find|couldn't find)\b.{0,24}\bfiles?\b"
    r"|\bunknown files?\b(?!\s+(type|format|extension|kind|purpose))"
    r"|\bfiles?\b.{0,80}(not found|does not exist|do not exist|not exist|was deleted|has expired|is expired|no longer)"
    r"|access the file .* or it may not exist",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG: Final = re.compile(
    r"prompt is too long|too many (?:input )?tokens|context (?:window|length|limit)|input is too long"
    r"|maximum (?:number of )?tokens|exceed\w* the (?:maximum|model).{0,40}tokens",
    re.IGNORECASE,
)


class FileGone(InvalidRequest):
    """The provider says that a file which the request refers to is not there, or not any more."""


class NotThere(InvalidRequest):
    """The provider has nothing by the name that was asked for: a model, a response."""


def file_gone(title: str) -> FileGone:
    """The same, for the caller where it cannot be mended."""
    return FileGone(f"{title} does not have a file of this request any more. Send the request again.", code=FILE_GONE)


def is_about_absence(said: str) -> bool:
    """Whether a provider's words say that a file is not there."""
    return _FILE_GONE.search(said) is not None


def chat_error_of(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means to a chat."""
    return chat_status_error(
        response.status_code, title, said=provider_message(response), retry_after=response.headers.get("retry-after")
    )


def chat_status_error(status: int, title: str, *, said: str = "", retry_after: str | None = None) -> Exception:
    """The same from the status alone; `said` is the provider's own sentence. A 404 is a model, or a file, that is not
    there: the caller cannot know either."""
    if status in (400, 403, 404, 410) and is_about_absence(said):
        return file_gone(title)
    if status in (400, 409, 413, 422) and not is_about_storage(said):
        return rejected(title, said)
    if status in (404, 410):
        return ProviderRefused(
            f"{title} does not have the model that the gateway is configured to ask, or a file of this chat. The "
            "gateway's operator has to check it.",
            code="provider_not_found",
        )
    if status == 402:
        return ProviderRefused(
            f"The gateway's account at {title} has no credit left. The gateway's operator has to check it.",
            code="provider_no_credit",
        )
    if status in (408, 504):
        return ProviderTimeout(f"{title} did not answer in time. Try again later.", code="provider_timeout")
    if status == 529:
        return overloaded(title, retry_after)
    return status_error(status, title, said=said, retry_after=retry_after)


def rejected(title: str, said: str, *, code: str | None = None, param: str | None = None) -> MediagateError:
    """What a provider's refusal of a request means, by its words, or by its own `code` and `param` where it has such
    words of OpenAI's."""
    words = echo(said, chars_max=SAID_CHARS_MAX)
    if _TOO_LONG.search(said):
        return InvalidRequest(f"{title} finds this too long: {words}", param=param or "messages", code=TOO_LONG)
    because = f": {words}" if said else "."
    if code in _ABOUT_CONTENT or (code is None and is_about_content(said)):
        return ContentPolicyViolation(
            f"{title} does not allow this{because}", param=param, code=code or "content_policy_violation"
        )
    return InvalidRequest(f"{title} does not take this{because}", param=param, code=code or "provider_rejected_request")


def overloaded(title: str, retry_after: str | None = None) -> Unavailable:
    """A provider that has more to do than it can."""
    return Unavailable(
        f"{title} has more to do than it can. Try again later.",
        code="provider_unavailable",
        retry_after_s=pause_of(retry_after),
    )


def cut(title: str) -> ProviderFailed:
    """An answer that ends without its end."""
    return ProviderFailed(f"The answer of {title} broke off before its end. Try again.", code="provider_answer_cut")


def no_words(title: str, param: str, what: str, instead: str) -> InvalidField:
    """A part that a provider's models cannot be given; `what` says which, `instead` what works."""
    return InvalidField(f"{title} cannot be given {what}. {instead}", param=param, code="unsupported_part")


def no_setting(title: str, param: str, because: str) -> InvalidField:
    """A setting that a provider has no words for; `because` says what it has."""
    return InvalidField(
        f"{because} Leave '{param}' out, or let the gateway's operator set 'drop_params'.",
        param=param,
        code="unsupported_parameter",
    )

"""What Google's APIs say when they refuse or fail, and what that means for a video.

One error has several forms: `{"error": ...}` or a list of one of these, a code that is a number or a word, a `Status`
of google.rpc inside of an answer of 200 (https://cloud.google.com/apis/design/errors).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import ContentPolicyViolation
from mediagate.providers import http_failures
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_refusals import BLOCKED

_Meaning = tuple[FailureStage, str, bool]
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_NUMBERS: Final = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
_MEANINGS: Final[Mapping[str, _Meaning]] = {
    "INVALID_ARGUMENT": (FailureStage.INPUT, "provider_rejected_request", False),
    "INVALID_REQUEST": (FailureStage.INPUT, "provider_rejected_request", False),
    "OUT_OF_RANGE": (FailureStage.INPUT, "provider_rejected_request", False),
    "DEADLINE_EXCEEDED": (FailureStage.PROVIDER, "provider_timeout", True),
    "NOT_FOUND": (FailureStage.PROVIDER, "provider_not_found", False),
    "PERMISSION_DENIED": (FailureStage.GATEWAY, "provider_credentials_refused", False),
    "UNAUTHENTICATED": (FailureStage.GATEWAY, "provider_credentials_refused", False),
    "FAILED_PRECONDITION": (FailureStage.GATEWAY, "provider_refused", False),
    "RESOURCE_EXHAUSTED": (FailureStage.PROVIDER, "provider_rate_limited", True),
    "UNIMPLEMENTED": (FailureStage.PROVIDER, "unsupported_by_provider", False),
    "INTERNAL": (FailureStage.PROVIDER, "provider_failed", True),
    "UNAVAILABLE": (FailureStage.PROVIDER, "provider_unavailable", True),
}
_OTHER: Final[_Meaning] = (FailureStage.PROVIDER, "provider_failed", False)
_SENTENCES: Final[Mapping[FailureStage, str]] = {
    FailureStage.INPUT: "{title} does not take this request.",
    FailureStage.GATEWAY: "{title} refuses the gateway's account for this. The gateway's operator has to check it.",
    FailureStage.PROVIDER: "{title} could not make this video.",
}
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/video/responsible-ai-and-usage-guidelines
CATEGORIES: Final[Mapping[str, frozenset[str]]] = {
    "children": frozenset({"58061214", "17301594"}),
    "a well-known person": frozenset({"29310472", "15236754"}),
    "general safety": frozenset({"64151117", "42237218"}),
    "dangerous content": frozenset({"62263041"}),
    "hate": frozenset({"57734940", "22137204"}),
    "other safety concerns": frozenset({"74803281", "29578790", "42876398"}),
    "prohibited content": frozenset({"89371032", "49114662", "63429089", "72817394", "60599140"}),
    "content of third parties": frozenset({"35561574", "35561575"}),
    "sexual content": frozenset({"90789179", "43188360"}),
    "toxic content": frozenset({"78610348"}),
    "violence": frozenset({"61493863", "56562880"}),
    "vulgarity": frozenset({"32635315"}),
}
_SAFETY_WORD: Final = re.compile(r"(?:IMAGE_|VIDEO_)?(?:SAFETY|PROHIBITED_CONTENT|BLOCKLIST|SPII)", re.IGNORECASE)
# A field's name in the sentence, such as `safety_settings`, is no refusal of content.
_SAFETY_SENTENCE: Final = re.compile(
    r"usage guidelines|support codes?:|responsible ai|sensitive words"
    r"|\bblocked\b[^.]*\b(?:safety\b|polic)|\bviolat\w*\b[^.]*\b(?:polic|guideline)",
    re.IGNORECASE,
)
_AT_FAULT: Final = (
    (re.compile(r"\b(?:input|reference|source) video", re.IGNORECASE), "video"),
    (re.compile(r"\b(?:input|reference|source)? ?images?\b", re.IGNORECASE), "input_reference"),
    (re.compile(r"\bprompt\b", re.IGNORECASE), "prompt"),
)
# Names of accounts and of what belongs to them.
_ACCOUNT: Final = re.compile(r"@|\bprojects?/|\bproject\b[^.]*\d|\bgs:", re.IGNORECASE)


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means, as everywhere but for what Google says in its own way.

    Refused content is a `ContentPolicyViolation`. A wrong key is a 400, a project that may not do this another one, and
    an interaction that does not exist a third. How long to pause stands in the body.
    """
    error = error_in(response)
    said = _text(error.get("message"))
    reasons = {_text(detail.get("reason")) for detail in details_of(error)}
    status = response.status_code
    if 400 <= status < 500 and is_refusal(said, [_text(error.get("status")), _text(error.get("code")), *reasons]):
        failure = content_refusal(title, said)
        return ContentPolicyViolation(failure.message, param=failure.field)
    if status == 400 and ("API_KEY_INVALID" in reasons or error.get("status") == "FAILED_PRECONDITION"):
        status = 401
    elif status == 400 and "invalid interaction name" in said.lower():
        status = 404
    pause = response.headers.get("retry-after") or pause_in(error)
    return http_failures.status_error(status, title, said=speakable(said), retry_after=pause)


def error_in(response: httpx.Response) -> dict[str, Any]:
    """The error of an answer; empty where it has none."""
    try:
        tree: Any = response.json()
    except ValueError:
        return {}
    # Google's front answers with a list of one.
    if isinstance(tree, list) and tree:
        tree = tree[0]
    error = tree.get("error") if isinstance(tree, dict) else None
    return error if isinstance(error, dict) else {}


def details_of(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The typed details of an error."""
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def pause_in(error: Mapping[str, Any]) -> str | None:
    """The pause in seconds that an error asks for (`RetryInfo`), as the text of a header."""
    for detail in details_of(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            return delay.removesuffix("s")
    return None


def failure_of(error: Mapping[str, Any], title: str) -> Failure:
    """What an error inside of an answer of 200 says of a job."""
    said, code = _text(error.get("message")), error.get("code")
    words = [_text(error.get("status")), _text(code)]
    if is_refusal(said, words):
        return content_refusal(title, said)
    name = _NUMBERS.get(code, "") if isinstance(code, int) else ""
    word = next((word.upper() for word in (name, *words) if word.upper() in _MEANINGS), "")
    stage, kind, retryable = _MEANINGS.get(word, _OTHER)
    message = _SENTENCES[stage].format(title=title)
    # What fails at the provider is told in its own terms, which help nobody.
    if stage is FailureStage.INPUT and speakable(said):
        message = f"{message.removesuffix('.')}: {speakable(said)}"
    return Failure(stage, kind, message, retryable)


def is_cancelled(error: Mapping[str, Any]) -> bool:
    """Whether the error is that somebody stopped the job."""
    code = error.get("code")
    return isinstance(code, int) and _NUMBERS.get(code) == "CANCELLED"


def is_refusal(said: str, words: Iterable[str] = ()) -> bool:
    """Whether a sentence, or one of the words around it, refuses content."""
    return bool(_SAFETY_SENTENCE.search(said)) or any(_SAFETY_WORD.fullmatch(word) for word in words)


def content_refusal(title: str, said: str = "") -> Failure:
    """The failure for refused content: with the categories that the support codes stand for, and the input at fault
    where the sentence tells it."""
    codes = set(re.findall(r"(?<!\d)\d{8}(?!\d)", said))
    found = ", ".join(name for name, known in CATEGORIES.items() if known & codes)
    field = next((field for pattern, field in _AT_FAULT if pattern.search(said)), None)
    stage = FailureStage.OUTPUT if field is None else FailureStage.INPUT
    because = f" ({found})" if found else ""
    return Failure(stage, BLOCKED, f"{title} refuses this content{because}.", retryable=False, field=field)


def speakable(said: str) -> str:
    """The provider's sentence as it is fit for an end user; an empty text where it tells of the gateway's account."""
    return "" if _ACCOUNT.search(said) else safe_words(said)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

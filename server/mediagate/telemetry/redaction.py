"""What no line may hold, taken out of it: the second line of defence, behind never writing it down.

Secrets are known by the name that they stand under, by their shape, or because the process was given them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

HIDDEN: Final = "[redacted]"
SECRET_CHARS_MIN: Final = 8
DEPTH_MAX: Final = 6
# `key` alone would take `key_id`, which is no secret.
SECRET_NAME: Final = re.compile(
    r"(^|[_-])(authorization|cookie|credentials?|key|passw(or)?d|prompt|secrets?|signature|token)$"
    r"|^(authorization|api[_-]?key|apikey|prompt)",
    re.IGNORECASE,
)
_SHAPES: Final = (
    (re.compile(r"(?i)\b(bearer|basic|key)(\s+|%20)(?=[A-Za-z0-9._~+/=:-]{8,})[A-Za-z0-9._~+/=:-]+"), rf"\1 {HIDDEN}"),
    # OpenAI's and ours, webhooks' secrets, Google's, Amazon's, xAI's and Replicate's, JSON Web Tokens.
    (re.compile(r"\b(sk|pk|rk)-[A-Za-z0-9_-]{6,}|\bwhsec_[A-Za-z0-9+/=_-]{6,}"), HIDDEN),
    (re.compile(r"\bAIza[0-9A-Za-z_-]{20,}|\bya29\.[0-9A-Za-z._-]+|\b(AKIA|ASIA)[0-9A-Z]{12,}"), HIDDEN),
    (re.compile(r"\b(xai-|r8_|key_live_|ghp_|github_pat_)[A-Za-z0-9_-]{10,}"), HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(\.[A-Za-z0-9_-]*)?"), HIDDEN),
    # Basic auth in a URL, and its query, where signatures and tokens are.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15}://)[^\s/@'\"<>]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15}://[^\s?'\"<>]*\?)[^\s'\"<>]+"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"(?i)\b(api[_-]?key|access[_-]?token|token|secret|password|passwd|authorization|x-amz-signature|"
            r"x-goog-signature|signature|sig)([\"']?\s*[=:]\s*[\"']?)(?!\[redacted\])[^\s&,;'\"}]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
)
_known: re.Pattern[str] | None = None


def learn(secrets: Iterable[str]) -> None:
    """Take these texts out of every line, whatever their shape. What was learnt before is forgotten; what is too short
    to be told from a word is passed over."""
    global _known
    texts = sorted({text for text in secrets if len(text) >= SECRET_CHARS_MIN}, key=len, reverse=True)
    _known = re.compile("|".join(map(re.escape, texts))) if texts else None


def secrets_in(tree: Any, name: str = "") -> list[str]:
    """The texts below `tree` that stand under the name of a secret, or are a pydantic `SecretStr`."""
    if hasattr(tree, "get_secret_value"):
        return [str(tree.get_secret_value())]
    if isinstance(tree, str):
        return [tree] if name and SECRET_NAME.search(name) else []
    if isinstance(tree, Mapping):
        return [text for key, value in tree.items() for text in secrets_in(value, str(key))]
    if isinstance(tree, list | tuple):
        return [text for value in tree for text in secrets_in(value, name)]
    return []


def redacted(text: str) -> str:
    """The text without what is, or looks like, a secret."""
    if _known is not None:
        text = _known.sub(HIDDEN, text)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: the same for every value of an event, also for those inside of others."""
    for name, value in event.items():
        event[name] = _clean(name, value, 0)
    return event


def _clean(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_NAME.search(name) and value != "":
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if depth >= DEPTH_MAX:
        return HIDDEN
    if isinstance(value, Mapping):
        return {redacted(str(key)): _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, inner, depth + 1) for inner in value]
    return redacted(str(value))

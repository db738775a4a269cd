"""What Runway says when it makes no video: refusals of requests, and the failure codes of tasks.

Codes are a tree of words with dots that grows; the longest beginning that is known decides
(https://docs.dev.runwayml.com/errors/task-failures/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from mediagate.core.errors import ContentPolicyViolation
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_refusals import BLOCKED, blocked, explained, is_about_content, rejected

# Stage, code, whether a new attempt can help, and what an end user reads.
_ENDS: Final[Mapping[str, tuple[FailureStage, str, bool, str]]] = {
    "ASSET.INVALID": (FailureStage.INPUT, "invalid_input", False, "Runway cannot use the image or video it was given."),
    "INPUT_PREPROCESSING": (FailureStage.PROVIDER, "provider_failed", True, "Runway failed to prepare the inputs."),
    "INTERNAL.BAD_OUTPUT": (
        FailureStage.OUTPUT,
        "bad_output",
        True,
        "Runway made a video that it does not find good enough. Another prompt or image may help.",
    ),
    "INTERNAL": (FailureStage.PROVIDER, "provider_failed", True, "Runway failed to make the video. Try again."),
    "THIRD_PARTY.UNAVAILABLE": (
        FailureStage.PROVIDER,
        "provider_unavailable",
        True,
        "The model is too busy at Runway. Try again later, or with another model.",
    ),
}
_FIELDS: Final[Mapping[str, str]] = {
    "TEXT": "prompt",
    "IMAGE": "input_reference",
    "VIDEO": "video",
    "promptText": "prompt",
    "promptImage": "input_reference",
    "promptVideo": "video",
    "videoUri": "video",
    "ratio": "size",
    "resolution": "size",
    "duration": "seconds",
    "model": "model",
}


def failure_of(code: str, *, charged: bool) -> Failure:
    """The failure of a task with this code; an empty one is a fault of Runway's own."""
    words = code.split(".")
    if "SAFETY" in words:
        stage = FailureStage.OUTPUT if "OUTPUT" in words else FailureStage.INPUT
        # What is named behind OUTPUT is what was made.
        field = _FIELDS.get(words[-1]) if stage is FailureStage.INPUT else None
        return blocked(stage, field=field, charged=charged)
    known = [name for name in _ENDS if code == name or code.startswith(f"{name}.")]
    stage, name, retryable, message = _ENDS[max(known, key=len, default="INTERNAL")]
    return Failure(stage, name, message, retryable=retryable, charged=charged)


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means; the members at fault are in `issues`."""
    if response.status_code != 400:
        return explained(response, title)
    said, field = _issue(response)
    if is_about_content(said):
        return ContentPolicyViolation(safe_words(said), param=field, code=BLOCKED)
    return rejected(title, said, field=field)


def _issue(response: httpx.Response) -> tuple[str, str | None]:
    """The sentence about the first member at fault, and that member by our name."""
    try:
        tree: Any = response.json()
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(tree, Mapping):
        return "", None
    issues = tree.get("issues")
    issue = issues[0] if isinstance(issues, list) and issues and isinstance(issues[0], Mapping) else {}
    path = issue.get("path")
    member = str(path[0]) if isinstance(path, list) and path else ""
    said = issue.get("message") or _sentence(tree.get("error"))
    return f"{member}: {said}" if member and said else str(said), _FIELDS.get(member)


def _sentence(error: Any) -> str:
    text = error.get("message") if isinstance(error, Mapping) else error
    return text if isinstance(text, str) else ""

"""Comments of the protos as the words of a REST document."""

from __future__ import annotations

import re

# What a gRPC code is over HTTP, where the comment does not say it itself.
STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "OUT_OF_RANGE": 416,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
_CODES = "|".join(STATUSES)
_WITH_STATUS = re.compile(rf"\b(?:{_CODES}) \((HTTP \d+[^)]*)\)|\b(?:{_CODES}): (HTTP \d+)")
_ALONE = re.compile(rf"\b({_CODES})\b")
_TICKED = r"`[^`]+`(?: \([^)]*\))?"
_WORDS = re.compile(rf"(?:One of )?({_TICKED}(?:(?:, | or ){_TICKED})+)(?:[.;]| by | \(|$)")
_ALWAYS = re.compile(r"Always `([^`]+)`\.")
_SUCH_AS = re.compile(r"(?:such as|Such as) `([^`…]+)`")
_SENTENCE = re.compile(r"(.+?[.:])(?:\s|$)", re.DOTALL)


def restful(comment: str) -> str:
    """The comment as Markdown, with HTTP's words for gRPC's, and one line for each paragraph."""
    text = _WITH_STATUS.sub(lambda found: found[1] or found[2], comment)
    text = _ALONE.sub(lambda found: f"HTTP {STATUSES[found[1]]}", text)
    text = text.replace("the metadata `", "the header `")
    paragraphs = [re.sub(r"\n(?![|\-])", " ", paragraph) for paragraph in text.split("\n\n")]
    return "\n\n".join(paragraphs)


def headline(text: str) -> tuple[str, str]:
    """The first sentence without its end, as plain text, and what stands behind it."""
    found = _SENTENCE.match(text)
    first = found[1] if found else text
    return first.rstrip(".:").replace("`", ""), text[len(first) :].strip()


def always(comment: str) -> str | None:
    """The one value that a field has."""
    found = _ALWAYS.match(comment)
    return found[1] if found else None


def words(comment: str) -> list[str] | None:
    """The values that a field may have, where its comment begins with all of them."""
    found = _WORDS.match(comment.replace("\n", " "))
    if found is None or " may come" in comment:
        return None
    return re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", found[1]))


def example(comment: str) -> str | None:
    """What the comment gives as an example; None where it is cut."""
    found = _SUCH_AS.search(comment.replace("\n", " "))
    return found[1] if found else None

"""What guardrails are asked and what they say, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """What is looked at."""

    PROMPT = "prompt"
    IMAGE = "image"
    THUMBNAIL = "thumbnail"
    TEXT_FILE = "text_file"
    ANSWER = "answer"


class Streams(StrEnum):
    """What becomes of an answer that is streamed while a guardrail looks at answers."""

    WINDOW = "window"
    """It goes out in pieces, each once it is judged together with what came before it."""
    BUFFER = "buffer"
    """Nothing goes out before all of it is judged."""
    PASS = "pass"  # noqa: S105 (a policy)
    """It is not judged."""


IMAGE_BYTES_MAX: Final = 3 << 20
"""A picture that is larger is made smaller before anybody is asked: servers of gRPC take messages of 4 MiB."""
IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "image/gif")
"""What is passed on as it is; other pictures are made into one of these."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what a question is about. What is not known is empty; `object_id` is a video, a file or a chat."""

    stage: Stage
    model: str = ""
    key_id: str = ""
    user_id: str = ""
    team_id: str = ""
    end_user: str = ""
    object_id: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be judged: at most `IMAGE_BYTES_MAX`, of one of `IMAGE_TYPES`."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guardrail says. `reason` is a sentence for the caller, `category` a word or two for caller and log,
    `findings` are for the log alone; none of them repeats the content."""

    blocked: bool
    category: str = ""
    reason: str = ""
    findings: tuple[str, ...] = ()


ALLOWED: Final = Verdict(False)


class CannotJudge(Exception):
    """This content is nothing that the guardrail can judge, now or later."""


class NoAnswer(Exception):
    """A guardrail could not be asked, or did not answer. `kind` is a word for the log."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

"""What became of each question to a guardrail: every one passes here once, and is logged without the content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from mediagate.core.guardrails import Subject
from mediagate.core.limits import echo
from mediagate.telemetry.metrics import guardrail_checked

log = structlog.get_logger(__name__)
FINDINGS_MAX = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """One guardrail's say. `blocked` and `allowed` are verdicts; `unjudged` is content that it cannot judge, `failed`
    a question without an answer. `passes` is what follows from it and the guardrail's rules; `cause` is for the log."""

    guardrail: str
    subject: Subject
    said: Literal["allowed", "blocked", "unjudged", "failed"]
    passes: bool
    duration_s: float
    category: str = ""
    reason: str = ""
    findings: tuple[str, ...] = ()
    cause: str = ""


class Outcomes:
    """Takes note of outcomes."""

    def note(self, outcome: Outcome) -> None:
        """Count it and log it. What is let through after a verdict is the common case, and logged at level debug."""
        guardrail_checked(outcome.guardrail, "failed" if outcome.said == "unjudged" else outcome.said)
        subject = outcome.subject
        write = log.debug if outcome.said == "allowed" else log.info if outcome.said == "blocked" else log.warning
        write(
            "guardrail_checked",
            guardrail=outcome.guardrail,
            stage=subject.stage.value,
            verdict=outcome.said,
            passes=outcome.passes,
            category=echo(outcome.category),
            findings=[echo(finding) for finding in outcome.findings[:FINDINGS_MAX]],
            cause=outcome.cause,
            model=subject.model,
            key_id=subject.key_id,
            object_id=subject.object_id,
            duration_ms=round(outcome.duration_s * 1000, 1),
        )

"""Ask the guardrails of a chain, all at the same time, and say what follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from mediagate.core.errors import ContentPolicyViolation, MediagateError, Unavailable
from mediagate.core.guardrails import CannotJudge, NoAnswer, Stage, Subject, Verdict
from mediagate.core.limits import echo
from mediagate.guardrails.outcomes import Outcome, Outcomes
from mediagate.guardrails.rules import Rule

RETRY_AFTER_S = 5
REASON_CHARS_MAX = 300
_NAMES = {
    Stage.PROMPT: "prompt",
    Stage.IMAGE: "picture",
    Stage.THUMBNAIL: "video",
    Stage.TEXT_FILE: "file",
    Stage.ANSWER: "answer",
}


async def ask_one(rule: Rule, subject: Subject, question: Callable[[], Awaitable[Verdict]]) -> Outcome:
    """What one guardrail says, within its time. Never raises but for a cancellation."""
    began = time.monotonic()
    said: Literal["allowed", "blocked", "unjudged", "failed"]
    verdict, cause = Verdict(True), ""
    try:
        async with asyncio.timeout(rule.timeout_s):
            verdict = await question()
        said = "blocked" if verdict.blocked else "allowed"
    except CannotJudge as error:
        said, cause = "unjudged", str(error)
    except NoAnswer as error:
        said, cause = "failed", error.kind
    except TimeoutError:
        said, cause = "failed", "timeout"
    except Exception as error:
        # One that stumbles has not judged either. Its traceback may hold the content.
        said, cause = "failed", type(error).__name__
    passes = not verdict.blocked if said in ("allowed", "blocked") else not rule.blocks_unjudged
    return Outcome(
        rule.name,
        subject,
        said,
        passes,
        time.monotonic() - began,
        category=verdict.category,
        reason=verdict.reason,
        findings=verdict.findings,
        cause=cause,
    )


async def ask_all(
    rules: Sequence[Rule], subject: Subject, question: Callable[[Rule], Awaitable[Verdict]], outcomes: Outcomes
) -> Outcome | None:
    """The outcome that does not let the content pass; None where all do."""

    async def ask(rule: Rule) -> Outcome:
        return await ask_one(rule, subject, lambda: question(rule))

    found = await asyncio.gather(*map(ask, rules))
    for outcome in found:
        outcomes.note(outcome)
    return first_block(found)


def first_block(found: Sequence[Outcome]) -> Outcome | None:
    """Which outcome counts: the first in the order of the configuration. A verdict goes before a missing one, which
    the caller would only come back for."""
    stops = [outcome for outcome in found if not outcome.passes]
    ranks = {"blocked": 0, "unjudged": 1, "failed": 2}
    return min(stops, key=lambda outcome: ranks[outcome.said], default=None)


def refusal(outcome: Outcome, param: str | None) -> MediagateError:
    """What a caller is told."""
    if outcome.said == "failed":
        return Unavailable(
            f"The guardrail '{outcome.guardrail}' could not be asked, and nothing is taken without it. Try again.",
            param=param,
            code="guardrail_unavailable",
            retry_after_s=RETRY_AFTER_S,
            guardrail=outcome.guardrail,
        )
    metadata: dict[str, Any] = {"guardrail": outcome.guardrail}
    if outcome.category:
        metadata["category"] = outcome.category
    return ContentPolicyViolation(told(outcome), param=param, **metadata)


def told(outcome: Outcome) -> str:
    """The sentence for whoever sent the content."""
    what = _NAMES[outcome.subject.stage]
    if outcome.said == "unjudged":
        return (
            f"The guardrail '{outcome.guardrail}' cannot judge this {what}, and lets nothing pass that it cannot judge."
        )
    about = f" ({echo(outcome.category)})" if outcome.category else ""
    because = f": {echo(outcome.reason, chars_max=REASON_CHARS_MAX)}" if outcome.reason else "."
    return f"The guardrail '{outcome.guardrail}' does not let this {what} pass{about}{because}"

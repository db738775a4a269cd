"""Hold a text against guardrails before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagate.core.guardrails import Subject, Verdict
from mediagate.guardrails.ask import ask_all, refusal
from mediagate.guardrails.outcomes import Outcomes
from mediagate.guardrails.rules import JudgesText, Rule


@dataclass(frozen=True, slots=True)
class CheckText:
    """Asks about one text."""

    outcomes: Outcomes

    async def run(self, rules: Sequence[Rule], subject: Subject, text: str, *, param: str) -> None:
        """Raises `ContentPolicyViolation` for a text that may not pass, and `Unavailable` where that cannot be found
        out and may not be left open; `param` is the field that it came in."""

        async def question(rule: Rule) -> Verdict:
            assert isinstance(rule.judge, JudgesText)
            return await rule.judge.judge_text(subject, text)

        outcome = await ask_all(rules, subject, question, self.outcomes)
        if outcome is not None:
            raise refusal(outcome, param)

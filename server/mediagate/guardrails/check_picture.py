"""Hold a picture against guardrails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagate.core.guardrails import CannotJudge, Picture, Subject, Verdict
from mediagate.guardrails.ask import ask_all
from mediagate.guardrails.outcomes import Outcome, Outcomes
from mediagate.guardrails.rules import JudgesPictures, Rule


@dataclass(frozen=True, slots=True)
class CheckPicture:
    """Asks about one picture."""

    outcomes: Outcomes

    async def run(self, rules: Sequence[Rule], subject: Subject, picture: Picture | None) -> Outcome | None:
        """The outcome that does not let it pass; None where all do. `picture` is None for one that cannot be read as a
        picture, which no guardrail can judge."""

        async def question(rule: Rule) -> Verdict:
            if picture is None:
                raise CannotJudge("no_picture")
            assert isinstance(rule.judge, JudgesPictures)
            return await rule.judge.judge_picture(subject, picture)

        return await ask_all(rules, subject, question, self.outcomes)

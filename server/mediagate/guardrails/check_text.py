"""Hold a text against guardrails before anything is made of it.

Who does not judge texts of any length is asked about pieces that overlap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mediagate.core.guardrails import ALLOWED, Subject, Verdict
from mediagate.guardrails.ask import ask_all, refusal
from mediagate.guardrails.outcomes import Outcomes
from mediagate.guardrails.rules import JudgesText, Rule, ScansText

PIECE_CHARS: Final = 16_000
OVERLAP_CHARS: Final = 256
PIECES_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class CheckText:
    """Asks about one text."""

    outcomes: Outcomes

    async def run(self, rules: Sequence[Rule], subject: Subject, text: str, *, param: str | None) -> None:
        """Raises `ContentPolicyViolation` for a text that may not pass, and `Unavailable` where that cannot be found
        out and may not be left open; `param` is the field that it came in, None for an
        answer."""

        async def question(rule: Rule) -> Verdict:
            assert isinstance(rule.judge, JudgesText)
            if len(text) <= PIECE_CHARS or isinstance(rule.judge, ScansText):
                return await rule.judge.judge_text(subject, text)
            return await _of_pieces(rule.judge, subject, text)

        outcome = await ask_all(rules, subject, question, self.outcomes)
        if outcome is not None:
            raise refusal(outcome, param)


async def _of_pieces(judge: JudgesText, subject: Subject, text: str) -> Verdict:
    """The first verdict that blocks, in the order of the text. Raises what the judge raises."""
    step = PIECE_CHARS - OVERLAP_CHARS
    pieces = [text[at : at + PIECE_CHARS] for at in range(0, max(1, len(text) - OVERLAP_CHARS), step)]
    for first in range(0, len(pieces), PIECES_AT_ONCE):
        asked = (judge.judge_text(subject, piece) for piece in pieces[first : first + PIECES_AT_ONCE])
        verdicts = await asyncio.gather(*asked)
        blocked = next((one for one in verdicts if one.blocked), None)
        if blocked is not None:
            return blocked
    return ALLOWED

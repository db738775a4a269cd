"""How Claude is told to think, for OpenAI's word of an effort, wherever Claude is served."""

from __future__ import annotations

import re
from typing import Any, Final

from mediagate.core.errors import InvalidField
from mediagate.providers.chat_failures import no_setting

BUDGET_MIN: Final = 1024
EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
NONE: Final = "none"
# The models before Claude 4.6, which are told how many tokens to think instead.
_BUDGETED: Final = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4(?!-[6-9](?:\D|$)|-\d{2}(?:\D|$)))")
_BUDGETS: Final = {"low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 32_768}


def require_effort(effort: str) -> None:
    """Raises `InvalidField` for a word that is none."""
    if effort != NONE and effort not in EFFORTS:
        raise InvalidField(
            f"'reasoning_effort' must be one of {', '.join([NONE, *EFFORTS])}.",
            param="reasoning_effort",
            code="invalid_value",
        )


def thinking_of(model: str, effort: str, max_tokens: int | None, title: str) -> tuple[dict[str, Any], str | None]:
    """Claude's `thinking`, and its word of the effort, None for models that have none. Raises `InvalidField` for a word
    that is none, and where `max_tokens` leaves nothing to think with."""
    require_effort(effort)
    if effort == NONE:
        return {"type": "disabled"}, None
    if not _BUDGETED.search(model):
        return {"type": "adaptive"}, EFFORTS[effort]
    budget = _BUDGETS[EFFORTS[effort]]
    if max_tokens is not None:
        # What is thought counts among them, and some must be left for the answer.
        budget = min(budget, max_tokens * 3 // 4)
    if budget < BUDGET_MIN:
        raise no_setting(
            title,
            "reasoning_effort",
            f"This model thinks with {BUDGET_MIN} tokens at least, and 'max_completion_tokens' of {max_tokens} leaves "
            "none for that.",
        )
    return {"type": "enabled", "budget_tokens": budget}, None

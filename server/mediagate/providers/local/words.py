"""Magic words: parts of a prompt that make the `local` provider behave like a provider on a bad day.

Write them anywhere in the prompt, in any letter case. They are taken out before the prompt is drawn. Combined,
`[mediagate:slow=3] [mediagate:reject]` for instance is rejected half-way, about 1.5 seconds after it began.

word                          what happens
----------------------------  ------------------------------------------------------------------------------------------
[mediagate:refuse-input]      The submit is refused: stage input, field prompt, code content_policy_violation.
[mediagate:reject]            Rendered half, then failed: stage output, code content_policy_violation.
[mediagate:slow=SECONDS]      The render takes at least SECONDS (20 without a value), its progress moving evenly.
[mediagate:stuck]             Rendering at 42 percent for ever. Takes no render slot; can be cancelled.
[mediagate:late=SECONDS]      For SECONDS after the submit (10 without a value) no poll and no cancel gets an answer,
                              while the render goes on; then the job reads as if nothing had been.
[mediagate:lost]              No poll and no cancel ever gets an answer, and nothing is rendered. It can be deleted.
[mediagate:crash]             The renderer dies half-way at every attempt; after three: stage provider, code
                              render_failed, a retry can help.

SECONDS is a decimal number from 0 to 3600. Any other word after `mediagate:` and any other value refuses the submit:
stage input, field prompt, code unknown_magic_word. So a spelling mistake in a test cannot pass for a happy path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

SECONDS_MAX: Final = 3600.0
FLAGS: Final = ("refuse-input", "reject", "stuck", "lost", "crash")
TIMED: Final = {"slow": 20.0, "late": 10.0}

_WORD: Final = re.compile(r"\[mediagate:([^\]]*)\]", re.IGNORECASE)
_SECONDS: Final = re.compile(r"\d{1,4}(\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Words:
    """What the magic words of one prompt ask for. The two times are in seconds, 0 where the word is absent."""

    refuse_input: bool = False
    reject: bool = False
    stuck: bool = False
    lost: bool = False
    crash: bool = False
    slow: float = 0.0
    late: float = 0.0

    @property
    def renders(self) -> bool:
        """Whether such a job ever gets a renderer."""
        return not (self.stuck or self.lost)


class UnknownWord(ValueError):
    """A `[mediagate:...]` that means nothing. Its text is written for the author of the prompt."""

    def __init__(self, word: str) -> None:
        known = ", ".join([*FLAGS, *(f"{name}=SECONDS" for name in TIMED)])
        super().__init__(
            f"'[mediagate:{word[:40]}]' is not a magic word of the local video provider. Known: {known}; "
            f"SECONDS is a number from 0 to {SECONDS_MAX:.0f}."
        )


def parse(prompt: str) -> tuple[Words, str]:
    """Return what the words in `prompt` ask for and the prompt without them. Raises `UnknownWord`."""
    wanted: dict[str, Any] = dict(_meaning(match[1]) for match in _WORD.finditer(prompt))
    return Words(**wanted), _WORD.sub(" ", prompt)


def _meaning(word: str) -> tuple[str, bool | float]:
    """Return the field of `Words` that a word sets, and to what."""
    name, equals, value = word.strip().lower().partition("=")
    if name in FLAGS and not equals:
        return name.replace("-", "_"), True
    if name in TIMED and not equals:
        return name, TIMED[name]
    if name in TIMED and _SECONDS.fullmatch(value) and float(value) <= SECONDS_MAX:
        return name, float(value)
    raise UnknownWord(word)

"""The rates of one chat model, in the keys that price lists of model gateways use, in US dollars a token.

input_cost_per_token               one token of the request
cache_read_input_token_cost        one that the provider still knew
cache_creation_input_token_cost    one that the provider was told to remember
input_cost_per_audio_token         one of sound in the request
output_cost_per_token              one token of the answer
output_cost_per_reasoning_token    one of the thoughts before it
output_cost_per_audio_token        one of sound in the answer
..._above_200k_tokens              behind each of these: all tokens of a request with more than 200,000 tokens
..._batches, _flex, _priority      behind each of these: the same at another grade of service
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

INPUT: Final = "input_cost_per_token"
CACHED: Final = "cache_read_input_token_cost"
CACHE_WRITE: Final = "cache_creation_input_token_cost"
AUDIO_IN: Final = "input_cost_per_audio_token"
OUTPUT: Final = "output_cost_per_token"
REASONING: Final = "output_cost_per_reasoning_token"
AUDIO_OUT: Final = "output_cost_per_audio_token"
KINDS: Final = (INPUT, CACHED, CACHE_WRITE, AUDIO_IN, OUTPUT, REASONING, AUDIO_OUT)
"""The kinds of tokens, in the order of the columns of the price list."""
_LIKE: Final = {CACHED: INPUT, CACHE_WRITE: INPUT, AUDIO_IN: INPUT, REASONING: OUTPUT, AUDIO_OUT: OUTPUT}
STANDARD: Final = ""
BATCHES: Final = "batches"
GRADES: Final = (STANDARD, BATCHES, "flex", "priority", "ultrafast", "decisions")
"""Grades of service, as OpenAI's `service_tier` names them; batches are one of them here."""
MILLION: Final = Decimal(1_000_000)
USD_PER_TOKEN_MAX: Final = 1
"""No token costs more; what is above is a slip of the pen."""
# Every provider of batches asks half of its normal price for them.
_HALF: Final = Decimal("0.5")
_KEY: Final = re.compile(rf"({'|'.join(KINDS)})(?:_above_(\d{{1,6}})k_tokens)?(?:_({'|'.join(GRADES[1:])}))?")

Level: TypeAlias = tuple[str, int]
"""A grade of service, and the number of tokens in a request above which its rates hold; 0 for all."""
Rates: TypeAlias = Mapping[Level, Mapping[str, Decimal]]
"""By level and kind, US dollars for a million tokens."""


@dataclass(frozen=True, slots=True)
class TokenRates:
    """What the tokens of one model cost. `above` is where the dearer rates for long requests begin; 0 where there are
    none."""

    levels: Rates
    above: int = 0

    def over(self, others: TokenRates | None) -> TokenRates:
        """These rates, with the others' in a direction of which these say nothing: only who sets both sets what a call
        costs."""
        given = self.levels.get((STANDARD, 0), {})
        if others is None or (INPUT in given and OUTPUT in given):
            return self
        missing = (OUTPUT, REASONING, AUDIO_OUT) if INPUT in given else (INPUT, CACHED, CACHE_WRITE, AUDIO_IN)
        levels = {level: dict(rates) for level, rates in self.levels.items()}
        for level, rates in others.levels.items():
            kept = {kind: rate for kind, rate in rates.items() if kind in missing}
            if kept:
                levels[level] = {**kept, **levels.get(level, {})}
        return TokenRates(levels, self.above or others.above)

    def rate(self, kind: str, input_tokens: int, grade: str = STANDARD) -> Decimal:
        """A million tokens of one kind, in a request of so many tokens. Where the list does not tell a kind from the
        plain one, both cost the same; where it does not tell batches from the rest, they cost half."""
        above = self.above if self.above and input_tokens > self.above else 0
        for one in (kind, _LIKE.get(kind, kind)):
            for level, factor in _levels(grade, above):
                found = self.levels.get(level, {}).get(one)
                if found is not None:
                    return found * factor
        return Decimal(0)


def _levels(grade: str, above: int) -> Iterator[tuple[Level, Decimal]]:
    """Where to look for a rate, and what to do with it."""
    factor = _HALF if grade == BATCHES else Decimal(1)
    for over in (above, 0) if above else (0,):
        yield (grade, over), Decimal(1)
        if grade != STANDARD:
            yield (STANDARD, over), factor


def token_rates_in(entry: Mapping[str, object]) -> TokenRates | None:
    """The rates among the members of `entry`; None where there are none for the tokens of both directions. Raises
    `ValueError` with a sentence for one that is no number from 0 to `USD_PER_TOKEN_MAX`."""
    levels: dict[Level, dict[str, Decimal]] = {}
    for key, value in entry.items():
        match = _KEY.fullmatch(key)
        if match is not None and value is not None:
            kind, above, grade = match.groups()
            level = grade or STANDARD, int(above or 0) * 1000
            levels.setdefault(level, {})[kind] = _rate(key, value)
    plain = levels.get((STANDARD, 0), {})
    if INPUT not in plain and OUTPUT not in plain:
        return None
    return TokenRates(levels, above=min((over for _, over in levels if over), default=0))


def _rate(key: str, value: object) -> Decimal:
    try:
        # By its text: 0.1 is meant, not the nearest binary fraction.
        rate = Decimal(str(value)) if isinstance(value, (str, int, float, Decimal)) else Decimal("NaN")
    except InvalidOperation:
        rate = Decimal("NaN")
    if isinstance(value, bool) or not rate.is_finite() or not 0 <= rate <= USD_PER_TOKEN_MAX:
        raise ValueError(f"{key} should be a number of US dollars from 0 to {USD_PER_TOKEN_MAX}")
    return rate * MILLION

"""What the tokens of a chat model cost: by the configuration, else by the price list that comes with the package.

The list is `tokens.tsv`, which `tools/token_prices.py` writes; its first lines name its source, its licence and its
day. It is not kept in memory: a model is looked up in the file the first time that it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final

from mediagate.core.chat import Usage
from mediagate.pricing.prices import BASE_MODEL, PriceSource
from mediagate.pricing.token_rates import (
    AUDIO_IN,
    AUDIO_OUT,
    CACHE_WRITE,
    CACHED,
    INPUT,
    KINDS,
    MILLION,
    OUTPUT,
    REASONING,
    STANDARD,
    TokenRates,
    token_rates_in,
)

LIST: Final = Path(__file__).with_name("tokens.tsv")
WINDOW: Final = "max_input_tokens"
ANSWER: Final = "max_output_tokens"
TOKENS_MAX: Final = 10_000_000_000
"""More tokens than this are a slip, of a provider or of a pen."""
NAMES_MAX: Final = 1024
_NAME: Final = re.compile(r"[a-z_]{1,32}/[!-~]{1,256}")
_NANO: Final = Decimal("0.000000001")
# `us.`, `eu.`, `apac.`, `global.`: the same model, answered from anywhere in a part of the world.
_AREA: Final = re.compile(r"^[a-z]{2,6}\.(?=[a-z0-9]+\.)")


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What one model costs, and how many tokens it takes and answers at most (None: nobody says). `rates` is None where
    only that is known. `date` is the day of the price list, as `2026-11-21`."""

    rates: TokenRates | None
    source: PriceSource
    window: int | None = None
    answer_max: int | None = None
    date: str | None = None

    def of(self, usage: Usage, grade: str = STANDARD) -> Decimal:
        """What a call costs, to the billionth of a dollar. A count that makes no sense is bounded: the whole is never
        less than 0, and no token is counted twice."""
        rates = self.rates
        if rates is None:
            return Decimal(0)
        total = _count(usage.input_tokens)
        parts = ((CACHED, usage.cached_tokens), (CACHE_WRITE, usage.cache_write_tokens))
        amount = _sum(rates, total, grade, total, INPUT, (*parts, (AUDIO_IN, usage.audio_input_tokens)))
        spoken = ((REASONING, usage.reasoning_tokens), (AUDIO_OUT, usage.audio_output_tokens))
        amount += _sum(rates, total, grade, _count(usage.output_tokens), OUTPUT, spoken)
        return (amount / MILLION).quantize(_NANO, ROUND_HALF_UP)


def _sum(
    rates: TokenRates, total: int, grade: str, tokens: int, plain: str, parts: tuple[tuple[str, int], ...]
) -> Decimal:
    amount, left = Decimal(0), tokens
    for kind, given in parts:
        count = min(left, _count(given))
        left -= count
        if count:
            amount += rates.rate(kind, total, grade) * count
    return amount + rates.rate(plain, total, grade) * left


def _count(tokens: int) -> int:
    return max(0, min(tokens, TOKENS_MAX))


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """What the configuration says of one deployment."""

    rates: TokenRates | None = None
    base_model: str | None = None
    window: int | None = None
    answer_max: int | None = None


class TokenPrices:
    """Finds prices. `own` holds what the configuration says, by the id of the deployment."""

    def __init__(self, own: Mapping[str, OwnTokens]) -> None:
        self._own = own

    def of(self, deployment_id: str, provider: str, provider_model: str) -> TokenPrice | None:
        """The price of a model; None where nobody says anything about it."""
        own = self._own.get(deployment_id) or OwnTokens()
        listed = None
        for name in _names(provider, own.base_model or provider_model):
            listed = shipped(name)
            if listed is not None:
                break
        if own.rates is None and listed is None and own.window is None and own.answer_max is None:
            return None
        found = listed or TokenPrice(None, PriceSource.CONFIG)
        return TokenPrice(
            own.rates.over(found.rates) if own.rates else found.rates,
            PriceSource.CONFIG if own.rates else found.source,
            own.window or found.window,
            own.answer_max or found.answer_max,
            None if own.rates else found.date,
        )


def own_tokens(model_info: Mapping[str, object]) -> OwnTokens | None:
    """What the `model_info` of a deployment says of its tokens; None where it says nothing. Raises `ValueError` with a
    sentence."""
    base = model_info.get(BASE_MODEL)
    found = OwnTokens(
        token_rates_in(model_info),
        base if isinstance(base, str) and base else None,
        _size(model_info, WINDOW),
        _size(model_info, ANSWER),
    )
    return None if found == OwnTokens() else found


def _size(model_info: Mapping[str, object], key: str) -> int | None:
    value = model_info.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= TOKENS_MAX:
        raise ValueError(f"{key} should be a number of tokens from 1 to {TOKENS_MAX}")
    return value


def _names(provider: str, model: str) -> Iterator[str]:
    """Under which names a model may be listed: `base_model` has its provider in front of it, or has not."""
    name = model if model.startswith(f"{provider}/") else f"{provider}/{model}"
    yield name
    if name != model and "/" in model:
        yield model
    if provider == "bedrock":
        yield f"bedrock/{_AREA.sub('', model.removeprefix('bedrock/').removeprefix('converse/'))}"
    if provider == "vertex_ai":
        yield name.partition("@")[0]
        yield f"vertex_ai/{model.rpartition('/')[2].partition('@')[0]}"


@lru_cache(maxsize=NAMES_MAX)
def shipped(name: str) -> TokenPrice | None:
    """What the list says of `provider/model`."""
    if not _NAME.fullmatch(name):
        return None
    data = LIST.read_bytes()
    for end in (b"\t", b"\n"):
        start = data.find(b"\n%b%b" % (name.encode(), end))
        if start >= 0:
            return _read(data, start + 1)
    return None


def _read(data: bytes, start: int) -> TokenPrice:
    end = data.find(b"\n", start)
    while data[end + 1 : end + 2] == b"\t":
        end = data.find(b"\n", end + 1)
    head, *rows = data[start:end].decode().split("\n")
    window, answer = (*head.split("\t")[1:], "", "")[:2]
    levels = {}
    for row in rows:
        _, grade, above, *numbers = row.split("\t")
        rates = zip(KINDS, numbers, strict=False)
        levels[grade, int(above or 0)] = {kind: Decimal(number) for kind, number in rates if number}
    dearer = min((over for _, over in levels if over), default=0)
    return TokenPrice(
        TokenRates(levels, dearer), PriceSource.TABLE, int(window or 0) or None, int(answer or 0) or None, list_date()
    )


@lru_cache(maxsize=1)
def list_date() -> str:
    """The day of the list, as `2026-11-22`."""
    with LIST.open() as lines:
        return next(line.split("\t")[1].strip() for line in lines if line.startswith("# date\t"))

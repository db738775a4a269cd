"""The money of a chat: the most that it can cost before it is sent, and what it came to. Amounts are US dollars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from mediagate.chat.bounds import Bounds
from mediagate.core.chat import Usage
from mediagate.core.spend import USD_MAX, amount
from mediagate.pricing.prices import PriceSource
from mediagate.pricing.token_prices import TokenPrice, TokenPrices
from mediagate.pricing.token_rates import BATCHES, GRADES, STANDARD
from mediagate.routing.catalog import Deployment

TOKENS: Final = "usage"
FIGURE: Final = "provider_figure"
DELIVERED: Final = "delivered"
UNPRICED: Final = "price_unknown"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a chat came to. `usd` is None where nobody knows a price. `reason` says how it was found; `is_counted`
    whether the provider has counted the tokens."""

    usage: Usage
    usd: Decimal | None
    reason: str
    source: PriceSource | None
    is_counted: bool = True

    def headers(self) -> tuple[tuple[str, str], ...]:
        """For an answer whose end is known before its headers go: the cost by our name and by the peer's, and the
        tokens."""
        found = [
            ("x-mediagate-input-tokens", str(self.usage.input_tokens)),
            ("x-mediagate-output-tokens", str(self.usage.output_tokens)),
        ]
        if self.usd is not None:
            shown = plain(self.usd)
            found += [("x-mediagate-cost-usd", shown), ("x-litellm-response-cost", shown)]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class TokenCosts:
    """Estimates and settles. `assumed_answer` is how long an answer is taken to be whose caller names no most; None for
    the model's longest."""

    prices: TokenPrices
    assumed_answer: int | None = None

    def price(self, deployment: Deployment) -> TokenPrice | None:
        """Of a deployment's model; None where nobody says anything about it."""
        return self.prices.of(deployment.id, deployment.provider, deployment.provider_model)

    def most(self, price: TokenPrice | None, bounds: Bounds, grade: str | None = None) -> Decimal | None:
        """What a call costs at most; None where nobody knows a price."""
        if price is None or price.rates is None:
            return None
        grade = bounds.grade if grade is None else grade
        usage = bounds.most(price, self.assumed_answer)
        # A provider may write all of it into its cache, which some charge more for.
        written = replace(usage, cache_write_tokens=usage.input_tokens - usage.audio_input_tokens)
        return amount(min(Decimal(USD_MAX), max(price.of(usage, grade), price.of(written, grade))))

    def of(
        self, price: TokenPrice | None, usage: Usage, cost_usd: float | None = None, grade: str = STANDARD
    ) -> tuple[Decimal | None, str, PriceSource | None]:
        """What so many tokens cost: the provider's own figure where it says one, else by the price."""
        if cost_usd is not None and math.isfinite(cost_usd) and 0 <= cost_usd <= USD_MAX:
            return amount(cost_usd), FIGURE, PriceSource.PROVIDER
        if price is None or price.rates is None:
            return None, UNPRICED, None
        return amount(min(Decimal(USD_MAX), price.of(usage, grade))), TOKENS, price.source

    def of_batch(self, price: TokenPrice | None, usage: Usage) -> Decimal | None:
        """What one line of a batch costs; None where nobody knows a price."""
        return self.of(price, usage, grade=BATCHES)[0]


def grade_of(answer: Mapping[str, Any]) -> str | None:
    """The grade of service that an answer names; None where it names none that is priced by itself."""
    tier = answer.get("service_tier")
    if not isinstance(tier, str):
        return None
    return tier if tier in GRADES[2:] else STANDARD


def plain(usd: Decimal) -> str:
    """An amount without an exponent, `0.00125`."""
    text = f"{usd:.9f}".rstrip("0").rstrip(".")
    return text or "0"

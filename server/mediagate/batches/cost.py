"""The money of a batch: held before it is submitted, by the most that its lines can come to; settled once with its end,
by what its answers have used. Amounts are US dollars, by the prices of batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from mediagate.chat.bounds import CHOICES_MAX, LENGTHS, UNKNOWN_ANSWER, UNKNOWN_WINDOW, MediaSize, media_tokens
from mediagate.chat.cost import TokenCosts
from mediagate.core.batches import Batch
from mediagate.core.chat import Dialect, Usage
from mediagate.core.spend import USD_MAX, ZERO, Charge, amount
from mediagate.pricing.token_prices import TokenPrice
from mediagate.pricing.token_rates import BATCHES, STANDARD
from mediagate.providers.registry import batch_spec
from mediagate.spend.limits import BudgetRules
from mediagate.spend.reserve import ReserveSpend
from mediagate.store.database import Transaction
from mediagate.store.ledger import LedgerRepository

PRICE_KEYS: Final = "'input_cost_per_token' and 'output_cost_per_token'"
# Below every length from which on a provider asks more for a token.
_SUM_TOKENS: Final = 100_000


@dataclass(slots=True)
class Bounds:
    """What the lines of a file can come to. A token is never less than a byte; files count as in chats, and no line
    for more than the model's `window`. `unbounded` are the answers that may be of any length."""

    window: int | None = None
    lines: int = 0
    input_tokens: int = 0
    answer_tokens: int = 0
    unbounded: int = 0

    def add(
        self, line_bytes: int, body: Mapping[str, Any], dialect: Dialect | None, media: Iterable[MediaSize]
    ) -> None:
        """Count one line; `media` are the files that it mentions."""
        self.lines += 1
        tokens = line_bytes
        for one in media:
            most, _ = media_tokens(one)
            tokens += (self.window or UNKNOWN_WINDOW) if most is None else most
        self.input_tokens += tokens if self.window is None else min(tokens, self.window)
        asked = body.get("n")
        choices = min(asked, CHOICES_MAX) if type(asked) is int and asked > 0 else 1
        for name in () if dialect is None else LENGTHS[dialect]:
            most = body.get(name)
            if type(most) is int and most > 0:
                self.answer_tokens += most * choices
                return
        self.unbounded += choices


@dataclass(frozen=True, slots=True)
class Bill:
    """What a batch came to. None where nobody has a price."""

    usd: float | None = None
    source: str | None = None
    reason: str = ""


@dataclass(slots=True)
class Meter:
    """Adds up what lines have used, and what that costs."""

    costs: TokenCosts
    price: TokenPrice | None
    grade: str
    usd: Decimal = ZERO
    _waiting: Usage = field(default_factory=Usage)

    def add(self, input_tokens: int, cached: int, output_tokens: int, reasoning: int) -> None:
        """Count one answer."""
        if self.price is None:
            return
        waiting = self._waiting
        if waiting.input_tokens + input_tokens > _SUM_TOKENS:
            self._flush()
            waiting = self._waiting
        self._waiting = Usage(
            input_tokens=waiting.input_tokens + input_tokens,
            output_tokens=waiting.output_tokens + output_tokens,
            cached_tokens=waiting.cached_tokens + cached,
            reasoning_tokens=waiting.reasoning_tokens + reasoning,
        )

    def _flush(self) -> None:
        usd, _, _ = self.costs.of(self.price, self._waiting, grade=self.grade)
        self.usd += usd or ZERO
        self._waiting = Usage()

    def bill(self) -> Bill:
        """What it came to."""
        if self.price is None or self.price.rates is None:
            return Bill()
        self._flush()
        return Bill(float(amount(min(self.usd, Decimal(USD_MAX)))), self.price.source.value, "usage")


@dataclass(frozen=True, slots=True)
class BatchCosts:
    """Estimates, reserves and settles."""

    tokens: TokenCosts
    rules: BudgetRules = field(default_factory=BudgetRules)

    def meter(self, batch: Batch) -> Meter:
        """For the answers of a batch."""
        return Meter(self.tokens, self._price(batch), _grade(batch))

    def window(self, batch: Batch) -> int | None:
        """How many tokens the model reads at most; None where nobody says that."""
        price = self._price(batch)
        return None if price is None else price.window

    def most(self, batch: Batch, bounds: Bounds) -> Decimal | None:
        """What the lines come to at most; None where nobody knows a price."""
        price = self._price(batch)
        if price is None or price.rates is None or not bounds.lines:
            return None
        longest = self.tokens.assumed_answer or price.answer_max or UNKNOWN_ANSWER
        answers = 0 if batch.endpoint.endswith("/embeddings") else bounds.answer_tokens + bounds.unbounded * longest
        # By the line, because a provider asks more for a token of a long request.
        one = Usage(input_tokens=-(-bounds.input_tokens // bounds.lines), output_tokens=-(-answers // bounds.lines))
        usd = self.tokens.of(price, one, grade=_grade(batch))[0] or ZERO
        return amount(min(usd * bounds.lines, Decimal(USD_MAX)))

    async def reserve(self, tx: Transaction, batch: Batch, usd: Decimal | None) -> None:
        """Hold it, under the budgets that the batch's key, user and team have by now. Call it last in a transaction.
        Raises as `ReserveSpend.run` does."""
        charge = Charge(
            ref=batch.id,
            owner_id=batch.owner_id,
            model=batch.model or "",
            deployment=batch.deployment or "",
            provider=batch.provider or "",
            account=batch.account or "",
            usd=usd,
            key_id=batch.key_id,
            user_id=batch.user_id,
            team_id=batch.team_id,
            end_user=batch.end_user,
        )
        scopes = await LedgerRepository(tx.connection).scopes(charge)
        await ReserveSpend(self.rules, price_keys=PRICE_KEYS).run(tx, charge, scopes)

    def _price(self, batch: Batch) -> TokenPrice | None:
        if batch.deployment is None or batch.provider is None or batch.provider_model is None:
            return None
        return self.tokens.prices.of(batch.deployment, batch.provider, batch.provider_model)


def _grade(batch: Batch) -> str:
    try:
        return BATCHES if batch_spec(batch.provider or "").price_factor < 1 else STANDARD
    except KeyError:
        return BATCHES

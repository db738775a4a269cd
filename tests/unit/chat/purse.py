"""Chats of one made-up key, its user and its team, and the audit that every test of their money ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from mediagate.chat.bounds import Bounds
from mediagate.chat.cost import TokenCosts
from mediagate.chat.money import PRICE_KEYS, Bill, Chat, ChatMoney, TakesTokens
from mediagate.chat.spend_writer import SpendWriter
from mediagate.core.access import Policy
from mediagate.core.objects import Principal
from mediagate.core.spend import Limit
from mediagate.pricing.token_prices import TokenPrices, own_tokens
from mediagate.routing.catalog import Deployment
from mediagate.spend.record import RecordSpend
from mediagate.spend.reserve import ReserveSpend
from mediagate.spend.till import Till
from mediagate.store.database import Database
from tests.unit.spend.books import Books, unique

ROUND = {
    "input_cost_per_token": 0.001,
    "output_cost_per_token": 0.01,
    "max_input_tokens": 1000,
    "max_output_tokens": 100,
}
"""A chat of 100 tokens and 10 of answer costs 0.2 dollars."""
BOUNDS = Bounds(input_tokens=100, guess=50, answer_tokens=50)
"""Of a chat that costs 0.6 dollars at most."""


@dataclass
class Purse(Books):
    """The same people as of videos."""

    info: Mapping[str, Any] = field(default_factory=lambda: ROUND)
    assumed: int | None = None

    def __post_init__(self) -> None:
        own = own_tokens(self.info)
        cheap = own_tokens({"input_cost_per_token": 0.0001, "output_cost_per_token": 0.001, "max_output_tokens": 100})
        dear = own_tokens({"input_cost_per_token": 0.1, "output_cost_per_token": 1, "max_output_tokens": 100})
        free = own_tokens({"input_cost_per_token": 0, "output_cost_per_token": 0})
        said = {"d": own, "cheap": cheap, "dear": dear, "free": free}
        prices = TokenPrices({name: found for name, found in said.items() if found is not None})
        till = Till(self.db, ReserveSpend(self.rules, price_keys=PRICE_KEYS))
        self.writer = SpendWriter(self.db, RecordSpend(self.rules))
        self.money = ChatMoney(self.db, TokenCosts(prices, self.assumed), till, self.writer)

    @property
    def who(self) -> Principal:
        return Principal(f"team:{self.team}", key_id=self.key, user_id=self.user, team_id=self.team, scopes=self.scopes)

    def deployment(self, id_: str = "d", provider: str = "p") -> Deployment:
        return Deployment(id_, "public", provider, "no-such-model")

    async def open(
        self, bounds: Bounds = BOUNDS, limits: TakesTokens | None = None, *, id_: str = "d", provider: str = "p"
    ) -> Bill:
        chat = Chat(unique("chatcmpl"), "public", self.deployment(id_, provider), "a")
        return await self.money.open(self.who, chat, bounds, limits)

    async def row(self, ref: str) -> tuple[str, Decimal, Decimal, str] | None:
        """State, what is held, what was charged and why; None where there is nothing in the ledger."""
        await self.writer.idle()
        async with self.db.reading() as connection:
            query = text("SELECT state, held_usd, charged_usd, reason FROM spend WHERE ref = :ref")
            found = (await connection.execute(query, {"ref": ref})).first()
        return None if found is None else (found[0], found[1], found[2], found[3])


def under(db: Database, usd: float | None = None, **more: Any) -> Purse:
    """A team with a hard budget."""
    policy = Policy(max_budget_usd=usd, budget_period="30d")
    return Purse(db, {} if usd is None else {"team": policy}, **more)


def limit_of_provider(payer: Any, usd: str) -> dict[str, Limit]:
    """The budget of one provider."""
    return {payer.id: Limit(payer, Decimal(usd))}

"""The section of budgets. Those of keys, users and teams are kept with them; here are those of providers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, field_validator, model_validator

from mediagate.config_sections import Strict
from mediagate.core.errors import InvalidField
from mediagate.core.periods import parse_period
from mediagate.core.spend import BUDGET_USD_MAX


class ProviderBudget(Strict):
    """How much all callers together may spend at one provider. The members have the peer's names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    budget_limit: float = Field(
        ge=0,
        le=BUDGET_USD_MAX,
        validation_alias=AliasChoices("budget_limit", "max_budget"),
        description="US dollars that may be reserved and spent in one period.",
    )
    time_period: str | None = Field(
        default=None,
        validation_alias=AliasChoices("time_period", "budget_duration"),
        description="Period, as 30s, 15m, 1h, 1d, 1w, 30d or 1mo, in UTC. Default: the budget is never reset.",
    )
    soft_limit: float | None = Field(
        default=None,
        ge=0,
        le=BUDGET_USD_MAX,
        validation_alias=AliasChoices("soft_limit", "soft_budget"),
        description="US dollars above which the log warns, once a period.",
    )

    @field_validator("time_period")
    @classmethod
    def _period(cls, text: str | None) -> str | None:
        try:
            parse_period(text)
        except InvalidField:
            raise ValueError(f"'{text}' should be a period like 30s, 15m, 1h, 1d, 1w, 30d or 1mo") from None
        return text

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.soft_limit is not None and self.soft_limit > self.budget_limit:
            raise ValueError("soft_limit should not be above budget_limit")
        return self


class Budgets(Strict):
    """Budgets that are no key's, user's or team's own."""

    provider_budget_config: dict[str, ProviderBudget] = Field(default={}, description="Budgets of providers, by name.")
    chat_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="How long an answer of a chat is taken to be when money is held for it and the caller gives no "
        "`max_tokens`, tokens. Default: the longest answer of the model, which no call exceeds.",
    )
    unpriced: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="What becomes of a request under a hard budget whose price nobody knows: it is refused with the "
        "code price_unknown, or counts as 0.",
    )

"""Money as plain values: what is reserved and charged, and the budgets that bound it. Amounts are US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final

from mediagate.core.periods import NEVER, Period

ZERO: Final = Decimal(0)
USD_MAX: Final = 1e9
"""Above this no price and no charge is meant."""
BUDGET_USD_MAX: Final = 1e12
"""Above this no budget is meant."""
_NANO: Final = Decimal("0.000000001")


class BudgetKind(StrEnum):
    """What a budget bounds, in the order in which budgets are locked."""

    TEAM = "team"
    USER = "user"
    KEY = "key"
    PROVIDER = "provider"


class SpendState(StrEnum):
    """What became of the money of one request."""

    RESERVED = "reserved"
    CHARGED = "charged"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Payer:
    """Whom an amount counts for."""

    kind: BudgetKind
    id: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The budget of a payer. Above `soft_usd` somebody is told, above `max_usd` nothing is reserved; None is no such
    bound."""

    payer: Payer
    max_usd: Decimal | None = None
    soft_usd: Decimal | None = None
    period: Period = NEVER


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request is expected to cost, and for whom. `ref` is the id of what is made. `usd` is None where nobody
    knows a price."""

    ref: str
    owner_id: str
    model: str
    deployment: str
    provider: str
    account: str
    usd: Decimal | None
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    end_user: str | None = None

    @property
    def payers(self) -> tuple[Payer, ...]:
        """Those that it counts for whatever the configuration says, in the order in which they are locked."""
        found = ((BudgetKind.TEAM, self.team_id), (BudgetKind.USER, self.user_id), (BudgetKind.KEY, self.key_id))
        return tuple(Payer(kind, id_) for kind, id_ in found if id_ is not None)


@dataclass(frozen=True, slots=True)
class Held:
    """What is reserved for a request that is not settled."""

    charge: Charge
    usd: Decimal
    counts_for_provider: bool
    reserved_at: datetime

    @property
    def payers(self) -> tuple[Payer, ...]:
        """Those that it counts for."""
        provider = (Payer(BudgetKind.PROVIDER, self.charge.provider),) if self.counts_for_provider else ()
        return self.charge.payers + provider


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a budget is used in the window from `starts_at` to `resets_at` (None: it is never reset). What a reset
    has forgiven is taken off `spent_usd`. `soft_limit_at` is when the soft limit was first passed in this window."""

    limit: Limit
    spent_usd: Decimal
    reserved_usd: Decimal
    starts_at: datetime
    resets_at: datetime | None
    soft_limit_at: datetime | None = None

    @property
    def used_usd(self) -> Decimal:
        """What is spent and what is held."""
        return self.spent_usd + self.reserved_usd

    @property
    def remaining_usd(self) -> Decimal | None:
        """What may still be reserved, never below 0; None where there is no hard limit."""
        return None if self.limit.max_usd is None else max(ZERO, self.limit.max_usd - self.used_usd)

    @property
    def is_above_soft(self) -> bool:
        """Whether more is used than the soft limit."""
        return self.limit.soft_usd is not None and self.used_usd > self.limit.soft_usd


@dataclass(frozen=True, slots=True)
class SpendRecord:
    """The money of one request. `usd` is what it was charged, 0 until then; `held_usd` what is reserved for it now;
    `estimate_usd` what was expected, None where nobody knew a price."""

    ref: str
    owner_id: str
    key_id: str | None
    user_id: str | None
    team_id: str | None
    end_user: str | None
    model: str
    deployment: str
    provider: str
    account: str
    state: SpendState
    usd: Decimal
    held_usd: Decimal
    estimate_usd: Decimal | None
    reason: str
    reserved_at: datetime
    settled_at: datetime | None
    key_alias: str | None = None


class SpendGroup(StrEnum):
    """What spend can be added up by, as the last part of its path."""

    KEYS = "keys"
    MODELS = "models"
    USERS = "users"
    TEAMS = "teams"
    PROVIDERS = "providers"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class SpendFilter:
    """Which requests are looked at: all that have every value that is given. `since` is the first moment at which one
    was reserved, `until` the first at which it was not."""

    ref: str | None = None
    owner_id: str | None = None
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    end_user: str | None = None
    model: str | None = None
    provider: str | None = None
    state: SpendState | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SpendTotal:
    """What one key, model, user, team, provider or day came to. `id` is None for what has none, as the master key."""

    id: str | None
    usd: Decimal
    reserved_usd: Decimal
    requests: int
    alias: str | None = None


def amount(usd: float | Decimal) -> Decimal:
    """An amount to the billionth of a dollar, as the ledger keeps it. Raises `ValueError` for what is no amount from 0
    to `USD_MAX`."""
    # By its text: 0.1 is meant, not the nearest binary fraction.
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(float(usd)))
    if not exact.is_finite() or not 0 <= exact <= Decimal(USD_MAX):
        raise ValueError("an amount is a number of US dollars from 0 to 1e9")
    return exact.quantize(_NANO, ROUND_HALF_EVEN)

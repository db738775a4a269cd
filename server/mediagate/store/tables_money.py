"""The tables of money. Every amount is in US dollars, to the billionth."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, Numeric, text
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID, time_column


def _usd(*, nullable: bool = False) -> Any:
    # Of no fixed width: a sum of many amounts must never be too long for its column.
    return Field(default=None, sa_type=Numeric, nullable=nullable)


class SpendRow(SQLModel, table=True):
    """The money of one request, `ref`. It outlives what was made, and the key.

    `entries` counts its lines in the ledger; `provider_counts` tells whether the provider had a budget when it was
    reserved. `reserved_at`, by the database's clock, decides in which windows it counts.
    """

    __tablename__ = "spend"
    __table_args__ = (
        Index("spend_of_owner", "owner_id", "reserved_at", "ref"),
        Index("spend_of_key", "key_id", "reserved_at", postgresql_where=text("key_id IS NOT NULL")),
        Index("spend_of_user", "user_id", "reserved_at", postgresql_where=text("user_id IS NOT NULL")),
        Index("spend_of_team", "team_id", "reserved_at", postgresql_where=text("team_id IS NOT NULL")),
        Index("spend_of_provider", "provider", "reserved_at"),
        Index("spend_at", "reserved_at", "ref"),
        Index("spend_held", "ref", postgresql_where=text("state = 'reserved'")),
        CheckConstraint("held_usd >= 0 AND charged_usd >= 0", name="spend_not_negative"),
    )

    ref: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    end_user: str | None = None
    model: str
    deployment: str
    provider: str
    account: str
    state: str
    estimate_usd: Decimal | None = _usd(nullable=True)
    held_usd: Decimal = _usd()
    charged_usd: Decimal = _usd()
    provider_counts: bool
    reason: str
    entries: int
    reserved_at: datetime = time_column()
    settled_at: datetime | None = time_column(nullable=True)


class LedgerEntryRow(SQLModel, table=True):
    """One movement of money, never changed: by how much what is held and what is spent went up or down. Of those that
    settle a request there is one."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ledger_entry_settles", "ref", unique=True, postgresql_where=text("kind IN ('charged', 'released')")),
    )

    ref: str = Field(primary_key=True, sa_type=ID)
    seq: int = Field(primary_key=True)
    kind: str
    held_usd: Decimal = _usd()
    spent_usd: Decimal = _usd()
    reason: str
    provider: str
    time: datetime = time_column()


class BudgetScopeRow(SQLModel, table=True):
    """What somebody has spent and holds altogether. Whoever moves money for somebody locks this row first."""

    __tablename__ = "budget_scope"

    kind: str = Field(primary_key=True)
    id: str = Field(primary_key=True, sa_type=ID)
    spent_usd: Decimal = _usd()
    reserved_usd: Decimal = _usd()


class BudgetWindowRow(SQLModel, table=True):
    """The same of what was reserved from `starts_at` on and before `ends_at`: a sum that is kept, of rows of `spend`.
    `forgiven_usd` is what resets have taken off."""

    __tablename__ = "budget_window"

    kind: str = Field(primary_key=True)
    id: str = Field(primary_key=True, sa_type=ID)
    period: str = Field(primary_key=True)
    starts_at: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    ends_at: datetime | None = time_column(nullable=True)
    spent_usd: Decimal = _usd()
    reserved_usd: Decimal = _usd()
    forgiven_usd: Decimal = _usd()
    soft_limit_at: datetime | None = time_column(nullable=True)


class BudgetResetRow(SQLModel, table=True):
    """An admin's reset: what was charged before it no longer counts for a budget. The ledger is not touched by it."""

    __tablename__ = "budget_reset"
    __table_args__ = (Index("budget_reset_of", "kind", "id", "time"),)

    number: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    kind: str
    id: str = Field(sa_type=ID)
    usd: Decimal = _usd()
    actor_key_id: str | None = None
    time: datetime = time_column()

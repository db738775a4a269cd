"""Tables of limits: what has been taken under each, and which processes live."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID, json_column, time_column


class LimitStateRow(SQLModel, table=True):
    """What counts under one limit of a key, a user or a team (`KIND:ID`). `version` counts the changes: whoever writes
    names the version that was read."""

    __tablename__ = "limit_state"
    __table_args__ = (Index("limit_state_idle", "updated_at"),)

    scope: str = Field(primary_key=True, sa_type=ID)
    measure: str = Field(primary_key=True, sa_type=ID)
    version: int
    state: dict[str, Any] = json_column(nullable=False)
    updated_at: datetime = time_column()


class LimitHolderRow(SQLModel, table=True):
    """A server process that may hold slots of parallel limits. What it holds is free when it stops renewing."""

    __tablename__ = "limit_holder"

    id: str = Field(primary_key=True, sa_type=ID)
    expires_at: datetime = time_column()

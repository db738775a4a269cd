"""What all processes share about deployments."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from mediagate.store.columns import time_column


class DeploymentHealthRow(SQLModel, table=True):
    """A deployment that failed. `failures` are those since `failed_since`, at most a minute of them; it gets nothing
    new before `cooling_until`, and `reason` is why."""

    __tablename__ = "deployment_health"

    deployment: str = Field(primary_key=True)
    failures: int
    failed_since: datetime = time_column()
    cooling_until: datetime | None = time_column(nullable=True)
    reason: str


class DeploymentSubmitRow(SQLModel, table=True):
    """A submit to a deployment with a limit for each minute, kept for that minute."""

    __tablename__ = "deployment_submit"
    __table_args__ = (Index("deployment_submit_at", "deployment", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=sa.BigInteger)
    deployment: str
    at: datetime = time_column()

"""The table of batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID


def _time(*, nullable: bool = True) -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=nullable)


def _json() -> Any:
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))


class BatchRow(SQLModel, table=True):
    """A batch. `seq` counts its changes: whoever writes names the one that was read. `ended_at` is set with its last
    phase, `cleaned_at` once nothing of it is left at its provider."""

    __tablename__ = "batch"
    __table_args__ = (
        Index("batch_listed", "owner_id", "id"),
        Index("batch_listed_for", "owner_id", "end_user", "id", postgresql_where=text("end_user IS NOT NULL")),
        Index("batch_running", "id", postgresql_where=text("ended_at IS NULL")),
        Index("batch_unclean", "id", postgresql_where=text("ended_at IS NOT NULL AND cleaned_at IS NULL")),
        Index("batch_of_copy", "copy_id", postgresql_where=text("ended_at IS NULL AND copy_id IS NOT NULL")),
        Index("batch_of_index", "index_id", postgresql_where=text("ended_at IS NULL AND index_id IS NOT NULL")),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    end_user: str | None = None
    endpoint: str
    input_file_id: str = Field(sa_type=ID)
    completion_window: str
    phase: str
    seq: int
    created_at: datetime = _time(nullable=False)
    expires_at: datetime = _time(nullable=False)
    model: str | None = None
    deployment: str | None = None
    account: str | None = None
    file_account: str | None = None
    provider: str | None = None
    provider_model: str | None = None
    # Not `metadata`: a declarative class keeps its tables under that name.
    labels: dict[str, str] | None = _json()
    output_life_s: int | None = None
    key_id: str | None = Field(default=None, sa_type=ID)
    user_id: str | None = Field(default=None, sa_type=ID)
    team_id: str | None = Field(default=None, sa_type=ID)
    required: dict[str, str] | None = _json()
    guardrails: list[str] | None = _json()
    errors: list[dict[str, Any]] | None = _json()
    lines: int = 0
    completed: int = 0
    failed: int = 0
    usage: dict[str, Any] | None = _json()
    copy_id: str | None = Field(default=None, sa_type=ID)
    index_id: str | None = Field(default=None, sa_type=ID)
    attempts: int = 0
    submit_started_at: datetime | None = _time()
    provider_ref: str | None = None
    outcome: str | None = None
    in_progress_at: datetime | None = _time()
    finalizing_at: datetime | None = _time()
    completed_at: datetime | None = _time()
    failed_at: datetime | None = _time()
    expired_at: datetime | None = _time()
    cancelling_at: datetime | None = _time()
    cancelled_at: datetime | None = _time()
    output_file_id: str | None = Field(default=None, sa_type=ID)
    error_file_id: str | None = Field(default=None, sa_type=ID)
    estimate_usd: float | None = None
    cost_usd: float | None = None
    cost_source: str | None = None
    ended_at: datetime | None = _time()
    cleaned_at: datetime | None = _time()

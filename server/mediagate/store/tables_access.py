"""The tables of those who may use the gateway."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from mediagate.store.tables import ID, _time


class TeamRow(SQLModel, table=True):
    """People or programs that share objects, a policy and a budget. `version` counts its changes; the row outlives
    it, so that nobody else gets its id and with it its objects."""

    __tablename__ = "team"

    id: str = Field(primary_key=True, sa_type=ID)
    alias: str | None = None
    is_blocked: bool = False
    policy: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    info: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = _time()
    updated_at: datetime = _time()
    version: int
    deleted_at: datetime | None = _time(nullable=True)


class AccessUserRow(SQLModel, table=True):
    """Somebody who has keys, in at most one team for each key. As a team's, the row outlives them."""

    __tablename__ = "access_user"

    id: str = Field(primary_key=True, sa_type=ID)
    alias: str | None = None
    email: str | None = None
    is_blocked: bool = False
    policy: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    info: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = _time()
    updated_at: datetime = _time()
    version: int
    deleted_at: datetime | None = _time(nullable=True)


class ApiKeyRow(SQLModel, table=True):
    """A key that somebody calls with: the SHA-256 of it, never the key. `hint` is its end, by which people know it;
    `version` counts its changes."""

    __tablename__ = "api_key"
    __table_args__ = (
        Index("api_key_hash", "hash", unique=True),
        Index("api_key_alias", "alias", unique=True, postgresql_where=text("alias IS NOT NULL")),
        Index("api_key_of_team", "team_id", "id"),
        Index("api_key_of_user", "user_id", "id"),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    hash: bytes
    hint: str
    alias: str | None = None
    user_id: str | None = Field(default=None, sa_type=ID, foreign_key="access_user.id")
    team_id: str | None = Field(default=None, sa_type=ID, foreign_key="team.id")
    is_admin: bool = False
    uses_providers: bool = False
    is_blocked: bool = False
    policy: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    info: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = _time()
    updated_at: datetime = _time()
    expires_at: datetime | None = _time(nullable=True)
    version: int


class AuditRow(SQLModel, table=True):
    """What an admin changed, and with which key (None: the master key). `changes` never holds a key."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("audit_log_of_object", "object_id", "id"),)

    id: str = Field(primary_key=True, sa_type=ID)
    time: datetime = _time()
    actor_key_id: str | None = None
    action: str
    object_kind: str
    object_id: str
    changes: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    request_id: str | None = None

"""The tables of those who may use the gateway."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID, json_column, time_column


class TeamRow(SQLModel, table=True):
    """People or programs that share objects, a policy and a budget. `version` counts its changes; the row outlives
    it, so that nobody else gets its id and with it its objects."""

    __tablename__ = "team"

    id: str = Field(primary_key=True, sa_type=ID)
    alias: str | None = None
    is_blocked: bool = False
    policy: dict[str, Any] = json_column(nullable=False)
    info: dict[str, Any] = json_column(nullable=False)
    created_at: datetime = time_column()
    updated_at: datetime = time_column()
    version: int
    deleted_at: datetime | None = time_column(nullable=True)


class AccessUserRow(SQLModel, table=True):
    """Somebody who has keys, in at most one team for each key. As a team's, the row outlives them."""

    __tablename__ = "access_user"

    id: str = Field(primary_key=True, sa_type=ID)
    alias: str | None = None
    email: str | None = None
    is_blocked: bool = False
    policy: dict[str, Any] = json_column(nullable=False)
    info: dict[str, Any] = json_column(nullable=False)
    created_at: datetime = time_column()
    updated_at: datetime = time_column()
    version: int
    deleted_at: datetime | None = time_column(nullable=True)


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
    policy: dict[str, Any] = json_column(nullable=False)
    info: dict[str, Any] = json_column(nullable=False)
    created_at: datetime = time_column()
    updated_at: datetime = time_column()
    expires_at: datetime | None = time_column(nullable=True)
    version: int


class AuditRow(SQLModel, table=True):
    """What an admin changed, and with which key (None: the master key). `changes` never holds a key."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("audit_log_of_object", "object_id", "id"),)

    id: str = Field(primary_key=True, sa_type=ID)
    time: datetime = time_column()
    actor_key_id: str | None = None
    action: str
    object_kind: str
    object_id: str
    changes: dict[str, Any] = json_column(nullable=False)
    request_id: str | None = None

"""The table of tokens that may be given to browsers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID, json_column, time_column


class TokenRow(SQLModel, table=True):
    """A token: the SHA-256 of it, never the token. It goes with the key that made it; `master_mark` tells the master
    key of then from the one of now. `claim` is the upload that has it until `claimed_until`; `room_id` an upload that
    holds room for it, which a trigger opens and ends with it."""

    __tablename__ = "access_token"
    __table_args__ = (
        Index("access_token_hash", "hash", unique=True),
        Index("access_token_listed", "owner_id", "id"),
        Index("access_token_of_key", "key_id", postgresql_where=text("key_id IS NOT NULL")),
        Index("access_token_expiring", "expires_at"),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    owner_id: str
    kind: str
    hint: str
    created_at: datetime = time_column()
    expires_at: datetime = time_column()
    end_user: str | None = None
    key_id: str | None = Field(default=None, sa_type=ID, foreign_key="api_key.id", ondelete="CASCADE")
    object_id: str | None = Field(default=None, sa_type=ID)
    terms: dict[str, Any] | None = json_column()
    revoked_at: datetime | None = time_column(nullable=True)
    used_at: datetime | None = time_column(nullable=True)
    made_id: str | None = Field(default=None, sa_type=ID)
    master_mark: bytes | None = None
    room_id: str | None = Field(default=None, sa_type=ID)
    claim: str | None = None
    claimed_until: datetime | None = time_column(nullable=True)

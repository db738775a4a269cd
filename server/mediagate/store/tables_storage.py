"""The tables of the storage room: how much every scope holds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Identity, Index
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID


class StorageUsageRow(SQLModel, table=True):
    """What a scope holds, but for what `storage_delta` says yet. `scope_kind` is `team`, `user`, `key` or `end_user`;
    the id of an end user is `OWNER_ID`, the character 31, and the name."""

    __tablename__ = "storage_usage"

    scope_kind: str = Field(primary_key=True)
    scope_id: str = Field(primary_key=True, sa_type=ID)
    purpose: str = Field(primary_key=True)
    files: int = Field(sa_type=BigInteger)
    bytes: int = Field(sa_type=BigInteger)
    reserved_bytes: int = Field(sa_type=BigInteger)


class StorageDeltaRow(SQLModel, table=True):
    """A change of what a scope holds, written by triggers of `file` and `upload`. Rows are added and never changed, so
    that nobody waits for anybody's counter; a job folds them into `storage_usage`."""

    __tablename__ = "storage_delta"
    __table_args__ = (Index("storage_delta_of_scope", "scope_kind", "scope_id"),)

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(),))
    scope_kind: str
    scope_id: str = Field(sa_type=ID)
    purpose: str
    files: int = Field(sa_type=BigInteger)
    bytes: int = Field(sa_type=BigInteger)
    reserved_bytes: int = Field(sa_type=BigInteger)

"""Alembic's entry: runs the revisions on the connection that `mediagate.store.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from mediagate.store import (
    tables,
    tables_access,
    tables_batches,
    tables_handles,
    tables_limits,
    tables_money,
    tables_routing,
    tables_storage,
)

for part in (
    tables.FileRow,
    tables_access.ApiKeyRow,
    tables_batches.BatchRow,
    tables_handles.TokenRow,
    tables_limits.LimitStateRow,
    tables_money.SpendRow,
    tables_routing.DeploymentHealthRow,
    tables_storage.StorageUsageRow,
):
    assert part.metadata is SQLModel.metadata


def include_object(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Leave the job engine's tables to the job engine."""
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_object=include_object,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()

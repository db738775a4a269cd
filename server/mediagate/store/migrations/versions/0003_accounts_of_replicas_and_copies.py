"""Accounts of replicas, and files that are copied by a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

LISTED = "state IN ('processed', 'copying', 'failed') AND NOT internal"
LEASED = "state IN ('receiving', 'copying')"


def upgrade() -> None:
    op.create_table(
        "gateway",
        sa.Column("stamp", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("stamp"),
    )
    op.execute("INSERT INTO gateway (stamp) VALUES (floor(random() * 1048576)::int)")
    op.add_column("file", sa.Column("source", sa.String(), nullable=True))
    op.add_column("file", sa.Column("options", postgresql.JSONB(), nullable=True))
    op.add_column("file", sa.Column("copied_bytes", sa.BigInteger(), nullable=True))
    op.add_column("file", sa.Column("failure", sa.String(), nullable=True))
    op.add_column("upload", sa.Column("targets", postgresql.ARRAY(sa.TEXT()), nullable=True))
    op.add_column("upload", sa.Column("keeps_partial", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("file_listed", "file")
    op.drop_index("file_leased", "file")
    op.create_index("file_listed", "file", ["owner_id", "id"], postgresql_where=sa.text(LISTED))
    op.create_index("file_leased", "file", ["lease_expires_at"], postgresql_where=sa.text(LEASED))
    # Until now every provider had one account, of its own name.
    op.add_column("file_replica", sa.Column("account", sa.String(), nullable=True))
    op.execute("UPDATE file_replica SET account = provider")
    op.add_column("file_replica", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("file_replica", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE file_replica SET seen_at = now()")
    op.alter_column("file_replica", "account", nullable=False)
    op.alter_column("file_replica", "seen_at", nullable=False)
    op.alter_column("file_replica", "ref", nullable=True)
    op.drop_constraint("file_replica_pkey", "file_replica")
    op.create_primary_key("file_replica_pkey", "file_replica", ["file_id", "account"])
    op.create_index("file_replica_of_account", "file_replica", ["account", "state", "file_id"])
    op.create_index(
        "file_replica_expiring", "file_replica", ["expires_at"], postgresql_where=sa.text("expires_at IS NOT NULL")
    )
    op.create_index(
        "file_replica_unfinished",
        "file_replica",
        ["file_id"],
        postgresql_where=sa.text("state IN ('pending', 'processing')"),
    )


def downgrade() -> None:
    op.drop_index("file_replica_unfinished", "file_replica")
    op.drop_index("file_replica_expiring", "file_replica")
    op.drop_index("file_replica_of_account", "file_replica")
    op.drop_constraint("file_replica_pkey", "file_replica")
    op.execute("DELETE FROM file_replica a USING file_replica b WHERE a.file_id = b.file_id AND a.provider = b.provider AND a.account > b.account")
    op.execute("DELETE FROM file_replica WHERE ref IS NULL")
    op.create_primary_key("file_replica_pkey", "file_replica", ["file_id", "provider"])
    op.alter_column("file_replica", "ref", nullable=False)
    op.drop_column("file_replica", "seen_at")
    op.drop_column("file_replica", "expires_at")
    op.drop_column("file_replica", "account")
    op.drop_index("file_leased", "file")
    op.drop_index("file_listed", "file")
    op.execute("DELETE FROM file WHERE state IN ('copying', 'failed')")
    op.create_index(
        "file_listed", "file", ["owner_id", "id"], postgresql_where=sa.text("state = 'processed' AND NOT internal")
    )
    op.create_index("file_leased", "file", ["lease_expires_at"], postgresql_where=sa.text("state = 'receiving'"))
    op.drop_table("gateway")
    op.drop_column("upload", "keeps_partial")
    op.drop_column("upload", "targets")
    op.drop_column("file", "failure")
    op.drop_column("file", "copied_bytes")
    op.drop_column("file", "options")
    op.drop_column("file", "source")

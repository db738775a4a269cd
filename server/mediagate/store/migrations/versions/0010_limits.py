"""What was taken under limits of keys, users and teams, and the processes that hold slots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

ID = sa.TEXT(collation="C")


def upgrade() -> None:
    op.create_table(
        "limit_state",
        sa.Column("scope", ID, nullable=False),
        sa.Column("measure", ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "measure"),
    )
    op.create_index("limit_state_idle", "limit_state", ["updated_at"])
    op.create_table(
        "limit_holder",
        sa.Column("id", ID, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("limit_holder")
    op.drop_table("limit_state")

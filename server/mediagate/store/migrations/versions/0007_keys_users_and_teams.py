"""Virtual keys, users, teams, and the log of what admins did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

ID = sa.TEXT(collation="C")


def _holder(name: str, *columns: sa.Column) -> None:
    op.create_table(
        name,
        sa.Column("id", ID, nullable=False),
        sa.Column("alias", sa.String(), nullable=True),
        *columns,
        sa.Column("is_blocked", sa.Boolean(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("info", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def upgrade() -> None:
    _holder("team", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    _holder("access_user", sa.Column("email", sa.String(), nullable=True), sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    _holder(
        "api_key",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("user_id", ID, sa.ForeignKey("access_user.id"), nullable=True),
        sa.Column("team_id", ID, sa.ForeignKey("team.id"), nullable=True),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("uses_providers", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("api_key_hash", "api_key", ["hash"], unique=True)
    op.create_index(
        "api_key_alias", "api_key", ["alias"], unique=True, postgresql_where=sa.text("alias IS NOT NULL")
    )
    op.create_index("api_key_of_team", "api_key", ["team_id", "id"])
    op.create_index("api_key_of_user", "api_key", ["user_id", "id"])
    op.create_table(
        "audit_log",
        sa.Column("id", ID, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_key_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_log_of_object", "audit_log", ["object_id", "id"])


def downgrade() -> None:
    for name in ("audit_log", "api_key", "access_user", "team"):
        op.drop_table(name)

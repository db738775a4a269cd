"""Batches: many requests as one job, from the first row to its end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

ID = sa.TEXT(collation="C")


def upgrade() -> None:
    op.create_table(
        "batch",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("end_user", sa.String(), nullable=True),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("input_file_id", ID, nullable=False),
        sa.Column("completion_window", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("deployment", sa.String(), nullable=True),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("file_account", sa.String(), nullable=True),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("provider_model", sa.String(), nullable=True),
        sa.Column("labels", postgresql.JSONB(), nullable=True),
        sa.Column("output_life_s", sa.Integer(), nullable=True),
        sa.Column("key_id", ID, nullable=True),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("team_id", ID, nullable=True),
        sa.Column("required", postgresql.JSONB(), nullable=True),
        sa.Column("guardrails", postgresql.JSONB(), nullable=True),
        sa.Column("errors", postgresql.JSONB(), nullable=True),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("usage", postgresql.JSONB(), nullable=True),
        sa.Column("copy_id", ID, nullable=True),
        sa.Column("index_id", ID, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("submit_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_ref", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("in_progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finalizing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelling_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("output_file_id", ID, nullable=True),
        sa.Column("error_file_id", ID, nullable=True),
        sa.Column("estimate_usd", sa.Float(), nullable=True),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.Column("cost_source", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleaned_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("batch_listed", "batch", ["owner_id", "id"])
    op.create_index(
        "batch_listed_for", "batch", ["owner_id", "end_user", "id"], postgresql_where=sa.text("end_user IS NOT NULL")
    )
    op.create_index("batch_running", "batch", ["id"], postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index(
        "batch_unclean", "batch", ["id"], postgresql_where=sa.text("ended_at IS NOT NULL AND cleaned_at IS NULL")
    )
    for name, column in (("batch_of_copy", "copy_id"), ("batch_of_index", "index_id")):
        op.create_index(
            name, "batch", [column], postgresql_where=sa.text(f"ended_at IS NULL AND {column} IS NOT NULL")
        )


def downgrade() -> None:
    op.drop_table("batch")

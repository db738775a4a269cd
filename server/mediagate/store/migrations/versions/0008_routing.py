"""Routing: who else could make a video, how deployments fare, and their submits of the last minute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("video", sa.Column("route", postgresql.JSONB(), nullable=True))
    op.create_index(
        "video_at_deployment", "video", ["deployment", "id"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index(
        "video_of_deployment",
        "video",
        ["deployment", "completed_at"],
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_table(
        "deployment_health",
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cooling_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("deployment"),
    )
    op.create_table(
        "deployment_submit",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deployment_submit_at", "deployment_submit", ["deployment", "at"])


def downgrade() -> None:
    op.drop_table("deployment_submit")
    op.drop_table("deployment_health")
    op.drop_index("video_of_deployment", "video")
    op.drop_index("video_at_deployment", "video")
    op.drop_column("video", "route")

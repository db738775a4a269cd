"""Videos of many providers: their accounts, holds, costs, archives and pictures; accounts that are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("video", sa.Column("account", sa.String(), nullable=True))
    op.execute("UPDATE video SET account = provider")
    op.alter_column("video", "account", nullable=False)
    # Nothing that was made before this had sound.
    op.execute("""UPDATE video SET output = output || '{"has_audio": false}' WHERE output IS NOT NULL""")
    op.execute("""UPDATE video_event SET payload = payload || '{"has_audio": false}' WHERE type = 'output'""")
    op.add_column("video", sa.Column("audio", sa.Boolean(), nullable=True))
    op.add_column("video", sa.Column("extra", postgresql.JSONB(), nullable=True))
    op.add_column("video", sa.Column("start_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("video", sa.Column("cancel_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("video", sa.Column("hold", postgresql.JSONB(), nullable=True))
    for name in ("max_cost_usd", "estimate_usd", "cost_usd"):
        op.add_column("video", sa.Column(name, sa.Float(), nullable=True))
    op.add_column("video", sa.Column("cost_source", sa.String(), nullable=True))
    op.add_column("video", sa.Column("archive_file_id", sa.String(), nullable=True))
    op.create_index(
        "video_at_account", "video", ["account", "id"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "video_picture",
        sa.Column("video_id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("variant", sa.String(), nullable=False),
        sa.Column("file_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["video.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("video_id", "variant"),
    )
    op.create_table(
        "account_memory",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("account_memory")
    op.drop_table("video_picture")
    op.drop_index("video_at_account", "video")
    for name in (
        "archive_file_id", "cost_source", "cost_usd", "estimate_usd", "max_cost_usd", "hold", "cancel_at", "start_by",
        "extra", "audio", "account",
    ):
        op.drop_column("video", name)

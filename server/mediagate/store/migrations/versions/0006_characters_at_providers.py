"""Characters in videos, and what each account calls them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("video", sa.Column("characters", postgresql.JSONB(), nullable=True))
    op.create_table(
        "character_ref",
        sa.Column("character_id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["character_id"], ["character.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("character_id", "account"),
    )


def downgrade() -> None:
    op.drop_table("character_ref")
    op.drop_column("video", "characters")

"""Which guardrails look at a finished video beside those that always do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("video", sa.Column("guardrails", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("video", "guardrails")

"""Spend is listed in the order of time: the ids of chats, responses and videos do not sort by it together."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.drop_index("spend_of_owner", "spend")
    op.drop_index("spend_at", "spend")
    op.create_index("spend_of_owner", "spend", ["owner_id", "reserved_at", "ref"])
    op.create_index("spend_at", "spend", ["reserved_at", "ref"])


def downgrade() -> None:
    op.drop_index("spend_of_owner", "spend")
    op.drop_index("spend_at", "spend")
    op.create_index("spend_of_owner", "spend", ["owner_id", "ref"])
    op.create_index("spend_at", "spend", ["reserved_at"])

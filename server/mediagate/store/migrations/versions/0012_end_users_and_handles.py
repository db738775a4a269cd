"""End users within an owner, and tokens that may be given to browsers."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

OWNED = ("file", "upload", "character")


def upgrade() -> None:
    for name in OWNED:
        # Quotas of end users may have brought it.
        op.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS end_user VARCHAR")
    op.execute(
        "CREATE INDEX file_listed_for ON file (owner_id, end_user, id) WHERE end_user IS NOT NULL"
        " AND state IN ('processed', 'copying', 'failed') AND NOT internal"
    )
    op.execute(
        "CREATE INDEX video_listed_for ON video (owner_id, end_user, id)"
        " WHERE end_user IS NOT NULL AND deleted_at IS NULL"
    )


def downgrade() -> None:
    for name in ("file_listed_for", "video_listed_for"):
        op.execute(f"DROP INDEX {name}")
    for name in OWNED:
        op.execute(f"ALTER TABLE {name} DROP COLUMN IF EXISTS end_user")

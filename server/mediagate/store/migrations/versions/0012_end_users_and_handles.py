"""End users within an owner, and tokens that may be given to browsers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

ID = sa.TEXT(collation="C")


def upgrade() -> None:
    op.add_column("character", sa.Column("end_user", sa.String(), nullable=True))
    op.execute(
        "CREATE INDEX file_listed_for ON file (owner_id, end_user, id) WHERE end_user IS NOT NULL"
        " AND state IN ('processed', 'copying', 'failed') AND NOT internal"
    )
    op.execute(
        "CREATE INDEX video_listed_for ON video (owner_id, end_user, id)"
        " WHERE end_user IS NOT NULL AND deleted_at IS NULL"
    )
    op.create_table(
        "access_token",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_user", sa.String(), nullable=True),
        sa.Column("key_id", ID, sa.ForeignKey("api_key.id", ondelete="CASCADE"), nullable=True),
        sa.Column("object_id", ID, nullable=True),
        sa.Column("terms", postgresql.JSONB(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_id", ID, nullable=True),
        sa.Column("master_mark", sa.LargeBinary(), nullable=True),
        sa.Column("room_id", ID, nullable=True),
        sa.Column("claim", sa.String(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("access_token_hash", "access_token", ["hash"], unique=True)
    op.create_index("access_token_listed", "access_token", ["owner_id", "id"])
    op.create_index(
        "access_token_of_key", "access_token", ["key_id"], postgresql_where=sa.text("key_id IS NOT NULL")
    )
    op.create_index("access_token_expiring", "access_token", ["expires_at"])
    # An upload holds the room of a token that waits. While one is under way it has room by itself; a token that is gone,
    # used or revoked needs none.
    op.execute("""
CREATE FUNCTION access_token_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF TG_OP = 'UPDATE' AND NEW.used_at IS NULL AND NEW.revoked_at IS NULL AND NEW.claimed_until IS NULL THEN
  UPDATE upload SET state = 'pending' WHERE id = OLD.room_id AND state = 'cancelled';
ELSE
  UPDATE upload SET state = 'cancelled' WHERE id = OLD.room_id AND state = 'pending';
END IF;
RETURN NULL;
END $$""")
    op.execute(
        "CREATE TRIGGER access_token_room AFTER UPDATE OR DELETE ON access_token FOR EACH ROW"
        " WHEN (OLD.room_id IS NOT NULL) EXECUTE FUNCTION access_token_room()"
    )


def downgrade() -> None:
    op.drop_table("access_token")
    op.execute("DROP FUNCTION access_token_room()")
    for name in ("file_listed_for", "video_listed_for"):
        op.execute(f"DROP INDEX {name}")
    op.drop_column("character", "end_user")

"""Files, uploads, videos and the job engine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


# Everything that the job engine's schema makes bears its name.
DROP_JOB_ENGINE = """
DO $$ DECLARE item record; BEGIN
  FOR item IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'procrastinate_%'
    LOOP EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', item.tablename); END LOOP;
  FOR item IN SELECT p.oid::regprocedure AS signature FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = current_schema() AND p.proname LIKE 'procrastinate_%'
    LOOP EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', item.signature); END LOOP;
  FOR item IN SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = current_schema() AND t.typname LIKE 'procrastinate_%'
    LOOP EXECUTE format('DROP TYPE IF EXISTS %I CASCADE', item.typname); END LOOP;
END $$
"""


def upgrade() -> None:
    # The driver's own cursor: the script has many statements and percent signs.
    op.get_bind().connection.driver_connection.execute(SchemaManager.get_schema())
    op.create_table(
        "character",
        sa.Column("id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("file_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "file",
        sa.Column("id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("file_deleting", "file", ["id"], unique=False, postgresql_where=sa.text("state = 'deleting'"))
    op.create_index(
        "file_expiring",
        "file",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'processed' AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "file_leased", "file", ["lease_expires_at"], unique=False, postgresql_where=sa.text("state = 'receiving'")
    )
    op.create_index(
        "file_listed",
        "file",
        ["owner_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'processed' AND NOT internal"),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_expires_after_s", sa.Integer(), nullable=True),
        sa.Column("file_id", sa.String(), nullable=True),
        sa.Column("part_ids", postgresql.ARRAY(sa.TEXT()), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "upload_open",
        "upload",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'completing')"),
    )
    op.create_table(
        "video",
        sa.Column("id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_model", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("progress_source", sa.String(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("eta", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("provider_ref", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("submit_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("render_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancellation", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("source_video_id", sa.String(), nullable=True),
        sa.Column("image_file_id", sa.String(), nullable=True),
        sa.Column("source_file_id", sa.String(), nullable=True),
        sa.Column("failure", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("output", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("end_user", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "video_finished",
        "video",
        ["provider", "provider_model", "seconds", "width", "height", "completed_at"],
        unique=False,
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "video_listed", "video", ["owner_id", "id"], unique=False, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "video_running",
        "video",
        ["id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND deleted_at IS NULL"),
    )
    op.create_table(
        "file_replica",
        sa.Column("file_id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "provider"),
    )
    op.create_table(
        "upload_part",
        sa.Column("id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("upload_id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_upload_part_upload_id"), "upload_part", ["upload_id"], unique=False)
    op.create_table(
        "video_event",
        sa.Column("video_id", sa.TEXT(collation="C"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["video.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("video_id", "seq"),
    )


def downgrade() -> None:
    op.drop_table("video_event")
    op.drop_index(op.f("ix_upload_part_upload_id"), table_name="upload_part")
    op.drop_table("upload_part")
    op.drop_table("file_replica")
    op.drop_index(
        "video_running", table_name="video", postgresql_where=sa.text("ended_at IS NULL AND deleted_at IS NULL")
    )
    op.drop_index("video_listed", table_name="video", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index("video_finished", table_name="video", postgresql_where=sa.text("completed_at IS NOT NULL"))
    op.drop_table("video")
    op.drop_index("upload_open", table_name="upload", postgresql_where=sa.text("state IN ('pending', 'completing')"))
    op.drop_table("upload")
    op.drop_index("file_listed", table_name="file", postgresql_where=sa.text("state = 'processed' AND NOT internal"))
    op.drop_index("file_leased", table_name="file", postgresql_where=sa.text("state = 'receiving'"))
    op.drop_index(
        "file_expiring", table_name="file", postgresql_where=sa.text("state = 'processed' AND expires_at IS NOT NULL")
    )
    op.drop_index("file_deleting", table_name="file", postgresql_where=sa.text("state = 'deleting'"))
    op.drop_table("file")
    op.drop_table("character")
    op.get_bind().connection.driver_connection.execute(DROP_JOB_ENGINE)

"""Who made a file and an upload, what each may hold, and how much every scope holds.

Triggers write each change of the sums as a row of `storage_delta`, whatever code changed a file; a job folds these
rows into `storage_usage`. The sum of both is the sum over the files, in every snapshot.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

ID = sa.TEXT(collation="C")
TABLES = ("file", "upload")
EVENTS = {
    "insert": ("AFTER INSERT", "REFERENCING NEW TABLE AS new_rows", (("1", "new_rows"),)),
    "delete": ("AFTER DELETE", "REFERENCING OLD TABLE AS old_rows", (("-1", "old_rows"),)),
    "update": (
        "AFTER UPDATE",
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        (("1", "new_rows"), ("-1", "old_rows")),
    ),
}
# Rows that hold something, as (files, bytes, reserved bytes).
HELD = {
    "file": """
    SELECT {sign}, team_id, user_id, key_id, owner_id, end_user, purpose,
      (state = 'processed')::int,
      CASE WHEN state = 'processed' THEN size_bytes ELSE 0 END,
      CASE WHEN state IN ('receiving', 'copying') THEN reserved_bytes ELSE 0 END
    FROM {rows}
    WHERE state = 'processed' OR (state IN ('receiving', 'copying') AND reserved_bytes <> 0)""",
    "upload": """
    SELECT {sign}, team_id, user_id, key_id, owner_id, end_user, purpose, 0, 0, reserved_bytes
    FROM {rows}
    WHERE state IN ('pending', 'completing') AND reserved_bytes <> 0""",
}
SUMS = """
  SELECT scope.kind, scope.id COLLATE "C", held.purpose,
    sum(held.sign * held.files), sum(held.sign * held.bytes), sum(held.sign * held.reserved)
  FROM ({held}
  ) AS held (sign, team_id, user_id, key_id, owner_id, end_user, purpose, files, bytes, reserved)
  CROSS JOIN LATERAL (VALUES
    ('team', held.team_id), ('user', held.user_id), ('key', held.key_id),
    ('end_user', held.owner_id || chr(31) || held.end_user)
  ) AS scope (kind, id)
  WHERE scope.id IS NOT NULL
  GROUP BY 1, 2, 3
  HAVING sum(held.sign * held.files) <> 0 OR sum(held.sign * held.bytes) <> 0 OR sum(held.sign * held.reserved) <> 0"""
COLUMNS = "scope_kind, scope_id, purpose, files, bytes, reserved_bytes"


def _sums(table: str, sources: tuple[tuple[str, str], ...]) -> str:
    held = "\n    UNION ALL".join(HELD[table].format(sign=sign, rows=rows) for sign, rows in sources)
    return SUMS.format(held=held)


def _usage(name: str, *columns: sa.Column, key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        *columns,
        sa.Column("scope_kind", sa.String(), nullable=False),
        sa.Column("scope_id", ID, nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*key),
    )


def upgrade() -> None:
    for table in TABLES:
        for name in ("key_id", "user_id", "team_id", "end_user"):
            op.add_column(table, sa.Column(name, ID if name != "end_user" else sa.String(), nullable=True))
        op.add_column(table, sa.Column("reserved_bytes", sa.BigInteger(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("required", postgresql.JSONB(), nullable=True))
        for kind in ("team", "user", "key"):
            op.execute(
                f"UPDATE {table} SET {kind}_id = substr(owner_id, {len(kind) + 2}) WHERE owner_id LIKE '{kind}:%'"
            )
    op.execute("UPDATE upload SET reserved_bytes = size_bytes WHERE state IN ('pending', 'completing')")
    op.add_column("video", sa.Column("required", postgresql.JSONB(), nullable=True))
    for kind in ("team", "user", "key"):
        op.create_index(
            f"file_of_{kind}", "file", [f"{kind}_id", "id"], postgresql_where=sa.text(f"{kind}_id IS NOT NULL")
        )
    _usage("storage_usage", key=("scope_kind", "scope_id", "purpose"))
    _usage("storage_delta", sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False), key=("id",))
    op.create_index("storage_delta_of_scope", "storage_delta", ["scope_kind", "scope_id"])
    for table in TABLES:
        op.execute(f"INSERT INTO storage_delta ({COLUMNS}) {_sums(table, (('1', table),))}")
        for event, (when, transition, sources) in EVENTS.items():
            name = f"storage_{table}_{event}"
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
                f"INSERT INTO storage_delta ({COLUMNS}) {_sums(table, sources)};\nRETURN NULL;\nEND $$"
            )
            op.execute(
                f"CREATE TRIGGER {name} {when} ON {table} {transition} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            )


def downgrade() -> None:
    for table in TABLES:
        for event in EVENTS:
            op.execute(f"DROP TRIGGER storage_{table}_{event} ON {table}")
            op.execute(f"DROP FUNCTION storage_{table}_{event}()")
    op.drop_table("storage_delta")
    op.drop_table("storage_usage")
    for kind in ("key", "user", "team"):
        op.drop_index(f"file_of_{kind}", table_name="file")
    op.drop_column("video", "required")
    for table in TABLES:
        for name in ("required", "reserved_bytes", "end_user", "team_id", "user_id", "key_id"):
            # The end user may be gone with the revision above.
            op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {name}")

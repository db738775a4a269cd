"""The ledger of what is spent, and how far budgets are used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.TEXT(collation="C")


def _usd(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Numeric(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.String(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "spend",
        sa.Column("ref", ID, nullable=False),
        _text("owner_id"),
        *(_text(name, nullable=True) for name in ("key_id", "user_id", "team_id", "end_user")),
        *(_text(name) for name in ("model", "deployment", "provider", "account", "state")),
        _usd("estimate_usd", nullable=True),
        _usd("held_usd"),
        _usd("charged_usd"),
        sa.Column("provider_counts", sa.Boolean(), nullable=False),
        _text("reason"),
        sa.Column("entries", sa.Integer(), nullable=False),
        _time("reserved_at"),
        _time("settled_at", nullable=True),
        sa.CheckConstraint("held_usd >= 0 AND charged_usd >= 0", name="spend_not_negative"),
        sa.PrimaryKeyConstraint("ref"),
    )
    op.create_index("spend_of_owner", "spend", ["owner_id", "ref"])
    for name in ("key", "user", "team"):
        where = sa.text(f"{name}_id IS NOT NULL")
        op.create_index(f"spend_of_{name}", "spend", [f"{name}_id", "reserved_at"], postgresql_where=where)
    op.create_index("spend_of_provider", "spend", ["provider", "reserved_at"])
    op.create_index("spend_at", "spend", ["reserved_at"])
    op.create_index("spend_held", "spend", ["ref"], postgresql_where=sa.text("state = 'reserved'"))
    op.create_table(
        "ledger_entry",
        sa.Column("ref", ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        _text("kind"),
        _usd("held_usd"),
        _usd("spent_usd"),
        _text("reason"),
        _text("provider"),
        _time("time"),
        sa.PrimaryKeyConstraint("ref", "seq"),
    )
    op.create_index(
        "ledger_entry_settles",
        "ledger_entry",
        ["ref"],
        unique=True,
        postgresql_where=sa.text("kind IN ('charged', 'released')"),
    )
    op.create_table(
        "budget_scope",
        _text("kind"),
        sa.Column("id", ID, nullable=False),
        _usd("spent_usd"),
        _usd("reserved_usd"),
        sa.PrimaryKeyConstraint("kind", "id"),
    )
    op.create_table(
        "budget_window",
        _text("kind"),
        sa.Column("id", ID, nullable=False),
        _text("period"),
        _time("starts_at"),
        _time("ends_at", nullable=True),
        _usd("spent_usd"),
        _usd("reserved_usd"),
        _usd("forgiven_usd"),
        _time("soft_limit_at", nullable=True),
        sa.PrimaryKeyConstraint("kind", "id", "period", "starts_at"),
    )
    op.create_table(
        "budget_reset",
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        _text("kind"),
        sa.Column("id", ID, nullable=False),
        _usd("usd"),
        _text("actor_key_id", nullable=True),
        _time("time"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("budget_reset_of", "budget_reset", ["kind", "id", "time"])


def downgrade() -> None:
    for name in ("budget_reset", "budget_window", "budget_scope", "ledger_entry", "spend"):
        op.drop_table(name)

"""Whose rows are whose, as SQL: the same as `Principal.sees` says."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table

from mediagate.core.objects import Principal


def visible_to(who: Principal, rows: Table) -> list[ColumnElement[bool]]:
    """Conditions for the rows of `rows` that exist for a caller."""
    mine = [rows.c.owner_id == who.owner_id]
    return mine if who.end_user is None else [*mine, rows.c.end_user == who.end_user]

"""Whose rows are whose, as SQL: the same as `Principal.sees` says."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table

from mediagate.core.objects import Principal


def visible_to(who: Principal, rows: Table) -> list[ColumnElement[bool]]:
    """Conditions for the rows of `rows` that exist for a caller."""
    mine = [rows.c.owner_id == who.owner_id]
    if who.end_user is not None:
        mine.append(rows.c.end_user == who.end_user)
    if who.object_id is not None:
        mine.append(rows.c.id == who.object_id)
    return mine

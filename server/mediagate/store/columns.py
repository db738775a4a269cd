"""Columns that many tables have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB, TEXT
from sqlmodel import Field

# Ids are compared byte by byte, whatever the database's locale: their order is the order of lists.
ID: Any = TEXT(collation="C")


def time_column(*, nullable: bool = False) -> Any:
    """A moment, with its zone."""
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=nullable)


def json_column(*, nullable: bool = True) -> Any:
    """A JSON value that is read and written whole."""
    return Field(default=None, sa_column=Column(JSONB, nullable=nullable))

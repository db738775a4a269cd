"""Lists as CSV, by RFC 4180."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

# What a spreadsheet takes for the beginning of a formula, or passes over before one.
_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_csv(columns: Sequence[str], rows: Iterable[Any]) -> bytes:
    """One line for each message of `rows`, behind a line with the names of `columns`, which are members of it. What a
    message does not have is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row, name) for name in columns] for row in rows)
    return out.getvalue().encode()


def _cell(row: Any, name: str) -> str:
    if row.DESCRIPTOR.fields_by_name[name].has_presence and not row.HasField(name):
        return ""
    value = getattr(row, name)
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    text = str(value)
    # As text that cannot run, for whoever opens the file with a spreadsheet.
    return f"'{text}" if text.startswith(_RISKY) else text

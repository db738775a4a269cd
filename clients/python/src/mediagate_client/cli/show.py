"""Text for people: tables, sizes, times, and names that cannot move the cursor."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
DURATION: Final = re.compile(r"(\d+)(s|m|h|d|w)")
OBEYED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
OBEYED_IN_LINES: Final = re.compile(OBEYED.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def size(count: float | None) -> str:
    """Bytes as `1.5 MB`."""
    if count is None:
        return "-"
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 99.95 else f"{value:.1f} {UNITS[unit]}"


def moment(unix_s: float | None) -> str:
    """A time on this machine's clock."""
    return "-" if not unix_s else time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_s))


def span(seconds: float | None) -> str:
    """A length of time as `1:05` or `2:00:00`."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def dollars(usd: float | None) -> str:
    """US dollars, with as many digits as a small sum needs."""
    if usd is None:
        return "-"
    return f"${usd:.2f}" if usd == 0 or abs(usd) >= 0.1 else f"${usd:.6f}".rstrip("0")


def seconds_of(text: str) -> int:
    """`90s`, `15m`, `12h`, `7d` or `2w` in seconds. Raises `ValueError`."""
    found = DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no length of time such as 90s, 15m, 12h, 7d or 2w.")
    return int(found[1]) * SECONDS[found[2]]


def plain(value: object) -> str:
    """One line of text without what a terminal would obey: controls, and marks that turn the direction round."""
    text = "-" if value is None or value == "" else str(value)
    return text if text.isascii() and text.isprintable() else OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def harmless(text: str) -> str:
    """Text of several lines without what a terminal would obey."""
    return text if text.isascii() and text.isprintable() else OBEYED_IN_LINES.sub("\N{REPLACEMENT CHARACTER}", text)


def width(text: str) -> int:
    """How many columns of a terminal it takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of aligned cells below the names of the columns."""
    cells = [list(columns), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(width(line[number]) for line in cells) for number in range(len(columns))]
    return [
        "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]

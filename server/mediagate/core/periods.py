"""Periods as callers write them: `30s`, `1m`, `1h`, `1d`, `1w`, `30d`, `1mo`. Budgets have one after the other, keys
and tokens live for one.

Windows of budgets are in UTC. They lie on a fixed grid and not behind each other, so that every process, and a clock
that was wrong for a while, comes to the same one: days begin at midnight, weeks on Monday, months on the first, and
what is counted in several of them is counted from Monday, 1 January 2024.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo

ORIGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
EVER: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""When the window of a budget begins that is never reset."""
_PERIOD: Final = re.compile(r"([1-9][0-9]{0,4})(s|m|h|d|w|mo)")
_MONTHS_MAX: Final = (9999 - ORIGIN.year) * 12 + 11
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of a budget: from `starts_at` on, and before `ends_at`; None where it never ends."""

    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Period:
    """How long the windows of a budget are. `text` is how it was written; one of `months` and `seconds` is above 0, or
    neither where there is one window for ever."""

    text: str
    months: int = 0
    seconds: int = 0

    def window(self, moment: datetime) -> Window:
        """The window that a moment lies in."""
        if self.months:
            since = (moment.astimezone(UTC).year - ORIGIN.year) * 12 + moment.astimezone(UTC).month - 1
            first = since // self.months * self.months
            return Window(_month(first), _month(first + self.months))
        if self.seconds:
            length = timedelta(seconds=self.seconds)
            starts_at = ORIGIN + (moment - ORIGIN) // length * length
            return Window(starts_at, starts_at + length)
        return Window(EVER, None)


NEVER: Final = Period("")
"""Of a budget that is never reset."""


def parse_period(text: str | None, *, param: str = "budget_period") -> Period:
    """The period that a text stands for; `NEVER` for none. Raises `InvalidField(param)` for what is no period."""
    if text is None:
        return NEVER
    period = _read(text)
    if period is None:
        raise InvalidField(
            f"'{param}' is not a period: '{echo(text)}'. Write it like 30s, 15m, 1h, 1d, 1w, 30d or 1mo.", param=param
        )
    return period


def end_of_period(start: datetime, text: str) -> datetime:
    """When a period that begins at `start` is over; a month of the calendar ends on the last day of one that is
    shorter. Raises `ValueError` for what is no period and beyond the year 9999."""
    period = _read(text)
    if period is None:
        raise ValueError(f"not a period: {text}")
    try:
        if not period.months:
            return start + timedelta(seconds=period.seconds)
        year, month = divmod(start.month - 1 + period.months, 12)
        year, month = start.year + year, month + 1
        return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))
    except (OverflowError, ValueError):
        raise ValueError(f"a period that ends in no year that there is: {text}") from None


def _read(text: str) -> Period | None:
    match = _PERIOD.fullmatch(text)
    if match is None:
        return None
    count, unit = int(match[1]), match[2]
    return Period(text, months=count) if unit == "mo" else Period(text, seconds=count * _UNIT_S[unit])


def _month(since_origin: int) -> datetime:
    """The first of a month; the last that there can be where it is later."""
    since_origin = min(since_origin, _MONTHS_MAX)
    return ORIGIN.replace(year=ORIGIN.year + since_origin // 12, month=since_origin % 12 + 1)

"""Periods of budgets: `30s`, `1m`, `1h`, `1d`, `1w`, `30d`, `1mo`, all of them in UTC.

Windows lie on a fixed grid and not behind each other, so that every process, and a clock that was wrong for a while,
comes to the same one: days begin at midnight, weeks on Monday, months on the first, and what is counted in several of
them is counted from Monday, 1 January 2024.
"""

from __future__ import annotations

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
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise InvalidField(
            f"'{param}' is not a period: '{echo(text)}'. Write it like 30s, 15m, 1h, 1d, 1w, 30d or 1mo.", param=param
        )
    count, unit = int(match[1]), match[2]
    return Period(text, months=count) if unit == "mo" else Period(text, seconds=count * _UNIT_S[unit])


def _month(since_origin: int) -> datetime:
    """The first of a month; the last that there can be where it is later."""
    since_origin = min(since_origin, _MONTHS_MAX)
    return ORIGIN.replace(year=ORIGIN.year + since_origin // 12, month=since_origin % 12 + 1)

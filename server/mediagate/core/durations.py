"""Times as callers write them: how long to wait, `?wait=30s`, and how long something lasts, `30d`."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from typing import Final

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def parse_duration_s(text: str, *, max_s: float, param: str = "wait") -> float:
    """Return the seconds that `500ms`, `30s`, `1.5m`, `2h` or `15` (seconds) stand for.

    Raises `InvalidField(param)` for anything else and for more than `max_s`: a shorter wait than the caller asked for
    would look like an answer that came too early.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidField(
            f"{param!r} is not a duration: '{echo(text)}'. Write it like 30s, 500ms, 2m or 15 (seconds).", param=param
        )
    duration_s = float(match[1]) * _UNIT_S[match[2]]
    if duration_s > max_s:
        raise InvalidField(f"{param!r} may be at most {max_s:g}s.", param=param, max_s=max_s)
    return duration_s


_PERIOD: Final = re.compile(r"([1-9][0-9]{0,4})(s|m|h|d|w|mo)")
_PERIOD_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def end_of_period(start: datetime, text: str) -> datetime:
    """When a period that begins at `start` is over: `30d`, `12h`, `2w`; `1mo` is a month of the calendar, which ends on
    the last day of one that is shorter. Raises `ValueError` for anything else and beyond the year 9999."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise ValueError(f"not a period: {text}")
    count, unit = int(match[1]), match[2]
    try:
        if unit != "mo":
            return start + timedelta(seconds=count * _PERIOD_S[unit])
        year, month = divmod(start.month - 1 + count, 12)
        year, month = start.year + year, month + 1
        return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))
    except OverflowError:
        raise ValueError(f"a period that ends in no year that there is: {text}") from None

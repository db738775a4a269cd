"""Days and moments as callers write them: `2026-11-21`, `2026-11-21T08:00:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def parse_moment(text: str, *, param: str, past_the_day: bool = False) -> datetime:
    """The moment that a text stands for, in UTC unless it says another zone; of a day its first one, or with
    `past_the_day` the first behind it. Raises `InvalidField(param)`."""
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=int(past_the_day))
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidField(
        f"'{param}' is not a date: '{echo(text)}'. Write it like 2026-11-21 or 2026-11-21T08:00:00Z.", param=param
    )

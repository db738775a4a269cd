"""Days and moments as callers write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mediagate.core.errors import InvalidField
from mediagate.core.moments import parse_moment


@pytest.mark.parametrize(
    ("text", "past_the_day", "moment"),
    [
        ("2026-11-21", False, datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21", True, datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-21T08:09:10Z", True, datetime(2026, 11, 21, 8, 9, 10, tzinfo=UTC)),
        ("2026-11-21 08:09", False, datetime(2026, 11, 21, 8, 9, tzinfo=UTC)),
        ("2026-11-21t08:09:10.5+02:00", False, datetime(2026, 11, 21, 6, 9, 10, 500000, tzinfo=UTC)),
    ],
)
def test_what_is_a_moment(text: str, past_the_day: bool, moment: datetime) -> None:
    assert parse_moment(text, param="start_date", past_the_day=past_the_day) == moment


@pytest.mark.parametrize(
    "text",
    ["", "today", "2026-02-30", "2026-W01-1", "20261121", "0000-01-01", "9999-12-31", "0001-01-01T00:00+14:00", "1e9"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_moment(text, param="end_date", past_the_day=True)
    assert caught.value.param == "end_date"

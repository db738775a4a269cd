"""Periods of budgets: every moment lies in exactly one window, wherever the clock goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import InvalidField
from mediagate.core.periods import EVER, NEVER, end_of_period, parse_period

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
PERIODS = st.builds(
    lambda count, unit: f"{count}{unit}", st.integers(1, 400), st.sampled_from(["s", "m", "h", "d", "w", "mo"])
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "starts_at", "ends_at"),
    [
        ("30s", "2026-11-21T08:09:00", "2026-11-21T08:09:30"),
        ("1m", "2026-11-21T08:09:00", "2026-11-21T08:10:00"),
        ("1h", "2026-11-21T08:00:00", "2026-11-21T09:00:00"),
        ("1d", "2026-11-21", "2026-11-22"),
        ("1w", "2026-11-16", "2026-11-23"),
        ("7d", "2026-11-16", "2026-11-23"),
        ("30d", "2026-11-16", "2026-12-16"),
        ("1mo", "2026-11-01", "2026-12-01"),
        ("3mo", "2026-10-01", "2027-01-01"),
        ("12mo", "2026-01-01", "2027-01-01"),
        ("99999mo", "2024-01-01", "9999-12-01"),
    ],
)
def test_windows_lie_on_a_grid(period: str, starts_at: str, ends_at: str) -> None:
    window = parse_period(period).window(at("2026-11-21T08:09:10"))
    assert (window.starts_at, window.ends_at) == (at(starts_at), at(ends_at))


@given(period=PERIODS, moment=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=400)))
def test_every_moment_has_one_window(period: str, moment: datetime, later: timedelta) -> None:
    parsed = parse_period(period)
    window = parsed.window(moment)
    assert window.ends_at is not None
    assert window.starts_at <= moment < window.ends_at
    assert parsed.window(window.starts_at) == window
    assert parsed.window(window.ends_at - timedelta(microseconds=1)) == window
    assert parsed.window(window.ends_at).starts_at == window.ends_at
    if moment + later < window.ends_at:
        assert parsed.window(moment + later) == window
    else:
        assert parsed.window(moment + later).starts_at >= window.ends_at


def test_the_clock_may_stand_in_another_zone() -> None:
    moment = datetime.fromisoformat("2026-12-01T01:00:00+02:00")
    assert parse_period("1mo").window(moment).starts_at == at("2026-11-01")


def test_without_a_period_there_is_one_window() -> None:
    assert parse_period(None) is NEVER
    assert (NEVER.window(at("2026-11-21")).starts_at, NEVER.window(at("2026-11-21")).ends_at) == (EVER, None)


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "1", "d", "1y", "1 d", "1.5d", "100000s", "1D", "\u0661d", "monthly", "1mo\n", "01d"]
)
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(InvalidField, match="is not a period"):
        parse_period(text)


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2026-11-21T08:09:10", "90s", "2026-11-21T08:10:40"),
        ("2026-11-21T08:09:10", "30d", "2026-12-21T08:09:10"),
        ("2026-11-21T08:09:10", "1mo", "2026-12-21T08:09:10"),
        ("2026-12-31T08:09:10", "1mo", "2027-01-31T08:09:10"),
        ("2027-12-31", "2mo", "2028-02-29"),
        ("2026-01-31", "1mo", "2026-02-28"),
        ("2026-11-21", "99999s", "2026-11-22T03:46:39"),
    ],
)
def test_the_end_of_what_begins_now(start: str, period: str, end: str) -> None:
    assert end_of_period(at(start), period) == at(end)


@pytest.mark.parametrize("text", ["", "0d", "1y", "1.5d", "1mo\n", "\u0661d", "99999mo", "96000mo"])
def test_what_ends_never_or_is_no_period(text: str) -> None:
    with pytest.raises(ValueError, match="period"):
        end_of_period(at("2026-11-21"), text)

"""When a delivery is tried again, what an event's bytes are, and what a `Retry-After` says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.webhooks import (
    ATTEMPTS_LOGGED_MAX,
    PROGRESS_RETRY,
    RETRY_AFTER_S_MAX,
    Attempt,
    Delivery,
    DeliveryState,
    RetryRules,
    body_of,
    logged,
    next_attempt_at,
    retry_after_s,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = RetryRules(whole_s=72 * 3600, first_s=5, interval_s_max=4 * 3600)


def delivery(tries: int = 0, *, type_: str = "file.created", started_at: datetime = NOW) -> Delivery:
    return Delivery("we_1", "evt_1", type_, "file-1", DeliveryState.PENDING, tries, tries, NOW, started_at, NOW)


def failure(retry_after_s: float | None = None) -> Attempt:
    return Attempt(NOW, 1, 503, "status", retry_after_s=retry_after_s)


@given(st.integers(0, 10_000))
def test_waits_double_up_to_a_limit_and_are_spread(tries: int) -> None:
    due = next_attempt_at(delivery(tries), failure(), RULES, NOW)
    assert due is not None
    wait_s = (due - NOW).total_seconds()
    middle_s = min(4 * 3600.0, 5 * 2.0 ** min(tries, 40))
    assert middle_s * 0.75 <= wait_s <= middle_s * 1.25


def test_an_event_is_tried_for_three_days_and_some_twenty_times() -> None:
    now, tries = NOW, 0
    while (due := next_attempt_at(delivery(tries), failure(), RULES, now)) is not None:
        now, tries = due, tries + 1
    assert timedelta(hours=66) < now - NOW <= timedelta(hours=72)
    assert 20 <= tries <= 40


def test_progress_is_not_told_days_later() -> None:
    late = NOW + PROGRESS_RETRY
    assert next_attempt_at(delivery(type_="video.progress"), failure(), RULES, late) is None
    assert next_attempt_at(delivery(), failure(), RULES, late) is not None


@given(st.floats(0, RETRY_AFTER_S_MAX))
def test_a_retry_after_only_makes_the_wait_longer(asked_s: float) -> None:
    due = next_attempt_at(delivery(3), failure(asked_s), RULES, NOW)
    assert due is not None
    assert due - NOW >= timedelta(seconds=max(asked_s, 30)) - timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 5000, RETRY_AFTER_S_MAX),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 11:59:00 GMT", 0.0),
        ("Sat, 21 Nov 2099 12:00:00 GMT", RETRY_AFTER_S_MAX),
        ("٣", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_within_bounds(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, NOW) == expected


def test_the_log_keeps_the_newest_attempts() -> None:
    log: tuple[Attempt, ...] = ()
    for number in range(ATTEMPTS_LOGGED_MAX + 5):
        log = logged(log, Attempt(NOW, number, 500, "status"))
    assert [one.duration_ms for one in log] == list(range(5, ATTEMPTS_LOGGED_MAX + 5))


def test_the_bytes_of_an_event_are_ascii_json_of_openais_shape() -> None:
    body = body_of("evt_1", "video.progress", "video_1", {"progress": 42}, NOW)
    assert body.isascii()
    assert json.loads(body) == {
        "id": "evt_1",
        "object": "event",
        "created_at": int(NOW.timestamp()),
        "type": "video.progress",
        "data": {"id": "video_1", "progress": 42},
    }

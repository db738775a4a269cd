"""The window of the last minute: never more than the limit in any 60 seconds, and all of it for who comes alone."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.rates import WINDOW_S, Piece, Window, duration_text

BEGIN_S = 1_800_000_000.0
LIMITS = st.integers(1, 50)
PAUSES = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=80)


def again(window: Window, now_s: float) -> Window:
    """The same after a trip to the database."""
    return Window.of(json.loads(json.dumps(window.stored(now_s))), window.limit, now_s)


@given(LIMITS, PAUSES)
def test_no_minute_has_more_than_the_limit_and_a_free_one_lets_everything_through(
    limit: int, pauses: list[float]
) -> None:
    now_s, window, passed = BEGIN_S, Window(limit), list[float]()
    for pause_s in pauses:
        now_s += pause_s
        window = again(window, now_s)
        if window.room:
            window.take(1, now_s)
            passed.append(now_s)
        else:
            # A second later at most than an exact log of every call would let it through.
            assert sum(1 for at in passed if at > now_s - WINDOW_S - 1.001) >= limit
            assert now_s < window.room_at_s() <= now_s + WINDOW_S + 1
    for at in passed:
        assert sum(1 for other in passed if at <= other < at + WINDOW_S - 0.001) <= limit


@given(LIMITS, PAUSES)
def test_when_there_is_room_again_is_told_exactly(limit: int, pauses: list[float]) -> None:
    now_s, window = BEGIN_S, Window(limit)
    for pause_s in pauses:
        now_s += pause_s / 30
        window = again(window, now_s)
        if window.room:
            window.take(1, now_s)
            continue
        at_s = window.room_at_s()
        assert again(window, at_s - 0.01).room == 0
        assert again(window, at_s + 0.01).room > 0
        assert again(window, window.full_at_s() + 0.01).room == limit


@given(st.integers(1, 1000), st.integers(1, 20_000))
def test_what_is_larger_than_the_limit_is_a_debt_of_the_next_minutes(limit: int, amount: int) -> None:
    window = Window(limit)
    window.take(amount, BEGIN_S)
    for minute in range(1, 70):
        window = again(window, BEGIN_S + WINDOW_S * minute + 1)
        left = max(0, amount - minute * limit) if minute < 60 else 0
        assert window.used == left


@given(LIMITS, st.lists(st.tuples(st.integers(1, 90), st.floats(0, 5)), min_size=1, max_size=20), st.data())
def test_what_is_given_back_was_never_taken(limit: int, amounts: list[tuple[int, float]], data: st.DataObject) -> None:
    now_s, window = BEGIN_S, Window(limit)
    taken: list[tuple[tuple[Piece, ...], int]] = []
    for amount, pause_s in amounts:
        now_s += pause_s
        window = again(window, now_s)
        taken.append((window.take(amount, now_s), amount))
    total = window.used
    pieces, amount = data.draw(st.sampled_from(taken))
    window.give_back(pieces, amount)
    assert window.used == total - amount
    for rest, amount in taken:
        window.give_back(rest, amount)
    assert again(window, now_s).used == 0


def test_what_is_given_back_is_found_at_the_end_of_a_second_too() -> None:
    window = Window(10)
    now_s = BEGIN_S + 0.9997
    pieces = window.take(3, now_s)
    window = again(window, now_s)
    window.give_back(pieces, 3)
    assert window.used == 0


def test_a_clock_that_is_set_back_or_forth_locks_nobody_out() -> None:
    window = Window(3)
    window.take(3, BEGIN_S)
    stored = window.stored(BEGIN_S)
    back = Window.of(stored, 3, BEGIN_S - 86_400)
    assert back.room == 0
    assert back.room_at_s() == pytest.approx(BEGIN_S - 86_400 + WINDOW_S)
    assert Window.of(stored, 3, BEGIN_S + 86_400).room == 3
    # A process whose idea of the time is a little behind changes nothing.
    assert Window.of(stored, 3, BEGIN_S - 1).room_at_s() == pytest.approx(BEGIN_S + WINDOW_S)


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_of_nothing_never_has_room(limit: int) -> None:
    window = Window(limit)
    assert window.room == 0
    window.take(7, BEGIN_S)
    assert again(window, BEGIN_S + 61).room == 0


def test_a_limit_may_change_while_it_counts() -> None:
    window = Window(10)
    window.take(10, BEGIN_S)
    stored = window.stored(BEGIN_S)
    assert Window.of(stored, 4, BEGIN_S).room == 0
    assert Window.of(stored, 15, BEGIN_S).room == 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (0.0001, "1ms"),
        (0.02, "20ms"),
        (0.9999, "1000ms"),
        (1, "1s"),
        (59.2, "1m0s"),
        (360, "6m0s"),
        (3601, "1h0m1s"),
    ],
)
def test_durations_read_like_openais(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
    assert re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?|\d+ms", text)

"""Retries are a tenth of what is asked, and a few a second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.retry_budget import FREE_PER_S, RATIO, WINDOW_S, RetryBudget


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_are_free_at_little_traffic_and_come_back() -> None:
    clock = Seconds()
    budget = RetryBudget(now=clock)
    allowed = sum(budget.ask_again() for _ in range(1000))
    assert allowed == FREE_PER_S * WINDOW_S
    clock.now += WINDOW_S + 1
    assert budget.ask_again()


def test_they_are_a_tenth_of_much_traffic() -> None:
    clock = Seconds()
    budget = RetryBudget(now=clock)
    allowed = 0
    for _ in range(10_000):
        budget.ask()
        allowed += budget.ask_again()
    assert 1000 <= allowed <= 1000 + FREE_PER_S * WINDOW_S


def test_what_was_asked_long_ago_earns_nothing() -> None:
    clock = Seconds()
    budget = RetryBudget(now=clock)
    for _ in range(10_000):
        budget.ask()
    clock.now += WINDOW_S + 1
    assert sum(budget.ask_again() for _ in range(2000)) == FREE_PER_S * WINDOW_S


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 300), st.integers(0, 300)), max_size=40))
def test_no_window_has_more_than_its_share(steps: list[tuple[float, int, int]]) -> None:
    """Whatever the pattern: over all time retries are at most a tenth, and those that are free."""
    clock = Seconds()
    budget, began = RetryBudget(now=clock), clock.now
    asked = again = 0
    for pause_s, firsts, seconds in steps:
        clock.now += pause_s
        for _ in range(firsts):
            budget.ask()
        asked += firsts
        again += sum(budget.ask_again() for _ in range(seconds))
        free = FREE_PER_S * (clock.now - began + 2 * WINDOW_S)
        # What a window earns is spent in it at most; two windows may share what lies in both.
        assert again <= 2 * (RATIO * asked + free)

"""Each strategy by what it compares."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.routing.catalog import Deployment
from mediagate.routing.rules import Strategy
from mediagate.routing.strategies import Candidate, ranked

TURNS = 4000


def candidate(
    name: str, *, usd: float | None = None, busy: int = 0, latency: float | None = None, **own: Any
) -> Candidate:
    return Candidate(Deployment(name, "m", "p", "x", **own), usd, busy, latency)


def firsts(candidates: list[Candidate], strategy: Strategy, **options: Any) -> dict[str, float]:
    """Which share of the traffic each gets."""
    draw = random.Random(4711).random
    found = Counter(ranked(candidates, strategy, draw, **options)[0].deployment.id for _ in range(TURNS))
    return {name: count / TURNS for name, count in found.items()}


def test_the_shuffle_is_even_without_weights() -> None:
    shares = firsts([candidate(name) for name in "abcd"], Strategy.SIMPLE_SHUFFLE)
    assert shares == {name: pytest.approx(0.25, abs=0.03) for name in "abcd"}


def test_the_shuffle_follows_the_weights() -> None:
    group = [candidate("a", weight=6), candidate("b", weight=3), candidate("c")]
    shares = firsts(group, Strategy.SIMPLE_SHUFFLE)
    assert shares == {name: pytest.approx(share, abs=0.03) for name, share in zip("abc", (0.6, 0.3, 0.1), strict=True)}


def test_a_weight_of_nothing_is_a_spare() -> None:
    group = [candidate("spare", weight=0), candidate("a"), candidate("b", weight=1e-9)]
    order = [one.deployment.id for one in ranked(group, Strategy.SIMPLE_SHUFFLE, random.Random(1).random)]
    assert order == ["a", "b", "spare"]
    assert ranked(group[:1], Strategy.SIMPLE_SHUFFLE, random.random) == group[:1]


def test_without_weights_the_requests_per_minute_are_the_shares() -> None:
    shares = firsts([candidate("a", rpm=30), candidate("b", rpm=10)], Strategy.SIMPLE_SHUFFLE)
    assert shares["a"] == pytest.approx(0.75, abs=0.03)
    mixed = firsts([candidate("a", rpm=30), candidate("b")], Strategy.SIMPLE_SHUFFLE)
    assert mixed["a"] == pytest.approx(0.5, abs=0.03)


def test_the_rest_of_the_order_is_by_weight_too() -> None:
    group = [candidate("first", order=1), candidate("a", weight=3), candidate("b")]
    draw = random.Random(4711).random
    seconds = Counter(ranked(group, Strategy.SIMPLE_SHUFFLE, draw)[1].deployment.id for _ in range(TURNS))
    assert seconds["a"] / TURNS == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_lower_order_goes_before_any_strategy(strategy: Strategy) -> None:
    group = [
        candidate("none", usd=0.1, latency=0.1),
        candidate("second", usd=1, busy=2, latency=2, order=2),
        candidate("first", usd=9, busy=9, latency=9, order=1),
    ]
    assert [one.deployment.id for one in ranked(group, strategy, random.random)] == ["first", "second", "none"]


def test_the_least_busy_is_first_and_equals_are_shuffled() -> None:
    shares = firsts([candidate("a", busy=2), candidate("b", busy=1), candidate("c", busy=1)], Strategy.LEAST_BUSY)
    assert shares == {"b": pytest.approx(0.5, abs=0.03), "c": pytest.approx(0.5, abs=0.03)}


def test_the_cheapest_is_first_and_one_without_a_price_last() -> None:
    group = [candidate("unknown"), candidate("dear", usd=2.0), candidate("cheap", usd=0.5), candidate("free", usd=0.0)]
    order = [one.deployment.id for one in ranked(group, Strategy.LOWEST_COST, random.random)]
    assert order == ["free", "cheap", "dear", "unknown"]


def test_the_fastest_is_first_and_one_that_was_not_measured_is_tried() -> None:
    group = [candidate("slow", latency=9.0), candidate("fast", latency=3.0), candidate("new")]
    shares = firsts(group, Strategy.LATENCY)
    assert shares == {"fast": pytest.approx(0.5, abs=0.03), "new": pytest.approx(0.5, abs=0.03)}


def test_the_buffer_makes_the_nearly_fastest_as_good() -> None:
    group = [candidate("slow", latency=9.0), candidate("near", latency=3.2), candidate("fast", latency=3.0)]
    assert firsts(group, Strategy.LATENCY, latency_buffer=0.1).keys() == {"near", "fast"}


amounts = st.one_of(st.none(), st.floats(0, 1e6))
candidates = st.lists(
    st.builds(
        lambda usd, busy, latency, weight, order, rpm: (usd, busy, latency, weight, order, rpm),
        amounts,
        st.integers(0, 9),
        amounts,
        st.one_of(st.none(), st.floats(0, 1e6)),
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.integers(1, 100)),
    ),
    max_size=8,
)


@given(candidates, st.sampled_from(Strategy), st.lists(st.sampled_from([0.0, 0.5, 1 - 2**-53]), min_size=8, max_size=8))
def test_nobody_is_lost_or_doubled(rows: list[Any], strategy: Strategy, draws: list[float]) -> None:
    group = [
        candidate(str(index), usd=usd, busy=busy, latency=latency, weight=weight, order=order, rpm=rpm)
        for index, (usd, busy, latency, weight, order, rpm) in enumerate(rows)
    ]
    found = ranked(group, strategy, iter(draws).__next__)
    assert sorted(one.deployment.id for one in found) == sorted(one.deployment.id for one in group)

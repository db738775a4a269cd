from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.progress import (
    SAMPLES_MIN,
    Percentiles,
    Progress,
    ProgressSource,
    next_percent,
    overdue,
    percentiles,
    progress,
)

USUAL = Percentiles(p50_s=60.0, p90_s=100.0, samples=20)
any_number = st.one_of(st.none(), st.floats())


@given(st.lists(any_number, max_size=20))
def test_a_percentage_never_falls_and_never_says_done(reports: list[float | None]) -> None:
    percent = 0
    for report in reports:
        following = next_percent(percent, report)
        assert percent <= following <= 99
        percent = following


@given(st.lists(st.tuples(any_number, st.floats(0, 1e6)), max_size=20), st.sampled_from([None, USUAL]))
def test_reports_and_estimates_together_never_fall(
    steps: list[tuple[float | None, float]], usual: Percentiles | None
) -> None:
    percent = 0
    for report, elapsed_s in steps:
        shown = progress(percent, report, elapsed_s, usual)
        assert percent <= shown.percent <= 99
        percent = shown.percent


@given(st.lists(st.floats(0.001, 1e6), min_size=SAMPLES_MIN, max_size=200))
def test_percentiles_are_those_of_the_standard_library(durations_s: list[float]) -> None:
    found = percentiles(durations_s)
    assert found is not None
    tenths = statistics.quantiles(durations_s, n=10, method="inclusive")
    assert math.isclose(found.p50_s, tenths[4], rel_tol=1e-9)
    assert math.isclose(found.p90_s, tenths[8], rel_tol=1e-9)
    assert found.samples == len(durations_s)


def test_few_samples_are_no_basis() -> None:
    assert percentiles([1.0] * (SAMPLES_MIN - 1)) is None
    assert not overdue(1e9, None)


@pytest.mark.parametrize(
    ("reported", "elapsed_s", "usual", "expected"),
    [
        (42.9, 10.0, USUAL, Progress(42, ProgressSource.REPORTED, 50.0, 90.0, 20, False)),
        (42.9, 10.0, None, Progress(42, ProgressSource.REPORTED, None, None, 0, False)),
        (None, 50.0, USUAL, Progress(47, ProgressSource.ESTIMATED, 10.0, 50.0, 20, False)),
        (math.nan, 70.0, USUAL, Progress(66, ProgressSource.ESTIMATED, None, 30.0, 20, False)),
        (None, 100.0, USUAL, Progress(95, ProgressSource.ESTIMATED, None, 0.0, 20, False)),
        (None, 101.0, USUAL, Progress(95, ProgressSource.ESTIMATED, None, None, 20, True)),
        (None, 101.0, None, Progress(7, ProgressSource.ESTIMATED, None, None, 0, False)),
        (None, 1.0, Percentiles(0.0, 0.0, 20), Progress(7, ProgressSource.ESTIMATED, None, None, 20, True)),
        (100.0, 1.0, None, Progress(99, ProgressSource.REPORTED, None, None, 0, False)),
    ],
)
def test_what_is_shown(reported: float | None, elapsed_s: float, usual: Percentiles | None, expected: Progress) -> None:
    assert progress(7, reported, elapsed_s, usual) == expected

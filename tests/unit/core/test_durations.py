from __future__ import annotations

import pytest

from mediagate.core.durations import parse_duration_s
from mediagate.core.errors import InvalidField


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("15", 15.0),
        ("1.5s", 1.5),
        ("0", 0.0),
        ("007", 7.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text, max_s=3600) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "30 s",
        " 30s",
        "-1s",
        "+1",
        "1d",
        "30S",
        "1e3",
        "nan",
        "inf",
        ".5s",
        "5.",
        "1s1s",
        "٣s",
        "9" * 10,
        "1\n",
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidField, match="Write it like 30s") as caught:
        parse_duration_s(text, max_s=1e12)
    assert caught.value.param == "wait"


def test_more_than_the_bound_is_refused_and_the_bound_is_said() -> None:
    assert parse_duration_s("60s", max_s=60) == 60
    with pytest.raises(InvalidField, match="at most 60s") as caught:
        parse_duration_s("60.001s", max_s=60, param="timeout")
    assert caught.value.param == "timeout"

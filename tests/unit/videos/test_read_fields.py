"""Fields of a request, as a form and as JSON say them."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.core.errors import InvalidField
from mediagate.videos.read_fields import from_form, wishes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-0.5", -0.5),
        ("true", True),
        ("null", None),
        ('{"a": [1, "b"]}', {"a": [1, "b"]}),
        ("[1, 2]", [1, 2]),
        ("rain", "rain"),
        ("7 dwarfs", "7 dwarfs"),
        ("truely", "truely"),
        ("{not json", "{not json"),
        ("", ""),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
        ({"cfg": "3"}, {"cfg": 3}),
    ],
)
def test_what_is_for_the_provider_is_what_json_would_have(text: Any, value: Any) -> None:
    assert from_form({"wish": text}) == {"wish": value}


def test_our_own_fields_stay_texts() -> None:
    fields = {"prompt": "7", "seconds": "4", "user": "true"}
    assert from_form(fields) == fields


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_cost": 0}, "max_cost"),
        ({"max_cost": "free"}, "max_cost"),
        ({"max_cost": True}, "max_cost"),
        ({"generate_audio": "yes"}, "generate_audio"),
        ({"start_timeout": "0s"}, "start_timeout"),
        ({"cancel_after": "9d"}, "cancel_after"),
        ({"cancel_after": "999h"}, "cancel_after"),
        ({"extra_body": "x"}, "extra_body"),
        ({"wish": "x" * 70_000}, "extra_body"),
        ({"wish": "\0"}, "extra_body"),
        ({"wish": float("nan")}, "extra_body"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        wishes(fields)
    assert refused.value.param == param


def test_wishes_are_read() -> None:
    read = wishes(
        {
            "prompt": "a boat", "max_cost": "0.5", "generate_audio": "false", "start_timeout": "10m",
            "cancel_after": "1h", "negative_prompt": "rain", "extra_body": {"seed": 7}, "custom_llm_provider": "fal",
        }
    )  # fmt: skip
    assert (read["max_cost_usd"], read["audio"]) == (0.5, False)
    assert (read["start_timeout_s"], read["cancel_after_s"]) == (600, 3600)
    assert read["extra"] == {"negative_prompt": "rain", "seed": 7}

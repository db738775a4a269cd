"""Usage, as servers say it in either dialect."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mediagate.core.chat import Usage, Used
from mediagate.core.read_usage import read_usage, said_bytes


@pytest.mark.parametrize(
    ("tree", "used"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Used(Usage(3, 2))),
        (
            {
                "prompt_tokens": 30,
                "completion_tokens": 20,
                "total_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 4, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 1},
            },
            Used(Usage(30, 20, 10, 2, 6, 4, 1)),
        ),
        (
            {
                "input_tokens": 30,
                "input_tokens_details": {"cached_tokens": 10},
                "output_tokens": 20,
                "output_tokens_details": {"reasoning_tokens": 6},
                "total_tokens": 50,
            },
            Used(Usage(30, 20, cached_tokens=10, reasoning_tokens=6)),
        ),
        # xAI's thoughts are beside what it writes.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100},
                "cost_in_usd_ticks": 25_000_000,
            },
            Used(Usage(10, 105, reasoning_tokens=100), 0.0025),
        ),
        ({"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.5}, Used(Usage(1, 1), 0.5)),
        # The maker bills for the operator's own key.
        (
            {"prompt_tokens": 1, "cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}},
            Used(Usage(1), 0.21),
        ),
        ({"prompt_tokens": 1, "cost": 0.01, "is_byok": True, "cost_details": 5}, Used(Usage(1), 0.01)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Used(Usage(9, 0, cached_tokens=4))),
        # What is no figure is none.
        ({"prompt_tokens": -1, "completion_tokens": math.nan, "cost": math.nan}, Used(Usage())),
        ({"prompt_tokens": "3", "completion_tokens": True, "cost": -1}, Used(Usage())),
        ({"prompt_tokens": 10**400, "completion_tokens": math.inf, "cost": 10**400}, Used(Usage())),
        ({"prompt_tokens": 1, "prompt_tokens_details": 3}, Used(Usage(1))),
        ({}, None),
        (None, None),
        ([], None),
        ("x", None),
    ],
)
def test_usage(tree: Any, used: Used | None) -> None:
    found = read_usage(tree)
    if used is not None and used.cost_usd is not None:
        assert found is not None
        assert (found.usage, found.cost_usd) == (used.usage, pytest.approx(used.cost_usd))
    else:
        assert found == used


@pytest.mark.parametrize(
    "text", ["hello", "two\nlines", 'said "so"', "back\\", "ends with \\\\", "\u00fc\u2028", "\x00"]
)
def test_words_count_whatever_has_to_be_escaped_in_them(text: str) -> None:
    event = json.dumps({"choices": [{"delta": {"content": text, "role": "assistant"}}]})
    assert said_bytes(f"data: {event}\n\n".encode()) == len(json.dumps(text)) - 2

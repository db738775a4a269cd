"""The judge of bodies for Anthropic judges."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.chat.anthropic_oracle import require_body

GOOD: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    "more",
    [
        {"stop": ["x"]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "id": "f"}}]}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"tools": [{"name": "x", "input_schema": {}, "parameters": {}}]},
        {"tool_choice": {"type": "required"}},
    ],
)
def test_a_wrong_body_is_found(more: dict[str, Any]) -> None:
    require_body(GOOD)
    with pytest.raises(AssertionError):
        require_body({**GOOD, **more})

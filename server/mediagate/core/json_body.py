"""A caller's JSON body, which may be anything."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from mediagate.core.errors import InvalidRequest

LEVELS_MAX: Final = 200
"""How deep a body may be nested: whoever reads or writes one goes down by calls of itself, and has to get there."""


def json_object(data: bytes) -> dict[str, Any]:
    """The object that a body is; an empty body is an empty one.

    Raises `InvalidRequest` for what is no JSON, no object, nested more than `LEVELS_MAX` levels deep, or has a number
    that no float holds.
    """
    try:
        tree = json.loads(data or b"{}", parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "We could not parse the JSON body of your request. Check that it is valid JSON and arrived whole.",
            code="invalid_json",
        ) from None
    if not isinstance(tree, dict):
        raise InvalidRequest("The JSON body must be an object.", code="invalid_json")
    if is_deep(data, tree):
        raise InvalidRequest(f"The JSON body is nested more than {LEVELS_MAX} levels deep.", code="invalid_json")
    return tree


def is_deep(data: bytes, tree: Any) -> bool:
    """Whether `tree`, which `data` was read as, is nested more than `LEVELS_MAX` levels deep."""
    if data.count(b"[") + data.count(b"{") <= LEVELS_MAX:
        # Nearly every body; counting is quick.
        return False
    level = [tree]
    for _ in range(LEVELS_MAX):
        level = [
            member
            for one in level
            for member in (one.values() if isinstance(one, dict) else one)
            if isinstance(member, dict | list)
        ]
        if not level:
            return False
    return True


def _refuse(_: str) -> NoReturn:
    """NaN and infinities are Python's idea of JSON."""
    raise ValueError


def _finite(text: str) -> float:
    """1e999 is JSON, but what it is read as cannot be written as JSON again."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number

"""A caller's JSON body, which may be anything."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from mediagate.core.errors import InvalidRequest

LEVELS_MAX: Final = 200
"""How deep a body may be nested: whoever reads or writes one goes down by calls of itself, and has to get there."""
VALUES_MAX: Final = 500_000
"""How many values a body may have: one is a byte or two of it, a hundred bytes of memory, and time for which everybody
else waits."""
# To the end of the body where a text has no end, so that nothing is looked at twice.
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def json_object(data: bytes) -> dict[str, Any]:
    """The object that a body is; an empty body is an empty one.

    Raises `InvalidRequest` for what is no JSON, no object, nested more than `LEVELS_MAX` levels deep, of more than
    `VALUES_MAX` values, or with a number that no float holds.
    """
    if _is_wide(data):
        raise InvalidRequest(f"The JSON body has more than {VALUES_MAX} values.", code="invalid_json")
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


def _is_wide(data: bytes) -> bool:
    """Whether there are more than `VALUES_MAX` values, at the least, in what may be JSON."""
    if _marks(data) <= VALUES_MAX:
        return False
    # A value is one text, or two with its name.
    texts_max = 2 * VALUES_MAX
    bare, texts = _TEXT.subn(b"", data, texts_max)
    return texts == texts_max or _marks(bare) > VALUES_MAX


def _marks(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _refuse(_: str) -> NoReturn:
    """NaN and infinities are Python's idea of JSON."""
    raise ValueError


def _finite(text: str) -> float:
    """1e999 is JSON, but what it is read as cannot be written as JSON again."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number

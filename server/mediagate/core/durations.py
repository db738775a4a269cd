"""How long to wait, as callers write it: `?wait=30s`."""

from __future__ import annotations

import re
from typing import Final

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def parse_duration_s(text: str, *, max_s: float, param: str = "wait") -> float:
    """Return the seconds that `500ms`, `30s`, `1.5m`, `2h` or `15` (seconds) stand for.

    Raises `InvalidField(param)` for anything else and for more than `max_s`: a shorter wait than the caller asked for
    would look like an answer that came too early.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidField(
            f"{param!r} is not a duration: '{echo(text)}'. Write it like 30s, 500ms, 2m or 15 (seconds).", param=param
        )
    duration_s = float(match[1]) * _UNIT_S[match[2]]
    if duration_s > max_s:
        raise InvalidField(f"{param!r} may be at most {max_s:g}s.", param=param, max_s=max_s)
    return duration_s

"""What callers may ask of endpoints."""

from __future__ import annotations

from collections.abc import Sequence

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.webhooks import EMITTED

PROGRESS_INTERVAL_S = 10.0
LIMIT_DEFAULT = 20


def check_event_types(types: Sequence[str], *, param: str = "event_types") -> tuple[str, ...]:
    """The types once each, in their order. Raises `InvalidField`."""
    for name in types:
        if name not in EMITTED:
            allowed = ", ".join(EMITTED)
            raise InvalidField(f"'{param}' has no type {echo(name)}. There are {allowed}.", param=param)
    return tuple(dict.fromkeys(types))

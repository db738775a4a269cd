"""Members of a chat that no contract of OpenAI's has: they go into a native provider's body beside what the gateway
sets there, and may name nothing that others have stored in the account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.providers.media_body import merged


def with_extra(
    body: Mapping[str, Any], extra: Mapping[str, Any], *, reserved: frozenset[str], schemes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`body` with the members of `extra` that it has not; objects in both are merged. Raises `InvalidField` for a
    member called like one of `reserved`, at any depth and in any spelling, and for a text that begins with one of
    `schemes`."""
    if not extra:
        return dict(body)
    require_free(extra, reserved, schemes)
    return merged(extra, body)


def require_free(extra: Mapping[str, Any], reserved: frozenset[str], schemes: tuple[str, ...] = ()) -> None:
    """Raises `InvalidField` for what `with_extra` does not take."""
    kept = frozenset(map(_plain, reserved))
    for top, value in extra.items():
        for name, member in _members(top, value):
            if _plain(name) in kept:
                raise InvalidField(
                    f"'{echo(name)}' in '{echo(top)}' is set by the gateway alone. Files are given in 'messages'.",
                    param=echo(top),
                )
            if schemes and isinstance(member, str) and member.strip().lower().startswith(schemes):
                raise InvalidField(
                    f"'{echo(top)}' names what is stored in the gateway's own account. Files are given in 'messages'.",
                    param=echo(top),
                )


def _plain(name: str) -> str:
    # Google's APIs take system_instruction for systemInstruction.
    return name.replace("_", "").lower()


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        yield name, value
        if isinstance(value, Mapping):
            waiting += [(str(inner), member) for inner, member in value.items()]
        elif isinstance(value, list):
            waiting += [(name, member) for member in value]

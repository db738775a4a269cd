"""What a caller's members for the provider may not say.

They go into the provider's body over what the gateway sets there, so none may lead an output elsewhere, reach what
others have stored in the account, make several videos where one is delivered, or change what a bound on the price was
held against.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.providers.base import VideoSpec

_SEPARATORS: Final = re.compile(r"[\[\].]+")
_MULTIPLIERS: Final = frozenset(
    {
        "batchsize", "candidatecount", "n", "numberofoutputs", "numberofvideos", "numgenerations", "numoutputs",
        "numoutputsperprompt", "numsamples", "numvideos", "numvideosperprompt", "outputcount", "samplecount",
    }
)  # fmt: skip
_ONE: Final = (None, 1, "1", "")


def require_free(extra: Mapping[str, Any], spec: VideoSpec, *, bounded: bool) -> None:
    """Raises `InvalidField` naming the first member that may not be there. `bounded` tells that the caller gave a most
    that the video may cost."""
    reserved = frozenset(map(_plain, spec.reserved))
    priced = {_plain(name): ours for name, ours in spec.priced.items()} if bounded else {}
    for name, value in _members(extra):
        parts = {_plain(part) for part in _SEPARATORS.split(name)}
        shown = echo(name)
        if parts & reserved:
            raise InvalidField(f"'{shown}' is set by the gateway alone. Leave it out.", param=shown)
        if parts & _MULTIPLIERS and (isinstance(value, bool) or value not in _ONE):
            raise InvalidField(f"'{shown}' asks for more than one video; each request makes one.", param=shown)
        ours = next((priced[part] for part in sorted(parts) if part in priced), None)
        if ours is not None:
            raise InvalidField(
                f"'{shown}' changes the price that 'max_cost' is held against. Give '{ours}' in its place.", param=shown
            )
        for place in _texts(value):
            if place.lower().startswith(spec.reserved_schemes):
                raise InvalidField(f"'{shown}' names what is stored in the gateway's own account.", param=shown)


def is_ours(name: str, ours: frozenset[str]) -> bool:
    """Whether a member is one of `ours`, or a part of one, as forms write it: `video[id]`, `video.id`."""
    return _SEPARATORS.split(name, maxsplit=1)[0] in ours


def _plain(name: str) -> str:
    # Google's APIs take storage_uri for storageUri.
    return name.replace("_", "").replace("-", "").lower()


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield name, member
            yield from _members(member)
    elif isinstance(value, list):
        for member in value:
            yield from _members(member)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

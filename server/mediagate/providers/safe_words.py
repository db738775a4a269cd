"""What a provider says of a failure, fit for an end user: without addresses, paths and the provider's own numbers."""

from __future__ import annotations

import re
from typing import Final

from mediagate.core.limits import echo

CHARS_MAX: Final = 300
# What is looked through takes time that grows with the square of its length.
_READ_CHARS: Final = 4 * CHARS_MAX
_INSIDES: Final = re.compile(
    r"""
      \b(?:[a-z][a-z0-9+.-]*):// [^\s"'<>]+                              # addresses
    | \(?\b(?:x-)?(?:request|trace|correlation|job|task)[ _-]?ids?\b[\s:="']* [\w-]*\d[\w-]* ["'.]? \)?
    | \b(?:req|trace)[_-][\w-]*\d[\w-]*
    | \[?(?:(?:[0-9a-f]{1,4}:){4,7}|[0-9a-f:]*::)[0-9a-f:]+\]? (?::\d{1,5})?  # IPv6
    | \b\d{1,3}(?:\.\d{1,3}){3}\b (?::\d{1,5})?                          # IPv4
    | \b[\w-]+(?:\.[\w-]+)*\.(?:internal|local|localdomain|lan|svc|corp|cluster)\b[\w.-]* (?::\d{1,5})?
    | \blocalhost\b (?::\d{1,5})?
    | (?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*                                # paths
    """,
    re.IGNORECASE | re.VERBOSE,
)


def safe_words(said: object) -> str:
    """The first line of a provider's sentence, at most `CHARS_MAX` characters; empty where it said none."""
    if not isinstance(said, str):
        return ""
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")[:_READ_CHARS]
    return echo(" ".join(_INSIDES.sub("…", first).split()), chars_max=CHARS_MAX)

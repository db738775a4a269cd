"""End users: those for whom an owner calls. They have no key; the owner says who they are."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from mediagate.core.errors import InvalidField
from mediagate.core.objects import Principal

HEADERS: Final = ("x-mediagate-user", "x-litellm-end-user-id", "x-litellm-customer-id")
"""Headers that name the end user for whom a call acts; those of the peer count as our own."""
FIELD: Final = "user"
"""The member of a request that names the end user of what it makes, or whose objects it lists."""
CHARS_MAX: Final = 256


def check_end_user(text: str, param: str = FIELD) -> str:
    """`text` as it is. Raises `InvalidField(param)` where it is empty, too long or holds a control character."""
    if not text or len(text) > CHARS_MAX:
        raise InvalidField(f"'{param}' must have 1 to {CHARS_MAX} characters.", param=param)
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
        raise InvalidField(f"'{param}' must not hold control characters or line breaks.", param=param)
    return text


def end_user_of(headers: Sequence[tuple[str, str]]) -> str | None:
    """The end user that these headers name; None where there is none. Raises `InvalidField` where they differ."""
    named = {check_end_user(text, name): name for name, text in headers}
    if len(named) > 1:
        raise InvalidField(
            f"The headers {' and '.join(named.values())} name different end users. Send one of them.",
            param=list(named.values())[-1],
        )
    return next(iter(named), None)


def settled_end_user(who: Principal, given: str | None) -> str | None:
    """Whose an object will be, or whose objects are meant: the one that the caller acts for, or `given` in the request.

    Raises `InvalidField` where both are there and differ.
    """
    if not given:
        return who.end_user
    check_end_user(given)
    if who.end_user not in (None, given):
        raise InvalidField(
            f"'{FIELD}' names another end user than the one that this call acts for. Leave it out, or send the same.",
            param=FIELD,
        )
    return given

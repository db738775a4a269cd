"""What goes wrong with a URL of a caller. No message tells what a name resolves to.

InvalidField     400  url_not_allowed    the rules refuse the URL, or where it leads
InvalidField     400  url_not_reachable  nothing usable is there
PayloadTooLarge  413  url_too_large      the content is larger than the limit
TransferBroken   an `OSError`: the content began, and its end did not come
"""

from __future__ import annotations

from mediagate.core.errors import InvalidField, PayloadTooLarge


class TransferBroken(OSError):
    """The bytes that came are not known to be all."""


def not_allowed(param: str, why: str) -> InvalidField:
    """The rules refuse the URL in the field `param`."""
    return InvalidField(f"The URL in '{param}' is not allowed: {why}.", param=param, code="url_not_allowed")


def not_reachable(param: str, why: str) -> InvalidField:
    """The URL in the field `param` gives nothing that can be used."""
    return InvalidField(f"The URL in '{param}' cannot be fetched: {why}.", param=param, code="url_not_reachable")


def too_large(param: str, bytes_max: int) -> PayloadTooLarge:
    """The content is larger than `bytes_max`."""
    return PayloadTooLarge(
        f"The content of the URL in '{param}' is too large: the limit is {bytes_max} bytes.",
        param=param,
        code="url_too_large",
        limit_bytes=bytes_max,
    )

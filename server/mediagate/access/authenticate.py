"""Who is calling."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from mediagate.core.errors import Unauthenticated
from mediagate.core.objects import Principal

OWNER_OF_MASTER_KEY = "master"


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Turns the key of a request into a principal. Keys are compared as digests, in constant time."""

    master_key: str = field(repr=False)
    _digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_digest", hashlib.sha256(self.master_key.encode()).digest())

    def run(self, authorization: str | None, api_key: str | None) -> Principal:
        """`authorization` is `Bearer KEY`; Azure's clients send `api-key` instead. Raises `Unauthenticated`."""
        key = api_key
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            key = token.strip() if scheme.lower() == "bearer" else None
        if not key:
            raise Unauthenticated(
                "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY' or 'api-key: YOUR_KEY'."
            )
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        if not hmac.compare_digest(digest, self._digest):
            raise Unauthenticated("Incorrect API key provided.")
        return Principal(OWNER_OF_MASTER_KEY, uses_providers=True)

"""Secrets of keys and tokens: 256 random bits, shown once."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from mediagate.core.handles import HANDLE_PREFIX

PREFIX: Final = "sk-"
HINT_CHARS: Final = 4


def new_secret() -> str:
    """A secret that nobody has."""
    return PREFIX + secrets.token_urlsafe(32)


def new_token() -> str:
    """The same for a token, which may leave the server."""
    return HANDLE_PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret. It is random, so that a fast hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def hint_of(secret: str) -> str:
    """What people know a secret by."""
    return secret[-HINT_CHARS:]

"""Secrets that lie in the database, and can be read only with the master key, which does not."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PURPOSE: Final = b"mediagate account memory 1"
_NONCE_BYTES: Final = 12


class Seal:
    """AES-256-GCM under a key that scrypt makes of the master key: that is any text, and may be a weak one."""

    def __init__(self, master_key: str) -> None:
        """Takes about 50 ms."""
        self._cipher = AESGCM(hashlib.scrypt(master_key.encode(), salt=_PURPOSE, n=1 << 14, r=8, p=1, dklen=32))

    def close(self, secret: bytes, about: str) -> bytes:
        """The secret, sealed. It opens only as what it is about."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """The secret. Raises `ValueError` where another key sealed it, or it is about something else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
        except InvalidTag:
            raise ValueError("sealed with another key") from None

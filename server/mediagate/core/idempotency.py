"""What makes two calls the same: the caller's key, and a fingerprint of the parameters that survives a retry.

A client that retries builds its request anew: another boundary, other chunks, another order of members. None of that
is in a fingerprint; every value, name and byte of content is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import xxhash

from mediagate.core.errors import InvalidField
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent

KEY_HEADER: Final = "Idempotency-Key"
KEY_CHARS_MAX: Final = 255
_KEY: Final = re.compile(rf"[!-~]{{1,{KEY_CHARS_MAX}}}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it is repeated: the encoded message, and the headers that went with it."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """What is known of a call with a key. `attempt` tells its holders apart: what an earlier one writes is refused.

    `fingerprint` is None while the parameters are still arriving, `reply` until the call has succeeded.
    """

    owner_id: str
    key: str
    method: str
    object_id: str | None
    attempt: int
    fingerprint: bytes | None
    reply: Reply | None
    lease_expires_at: datetime
    expires_at: datetime


def check_key(values: Sequence[str]) -> str:
    """The one value of the header. Raises `InvalidField` for several, and for what is not 1 to 255 visible characters
    of ASCII."""
    if len(values) != 1 or _KEY.fullmatch(values[0]) is None:
        raise InvalidField(
            f"'{KEY_HEADER}' must be one value of 1 to {KEY_CHARS_MAX} visible ASCII characters.",
            param=KEY_HEADER,
            code="invalid_idempotency_key",
        )
    return values[0]


def digest_of(*items: bytes) -> bytes:
    """SHA-256 of a list of values, each behind its length, so that no two lists are alike."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(len(item).to_bytes(8))
        digest.update(item)
    return digest.digest()


def json_digest(data: bytes) -> bytes:
    """The same for JSON whatever its white space and the order of its members; other bytes are taken as they are."""
    try:
        text = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return digest_of(b"bytes", data)
    return digest_of(b"json", text.encode())


class ContentDigest:
    """Bytes that pass, in whatever pieces.

    Told apart by XXH3 of 128 bits: nobody but the key's owner could gain by two that are alike, and SHA-256, which is
    computed only where it must prove the content, takes ten times as long.
    """

    def __init__(self, *, proves: bool = False) -> None:
        self._digest = xxhash.xxh3_128()
        self._sha256 = hashlib.sha256() if proves else None
        self.size_bytes = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(data)
        if self._sha256 is not None:
            self._sha256.update(data)
        self.size_bytes += len(data)

    def is_proven(self, sha256: str) -> bool:
        """Whether the content has this SHA-256, in lower-case hexadecimal; False where it is not computed."""
        return self._sha256 is not None and self._sha256.hexdigest() == sha256

    def digest(self) -> bytes:
        """Of the size and the content."""
        return digest_of(self.size_bytes.to_bytes(8), self._digest.digest())


class FormDigest:
    """The events of one form. Fields of different names may come in any order, before or behind a file; values of one
    name keep theirs, since the last one stands and lists are in order."""

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []
        self._files: list[tuple[FileStart, ContentDigest]] = []

    def add(self, event: FormEvent) -> None:
        """Take the next event."""
        match event:
            case FileData(data):
                self._files[-1][1].add(data)
            case FieldEnd(name, value):
                self._fields.append((name, value))
            case FileStart():
                self._files.append((event, ContentDigest()))
            case FileEnd():
                pass

    def digest(self) -> bytes:
        """SHA-256 of names, values, file names and contents."""
        return digest_of(b"form", *self._items())

    def _items(self) -> Iterable[bytes]:
        for name, value in sorted(self._fields, key=lambda field: field[0]):
            yield from (b"field", name.encode(), value.encode())
        for start, content in self._files:
            yield from (b"file", start.name.encode(), start.filename.encode(), content.digest())

"""Tokens that may leave the server: each opens one thing for a while, and is no key.

A handle is what such a token allows to whoever presents it; a token is what its maker knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

HANDLE_PREFIX: Final = "mgt_"
"""How every token begins, so that a key is never taken for one."""


class HandleKind(StrEnum):
    """What a token is for."""

    WATCH = "watch"
    PLAYBACK = "playback"
    UPLOAD = "upload"
    END_USER = "end_user"


@dataclass(frozen=True, slots=True)
class UploadTerms:
    """What the maker of a token for one upload has settled. `fields` are those of the form, as if they had been sent;
    the file has the name `filename`, where there is one, and at most `bytes_max` bytes."""

    fields: tuple[tuple[str, str], ...]
    bytes_max: int
    filename: str | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> UploadTerms:
        """From JSON."""
        fields = tuple((str(name), str(value)) for name, value in stored["fields"])
        return cls(fields, int(stored["bytes_max"]), stored.get("filename"))

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {"fields": [list(pair) for pair in self.fields], "bytes_max": self.bytes_max, "filename": self.filename}

    def field(self, name: str) -> str | None:
        """One of the fields."""
        return dict(self.fields).get(name)


@dataclass(frozen=True, slots=True)
class Handle:
    """What a token allows. `object_id` is the one object that there is for it; None where its kind says which."""

    id: str
    kind: HandleKind
    object_id: str | None = None
    terms: UploadTerms | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token, as its maker sees it. It belongs to its maker's owner, and to the end user for whom it acts.

    `used_at` and `made_id` are of one for an upload: when its file was stored, and which it is.
    """

    id: str
    owner_id: str
    kind: HandleKind
    hint: str
    created_at: datetime
    expires_at: datetime
    end_user: str | None = None
    key_id: str | None = None
    object_id: str | None = None
    terms: UploadTerms | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None
    made_id: str | None = None

    def status(self, now: datetime) -> str:
        """`revoked`, `used`, `expired` or `active`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.used_at is not None:
            return "used"
        return "expired" if self.expires_at <= now else "active"

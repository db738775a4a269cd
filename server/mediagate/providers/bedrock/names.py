"""How our files are called in a bucket: `prefix/KEY/name`, and what the object's metadata says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from mediagate.core import ids
from mediagate.providers.files import NewFile

SCHEMES: Final = ("s3://", "bedrock://")
KEY_METADATA: Final = "mediagate-key"
NAME_METADATA: Final = "filename"
PURPOSE_METADATA: Final = "purpose"
# S3 takes 2 KB of metadata in all.
_QUOTED_CHARS_MAX: Final = 1500
_NAME_CHARS_MAX: Final = 120
_SUFFIX_CHARS_MAX: Final = 16
_FORBIDDEN: Final = re.compile(r"[^-!_*'().a-zA-Z0-9]")


@dataclass(frozen=True, slots=True)
class Place:
    """One object's bucket and key."""

    bucket: str
    key: str

    @property
    def ref(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The end of the path."""
        return self.key.rstrip("/").rpartition("/")[2]

    @property
    def params(self) -> dict[str, Any]:
        """The members that every call for the object has."""
        return {"Bucket": self.bucket, "Key": self.key}


def place_of(ref: str) -> Place:
    """The object behind `s3://bucket/key` or `bedrock://bucket/key`. Raises `FileNotFoundError` for what is neither:
    there is no such object."""
    for scheme in SCHEMES:
        bucket, slash, key = ref.removeprefix(scheme).partition("/")
        if ref.startswith(scheme) and bucket and slash and key:
            return Place(bucket, key)
    raise FileNotFoundError("not the URI of an object in S3")


def new_place(bucket: str, prefix: str, new: NewFile) -> Place:
    """Where a new file goes."""
    return Place(bucket, f"{prefix}/{new.key}/{sanitised(new.filename)}")


def sanitised(filename: str) -> str:
    """`filename` with nothing in it that a batch job refuses in an `s3Uri`, or that means something in a path."""
    name = _FORBIDDEN.sub("_", filename)
    stem, dot, suffix = name.rpartition(".")
    if stem and len(suffix) <= _SUFFIX_CHARS_MAX:
        name = stem[: _NAME_CHARS_MAX - len(suffix) - 1] + dot + suffix
    return name[:_NAME_CHARS_MAX] if name.strip(".") else "file"


def key_in(path: str, prefix: str) -> str | None:
    """Our id in an object's key; None for what is not ours."""
    if not path.startswith(f"{prefix}/"):
        return None
    key, slash, _ = path[len(prefix) + 1 :].partition("/")
    return key if slash and ids.is_file_id(key) else None


def metadata_of(new: NewFile) -> dict[str, str]:
    """The object's metadata: ASCII only, the name percent-encoded."""
    name = new.filename
    while len(_quoted(name)) > _QUOTED_CHARS_MAX:
        # No character becomes more than 12.
        name = name[: -1 - (len(_quoted(name)) - _QUOTED_CHARS_MAX) // 12]
    return {KEY_METADATA: new.key, NAME_METADATA: _quoted(name), PURPOSE_METADATA: _quoted(new.purpose)}


def _quoted(text: str) -> str:
    return quote(text, safe="!#$&'()+,;=@[]{}~", errors="replace")


def told(place: Place, metadata: Mapping[str, Any], prefix: str) -> tuple[str, str, str | None]:
    """An object's file name, purpose and our id. What somebody else wrote has the end of its path as its name. The id
    comes from the path alone: a copy of our object at another place is not ours to remove."""
    key = key_in(place.key, prefix)
    if not metadata.get(KEY_METADATA):
        return place.name, "", key
    name = unquote(metadata.get(NAME_METADATA) or "") or place.name
    return name, unquote(metadata.get(PURPOSE_METADATA) or ""), key

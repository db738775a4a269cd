"""Names and resources of Google Cloud Storage, turned into what mediagate knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from mediagate.core import ids
from mediagate.core.errors import ProviderFailed
from mediagate.providers.files import NewFile, ProviderFile

_REF: Final = re.compile(r"(?:gs|vertex_ai)://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/(?P<name>.+)", re.DOTALL)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
NAME_CHARS_MAX: Final = 100
# What an answer has to hold; the rest of an object's resource is long, and a page has up to a thousand of them.
OBJECT_FIELDS: Final = "name,bucket,size,contentType,timeCreated,updated,generation,crc32c,metadata"
PAGE_FIELDS: Final = f"nextPageToken,items({OBJECT_FIELDS})"


@dataclass(frozen=True, slots=True)
class Place:
    """An object's bucket and name."""

    bucket: str
    name: str

    @property
    def ref(self) -> str:
        """How Vertex AI and our callers name it."""
        return f"gs://{self.bucket}/{self.name}"

    @property
    def path(self) -> str:
        """Where the JSON API has its resource, from the API's root."""
        return f"/storage/v1/b/{quote(self.bucket, safe='')}/o/{quote(self.name, safe='')}"


def is_uri(text: str) -> bool:
    """Whether `text` names an object of this cloud."""
    return text.startswith(("gs://", "vertex_ai://"))


def parse_ref(ref: str) -> Place:
    """Raises `FileNotFoundError` for what cannot be the name of an object: nothing is there."""
    match = _REF.fullmatch(ref)
    # No object can have the last two names, and in a URL they would mean another place.
    if match is None or match["name"] in (".", ".."):
        raise FileNotFoundError("no such object")
    return Place(match["bucket"], match["name"])


def safe_name(filename: str) -> str:
    """The file's name as the last part of an object's name: characters that need no escape anywhere."""
    stem, dot, suffix = filename.rpartition(".")
    if not stem or len(suffix) > 16:
        stem, dot, suffix = filename, "", ""
    ending = dot + _UNSAFE.sub("_", suffix)
    name = _UNSAFE.sub("_", stem)[: NAME_CHARS_MAX - len(ending)] + ending
    return name if name.strip("._") else "file"


def metadata_of(new: NewFile) -> dict[str, str]:
    """What the object carries of our file. A name is escaped, because a download shows these as headers."""
    return {"key": new.key, "filename": quote(new.filename), "purpose": new.purpose}


def resource_of(new: NewFile, content_type: str | None = None, **more: str) -> dict[str, Any]:
    """The resource to create an object with."""
    return {"contentType": content_type or new.content_type, "metadata": metadata_of(new), **more}


def key_of(name: str, root: str) -> str | None:
    """Our id in an object's name, under the prefix `root`, which ends with a slash; None for an object of others."""
    parts = name.removeprefix(root).split("/")
    ours = name.startswith(root) and len(parts) == 2 and ids.is_file_id(parts[0])
    return parts[0] if ours else None


def file_of(resource: Mapping[str, Any], root: str, title: str) -> ProviderFile:
    """The record of an object. Raises `ProviderFailed` for a resource that lacks what each has."""
    try:
        name = str(resource["name"])
        key = key_of(name, root)
        metadata = resource.get("metadata", {}) if key else {}
        return ProviderFile(
            ref=Place(str(resource["bucket"]), name).ref,
            filename=unquote(metadata["filename"]) if "filename" in metadata else name.rpartition("/")[2],
            size_bytes=int(resource["size"]),
            created_at=time_of(resource["timeCreated"]),
            content_type=str(resource.get("contentType", "")),
            purpose=str(metadata.get("purpose", "")),
            key=key,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise bad_answer(title) from None


def time_of(text: str) -> datetime:
    """A time of RFC 3339."""
    return datetime.fromisoformat(text)


def bad_answer(title: str) -> ProviderFailed:
    """For an answer that makes no sense."""
    return ProviderFailed(f"{title} gave an answer that cannot be read.", code="provider_bad_answer")

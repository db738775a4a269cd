"""What a file provider is to the rest of mediagate: one required protocol, and capabilities that it has or has not.

Errors. Whatever goes wrong at a provider is raised as an error of `mediagate.core.errors`, by one mapping per
transport: `ProviderRefused`, `ProviderFailed`, `ProviderTimeout`, `Unavailable`, `RateLimited`, `InvalidRequest`. What
is absent is a `FileNotFoundError`; what the provider cannot do is `Unsupported`. Creates are never repeated here; other
calls are tried at most three times.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Protocol, runtime_checkable

from mediagate.core import ids
from mediagate.core.errors import Unsupported
from mediagate.core.objects import Page
from mediagate.providers.base import Content

MARK = "--"
_MARKED = re.compile(rf"(?P<stem>.*){MARK}(?P<key>{ids.FILE.pattern.pattern})(?P<suffix>\.[^.]*)?", re.DOTALL)


class FileOperation(StrEnum):
    """What the support matrix has a column for."""

    CREATE = "create"
    GET = "get"
    LIST = "list"
    DELETE = "delete"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """What a file provider is, for the support matrix and for refusals before any call.

    `notes` says in a few words what an operation is bound to ("only files that the model made"). `storage_bytes_max`
    is what one account can hold, as the provider documents it. `life_s` is how long the provider keeps a file by
    itself. `takes_purpose` tells whether a create has to name the purpose. `lifecycle` tells whether the store can be
    told to expire what lies under a prefix, `own_prefix` whether everything of ours lies under one that is ours alone.
    `reads_uploads` is False where `open` gives back only what the provider itself has made, and refuses uploads with
    `Unsupported`. `source` is where all this is documented.
    """

    name: str
    title: str
    source: str
    takes_purpose: bool = False
    supports: frozenset[FileOperation] = frozenset(FileOperation)
    notes: Mapping[FileOperation, str] = field(default_factory=dict)
    file_bytes_max: int | None = None
    storage_bytes_max: int | None = None
    life_s: int | None = None
    lifecycle: bool = False
    own_prefix: bool = False
    reads_uploads: bool = True

    def require(self, operation: FileOperation) -> None:
        """Raises `Unsupported` for an operation that the provider does not have."""
        if operation not in self.supports:
            raise unsupported(self, operation)


def unsupported(spec: FileSpec, operation: FileOperation) -> Unsupported:
    """The answer for an operation that a provider has not, or not for this file."""
    note = spec.notes.get(operation)
    because = f": {note}" if note else ""
    return Unsupported(
        f"{spec.title} cannot do '{operation}' for this file{because}.",
        param="custom_llm_provider",
        code="unsupported_by_provider",
        provider=spec.name,
        operation=operation,
    )


@dataclass(frozen=True, slots=True)
class NewFile:
    """What a store is told of a file before its first byte.

    `key` is our id of the file: the same for every attempt, never text of a user's. `content_type` was found in the
    bytes. `size_bytes` is set only where it is certain. `life_s` is when the file shall be gone, from now.
    """

    key: str
    filename: str = ""
    content_type: str = "application/octet-stream"
    purpose: str = "user_data"
    size_bytes: int | None = None
    life_s: int | None = None


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What a store says of an object that it has taken completely.

    `ready` is False where the provider still works on it: `get` then tells when it is done. `sha256` is set where the
    bytes did not pass this process and the store knows it.
    """

    ref: str
    size_bytes: int
    ready: bool = True
    expires_at: datetime | None = None
    sha256: str | None = None


class BlobWriter(Protocol):
    """One object on its way into a store. Nothing is visible to readers of the store before `commit`, where the store
    has such a thing; after `abort` nothing is left."""

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; returns when the store can take more (back-pressure). Holds no more than some MiB."""
        ...

    async def commit(self) -> StoredBlob:
        """Make the object durable, with its bytes proven where the store tells a checksum.

        Raises `FileNotFoundError` where it was deleted meanwhile, `ProviderFailed` where the store took other bytes.
        """
        ...

    async def abort(self) -> None:
        """Leave nothing behind; safe after any failure, after a commit, and when called twice."""
        ...


class ObjectState(StrEnum):
    """Whether an object can be used."""

    READY = "ready"
    PROCESSING = "processing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProviderFile:
    """A provider's own record of a file. `key` is our id where the object carries it: in its path, or as a mark in its
    name; such an object is ours to remove."""

    ref: str
    filename: str
    size_bytes: int | None = None
    created_at: datetime | None = None
    content_type: str = ""
    purpose: str = ""
    state: ObjectState = ObjectState.READY
    expires_at: datetime | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which of a provider's files to list. `after` is the `ref` that the page before ended with."""

    limit: int
    after: str | None = None
    ascending: bool = False
    purpose: str | None = None


class FileProvider(Protocol):
    """A place that keeps files. A `ref` is the provider's own name of an object: an id, or a URI such as
    `s3://bucket/key`; every ref that the account can reach works, whoever made it."""

    spec: FileSpec

    async def create(self, new: NewFile) -> BlobWriter:
        """Begin an object. Nothing is asked of the provider that a crash would leave without our key."""
        ...

    async def get(self, ref: str) -> ProviderFile:
        """Raises `FileNotFoundError` where the object is gone."""
        ...

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """One page of what the account holds (of a bucket: under our prefix), by time of creation."""
        ...

    async def delete(self, ref: str) -> None:
        """Remove the object. Deleting what is absent succeeds."""
        ...

    async def discard(self, key: str) -> None:
        """Remove whatever a write under `key` has left, whole or half, also one that nobody finished. What cannot be
        found by its key is left for `scan`. Finding nothing succeeds."""
        ...

    async def open(self, ref: str) -> Content:
        """Raises `FileNotFoundError` where the object is gone, `Unsupported` where it cannot be read back."""
        ...

    def scan(self, *, since: datetime | None = None, before: datetime | None = None) -> AsyncIterator[ProviderFile]:
        """Yield everything that carries a key of ours and was last written in that time, page by page; half-written
        objects too where the store shows them. One may come twice."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


Progress = Callable[[int], Awaitable[None]]
"""Told how many bytes are done, now and then."""


@runtime_checkable
class DeletesMany(Protocol):
    """A store that removes many objects with one request."""

    async def delete_many(self, refs: Sequence[str]) -> None:
        """Remove them all; what is absent is removed already. Raises where one of them may still be there."""
        ...


@runtime_checkable
class CopiesObjects(Protocol):
    """A store that can copy an object itself, so that no byte passes this process."""

    def copies(self, uri: str) -> bool:
        """Whether `uri` lies in the same cloud, so that the account may try."""
        ...

    async def copy(self, uri: str, new: NewFile, progress: Progress) -> StoredBlob:
        """Copy the object; proven by the store's own checksum or size. Raises `FileNotFoundError` for the source."""
        ...


@runtime_checkable
class RegistersObjects(Protocol):
    """A provider that can be told of an object in a store of its cloud, and then names it like a file of its own. No
    byte moves: what was registered can be read as long as the object is there."""

    def registers(self, uri: str) -> bool:
        """Whether the account has what it needs to register `uri`."""
        ...

    async def register(self, uri: str) -> ProviderFile:
        """The file that now stands for the object; it may have to be waited for, like any other. Raises
        `FileNotFoundError` where the object is not there for the account, and as a create does."""
        ...


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What the bucket's life-cycle rules say of our prefix, and what they should say. `rules` is the provider's own
    document as it would be written; None where nothing has to be."""

    bucket: str
    prefix: str
    days: int | None
    current_days: int | None
    rules: Mapping[str, Any] | None
    summary: str


@runtime_checkable
class KeepsRetention(Protocol):
    """A store whose bucket can expire what lies under our prefix. Foreign rules stay as they are."""

    async def plan_retention(self) -> RetentionPlan:
        """Read the rules and merge ours, for the account's `retention_days`; no rule of ours where that is None."""
        ...

    async def apply_retention(self) -> RetentionPlan:
        """Plan, and write where there is a difference. Returns what was planned."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """How the edge can fetch an object by itself. `url` is absolute; `headers` hold the credentials."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@runtime_checkable
class ServesDirectly(Protocol):
    """A provider whose objects the edge can stream with Range, without the bytes passing Python."""

    async def origin(self, ref: str, *, method: str) -> Origin:
        """Where and how. Cheap: it is asked for every download. `method` is GET or HEAD, which a signature covers."""
        ...


@runtime_checkable
class SignsLinks(Protocol):
    """A store that makes URLs which open one object for a while, to whoever has them."""

    @property
    def signs_links(self) -> bool:
        """Whether this account can, as far as it is known."""
        ...

    async def signed_link(self, ref: str, life_s: float) -> str:
        """A URL for GET, made without asking the store. It may live less long than asked, where credentials end."""
        ...


@runtime_checkable
class NamesUris(Protocol):
    """A store whose models read an object by another name than its `ref`."""

    def uri_of(self, ref: str) -> str:
        """That name. Raises `FileNotFoundError` for what is no `ref`."""
        ...


@runtime_checkable
class ForgetsLinks(Protocol):
    """A provider that remembers for a while where an object is."""

    def forget(self, ref: str) -> None:
        """Ask anew the next time: what was remembered is dead."""
        ...


def marked_name(filename: str, key: str) -> str:
    """A file name that carries our key, for providers that give an object no other member to hold it: `report.pdf` is
    `report--KEY.pdf` there. The extension stays, because providers go by it."""
    path = PurePosixPath(filename or "file")
    suffix = path.suffix if len(path.suffix) <= 16 else ""
    return f"{path.name.removesuffix(suffix)[:160]}{MARK}{key}{suffix}"


def unmarked_name(name: str) -> tuple[str, str | None]:
    """The name as it was before `marked_name`, and the key; the name alone where it has none."""
    match = _MARKED.fullmatch(name)
    if match is None:
        return name, None
    return match["stem"] + (match["suffix"] or ""), match["key"]

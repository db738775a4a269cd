"""A copy that a store makes by itself, or that a provider is only told of, and what happens where it cannot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from mediagate.core.errors import ProviderRefused
from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.core.objects import File, Replica
from mediagate.files.finish_replica import RepairReplica
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile, ObjectState, Progress, ProviderFile, StoredBlob
from mediagate.routing.stores import FileStores

NOBODY = cast(Any, None)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
GS, S3 = "gs://bucket/a.pdf", "s3://bucket/a.pdf"


class Copies:
    """A store that copies inside its cloud."""

    def __init__(self, size_bytes: int = 5, error: Exception | None = None) -> None:
        self.size_bytes, self.error = size_bytes, error
        self.copied: list[str] = []
        self.deleted: list[str] = []

    def copies(self, uri: str) -> bool:
        return uri.startswith("s3://")

    async def copy(self, uri: str, new: NewFile, progress: Progress) -> StoredBlob:
        if self.error is not None:
            raise self.error
        await progress(1)
        self.copied.append(uri)
        assert (new.key, new.filename, new.content_type) == ("file-1", "a.pdf", "application/pdf")
        return StoredBlob("s3://mine/a.pdf", self.size_bytes)

    async def delete(self, ref: str) -> None:
        self.deleted.append(ref)


class Registers:
    """A provider that is told of objects."""

    def registers(self, uri: str) -> bool:
        return uri.startswith("gs://")

    async def register(self, uri: str) -> ProviderFile:
        assert uri == GS
        return ProviderFile("files/abc", "a.pdf", state=ObjectState.PROCESSING, expires_at=NOW)

    async def delete(self, ref: str) -> None:
        """Nothing of it is left."""


def copied(provider: object, *refs: str) -> Any:
    replicas = tuple(Replica("file-1", f"other-{ref}", "x", ref, ReplicaState.READY) for ref in refs)
    file = File(
        "file-1", "me", "a.pdf", "user_data", 5, "", "application/pdf", FileState.PROCESSED, NOW, replicas=replicas
    )
    stores = FileStores([Account("here", "x")], build=lambda account: cast(Any, provider))
    repair = RepairReplica(NOBODY, stores, NOBODY, NOBODY, NOBODY)
    return asyncio.run(repair._copied(file, "here"))


def test_a_store_copies_what_lies_in_its_cloud() -> None:
    store = Copies()
    blob, undo = copied(store, GS, S3)
    assert (blob.ref, store.copied) == ("s3://mine/a.pdf", [S3])
    asyncio.run(undo())
    assert store.deleted == ["s3://mine/a.pdf"]


def test_what_a_store_cannot_copy_is_copied_by_hand() -> None:
    assert copied(Copies(), GS) is None
    assert copied(Copies(error=ProviderRefused("no")), S3) is None
    assert copied(Copies(error=FileNotFoundError()), S3) is None
    assert copied(object(), S3, GS) is None


def test_a_copy_of_another_size_is_none() -> None:
    store = Copies(size_bytes=4)
    assert copied(store, S3) is None
    assert store.deleted == ["s3://mine/a.pdf"]


def test_a_provider_is_told_of_an_object_and_no_byte_moves() -> None:
    blob, _ = copied(Registers(), S3, GS)
    assert blob == StoredBlob("files/abc", 5, ready=False, expires_at=NOW)

"""Remove what a deleted, expired or abandoned file left in the stores. Run by jobs; every step may be repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import structlog

from mediagate.core.clock import Clock
from mediagate.files.tasks import DROP_PARTS, REMOVE_FILE
from mediagate.providers.base import FileProvider, ListsObjects
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.store.uploads import UploadRepository

log = structlog.get_logger(__name__)
BATCH = 500
STRAY_AGE_MIN = timedelta(minutes=1)
# What a crash leaves is found within minutes. What is older is left alone, so that a gateway that was given an empty or
# an old database by mistake does not empty its store.
STRAY_AGE_MAX = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove every replica of a file with a tombstone, then its row."""

    db: Database
    stores: FileStores

    async def run(self, file_id: str) -> None:
        """A replica that is already gone counts as removed."""
        async with self.db.reading() as connection:
            replicas = await FileRepository(connection).replicas(file_id)
        for replica in replicas:
            await self.stores.named(replica.provider).delete(replica.ref)
        async with self.db.transaction() as tx:
            await FileRepository(tx.connection).purge(file_id)


@dataclass(frozen=True, slots=True)
class DropParts:
    """Remove the parts of an upload that has ended."""

    db: Database
    stores: FileStores

    async def run(self, upload_id: str) -> None:
        """A part that is already gone counts as removed."""
        async with self.db.reading() as connection:
            parts = await UploadRepository(connection).parts(upload_id, incoming=True)
        for part in parts:
            await self.stores.target().delete(part.ref)
        async with self.db.transaction() as tx:
            await UploadRepository(tx.connection).drop_parts(upload_id)


@dataclass(frozen=True, slots=True)
class SweepFiles:
    """Find what nobody will ask for again: expired files, uploads past their hour, files whose receiver died."""

    db: Database
    stores: FileStores
    clock: Clock

    async def run(self) -> int:
        """Handle one batch of each kind; returns how many were found, so that the caller can go on until none are."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            files = FileRepository(tx.connection)
            uploads = UploadRepository(tx.connection)
            expired = await files.entomb_expired(now=now, limit=BATCH)
            ended = await uploads.expire(now=now, limit=BATCH)
            for file_id in expired:
                await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)
            for upload_id in ended:
                await tx.enqueue(DROP_PARTS, lock=upload_id, upload_id=upload_id)
            abandoned = await files.leaseless(now=now, limit=BATCH)
        for file_id in abandoned:
            await self._drop(file_id)
        return len(expired) + len(ended) + len(abandoned)

    async def _drop(self, file_id: str) -> None:
        """Remove what a dead receiver left. The row is held until the bytes are gone: one that was only slow must not
        make the file readable in between."""
        async with self.db.transaction() as tx:
            files = FileRepository(tx.connection)
            if await files.lock_leaseless(file_id, now=self.clock.now()):
                await self.stores.target().delete(file_id)
                await files.discard(file_id)


@dataclass(frozen=True, slots=True)
class ResumeRemovals:
    """Finish removals whose job was lost with its worker."""

    db: Database
    remove_file: RemoveFile
    drop_parts: DropParts

    async def run(self) -> None:
        """Handle one batch of each kind."""
        async with self.db.reading() as connection:
            files = await FileRepository(connection).deleting(limit=BATCH)
            uploads = await UploadRepository(connection).with_leftover_parts(limit=BATCH)
        for file_id in files:
            await self.remove_file.run(file_id)
        for upload_id in uploads:
            await self.drop_parts.run(upload_id)


@dataclass(frozen=True, slots=True)
class RemoveStrays:
    """Remove objects without a row: what a receiver wrote whose row was dropped, and that died before it noticed.

    An object has its row before its first byte, so one that has none now never becomes readable.
    """

    db: Database
    stores: FileStores
    clock: Clock

    async def run(self) -> int:
        """Look through every store that can list its objects; returns how many were removed."""
        removed = 0
        for provider in self.stores.providers.values():
            if isinstance(provider, ListsObjects):
                async for refs in self._pages(provider):
                    removed += await self._remove_unknown(provider, refs)
        if removed:
            log.info("strays_removed", count=removed)
        return removed

    async def _pages(self, provider: ListsObjects) -> AsyncIterator[list[str]]:
        now = self.clock.now()
        page: list[str] = []
        async for ref in provider.list_refs(since=now - STRAY_AGE_MAX, before=now - STRAY_AGE_MIN):
            page.append(ref)
            if len(page) == BATCH:
                yield page
                page = []
        if page:
            yield page

    async def _remove_unknown(self, provider: FileProvider, refs: list[str]) -> int:
        async with self.db.reading() as connection:
            known = await FileRepository(connection).known(refs)
            known |= await UploadRepository(connection).known_parts(refs)
        unknown = set(refs) - known
        for ref in unknown:
            await provider.delete(ref)
        return len(unknown)

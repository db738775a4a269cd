"""Remove what a deleted, expired or abandoned file left in the stores. Run by jobs; every step may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import Replica
from mediagate.core.webhooks import FILE_EXPIRED
from mediagate.files.tasks import DROP_PARTS, REMOVE_REPLICA, replica_lock
from mediagate.providers.files import DeletesMany, FileProvider
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database, Transaction
from mediagate.store.file_sweep import FileSweep
from mediagate.store.files import FileRepository
from mediagate.store.replicas import ReplicaRepository
from mediagate.store.uploads import UploadRepository
from mediagate.webhooks.emit import emit_about_files

log = structlog.get_logger(__name__)
BATCH = 1000
# Requests to one account at the same time.
CONCURRENCY = 16
# Copies whose reference no row may know: something was being written when its writer vanished.
_HALF = (ReplicaState.WRITING, ReplicaState.PENDING)


async def enqueue_removal(tx: Transaction, file_id: str) -> None:
    """A job for each replica of a file that has just got its tombstone, so that a slow provider holds up no other."""
    replicas = await ReplicaRepository(tx.connection).of(file_id)
    for replica in replicas:
        lock = replica_lock(file_id, replica.account)
        await tx.enqueue(REMOVE_REPLICA, lock=lock, file_id=file_id, account=replica.account)
    if not replicas:
        await FileRepository(tx.connection).purge([file_id])


@dataclass(frozen=True, slots=True)
class RemoveReplicas:
    """Remove copies of files with a tombstone, and the rows of those that have none left."""

    db: Database
    stores: FileStores

    async def one(self, file_id: str, account: str) -> None:
        """Remove one copy. What is already gone counts as removed; raises what the provider raises."""
        async with self.db.reading() as connection:
            replica = await ReplicaRepository(connection).one(file_id, account)
        if replica is not None:
            await self._remove(self.stores.account(account), replica)
        async with self.db.transaction() as tx:
            await FileRepository(tx.connection).hold([file_id])
            await ReplicaRepository(tx.connection).remove(file_id, account)
            await FileRepository(tx.connection).purge([file_id])

    async def all_of(self, file_ids: Sequence[str]) -> None:
        """Remove every copy of these files, account by account at once; one that cannot be removed now gets a job."""
        async with self.db.reading() as connection:
            found = await ReplicaRepository(connection).of_many(file_ids)
        await self.these([replica for replicas in found.values() for replica in replicas], file_ids)

    async def these(self, replicas: Sequence[Replica], file_ids: Sequence[str] = ()) -> None:
        """Remove these copies, and those of the files that have a tombstone and no other."""
        by_account: dict[str, list[Replica]] = {}
        for replica in replicas:
            by_account.setdefault(replica.account, []).append(replica)
        failed = await asyncio.gather(*(self._from_account(name, items) for name, items in by_account.items()))
        async with self.db.transaction() as tx:
            await FileRepository(tx.connection).hold(sorted({*file_ids, *(replica.file_id for replica in replicas)}))
            for (account, removed), stuck in zip(by_account.items(), failed, strict=True):
                gone = {replica.file_id for replica in removed} - stuck
                await ReplicaRepository(tx.connection).remove_many(account, sorted(gone))
                for file_id in stuck:
                    await tx.enqueue(
                        REMOVE_REPLICA, lock=replica_lock(file_id, account), file_id=file_id, account=account
                    )
            await FileRepository(tx.connection).purge(file_ids)

    async def _from_account(self, account: str, replicas: Sequence[Replica]) -> set[str]:
        """Remove these copies; returns the files whose copy may still be there."""
        try:
            provider = self.stores.account(account)
        except (KeyError, MediagateError):
            return {replica.file_id for replica in replicas}
        whole = [replica.ref for replica in replicas if replica.ref is not None and replica.state not in _HALF]
        if isinstance(provider, DeletesMany) and len(whole) == len(replicas):
            try:
                await provider.delete_many([ref for ref in whole if ref is not None])
            except (MediagateError, OSError):
                return {replica.file_id for replica in replicas}
            return set()
        turns = asyncio.Semaphore(CONCURRENCY)

        async def remove(replica: Replica) -> str | None:
            async with turns:
                try:
                    await self._remove(provider, replica)
                except Exception as error:
                    log.warning("replica_not_removed", account=account, error=type(error).__name__)
                    return replica.file_id
            return None

        results = await asyncio.gather(*(remove(replica) for replica in replicas))
        return {file_id for file_id in results if file_id is not None}

    async def _remove(self, provider: FileProvider, replica: Replica) -> None:
        if replica.ref is not None:
            await provider.delete(replica.ref)
        if replica.ref is None or replica.state in _HALF:
            await provider.discard(replica.file_id)


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
            await self.stores.scratch().discard(part.id)
        async with self.db.transaction() as tx:
            await UploadRepository(tx.connection).drop_parts(upload_id)


@dataclass(frozen=True, slots=True)
class SweepFiles:
    """Find what nobody will ask for again: expired files, uploads past their hour, files whose receiver died."""

    db: Database
    remove_replicas: RemoveReplicas
    clock: Clock

    async def run(self) -> int:
        """Handle one batch of each kind; returns how many were found, so that the caller can go on until none are."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            files = FileSweep(tx.connection)
            over = await files.entomb_expired(now=now, limit=BATCH)
            await emit_about_files(tx, over, [FILE_EXPIRED], now=now)
            # A receiver that was only slow meets the tombstone, and takes back what it writes after this.
            over += await files.entomb_leaseless(now=now, limit=BATCH)
            ended = await UploadRepository(tx.connection).expire(now=now, limit=BATCH)
            for upload_id in ended:
                await tx.enqueue(DROP_PARTS, lock=upload_id, upload_id=upload_id)
            copies = await ReplicaRepository(tx.connection).expired(now=now, limit=BATCH)
        if over:
            await self.remove_replicas.all_of(over)
        if copies:
            await self.remove_replicas.these(copies)
        return len(over) + len(ended)


@dataclass(frozen=True, slots=True)
class ResumeRemovals:
    """Finish removals whose job was lost with its worker."""

    db: Database
    remove_replicas: RemoveReplicas
    drop_parts: DropParts

    async def run(self) -> None:
        """Handle one batch of each kind."""
        async with self.db.reading() as connection:
            files = await FileSweep(connection).deleting(limit=BATCH)
            uploads = await UploadRepository(connection).with_leftover_parts(limit=BATCH)
        if files:
            await self.remove_replicas.all_of(files)
        for upload_id in uploads:
            await self.drop_parts.run(upload_id)

"""Bring copies to their end that were not done when their file became readable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, InvalidRequest, MediagateError, Unavailable, Unsupported
from mediagate.core.lifecycle import REPLICA_TRANSITIONS, FileState, ReplicaEvent, ReplicaState, advance
from mediagate.core.objects import File, Replica
from mediagate.files.ahead import ahead
from mediagate.files.copy_news import tell
from mediagate.files.find_source import ready_uris
from mediagate.files.open_content import OpenContent
from mediagate.files.tasks import BYTES_QUEUE, FOLLOW_REPLICA, REPAIR_REPLICA, replica_lock
from mediagate.files.webhooks import settle_and_announce
from mediagate.providers.base import Content
from mediagate.providers.files import CopiesObjects, NewFile, ObjectState, RegistersObjects, StoredBlob
from mediagate.routing.placement import satisfies
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup, FileRepository
from mediagate.store.replicas import ReplicaRepository

log = structlog.get_logger(__name__)
Undo = Callable[[], Awaitable[None]]
FOLLOW_S = 2
FOLLOW_S_MAX = 60


@dataclass(frozen=True, slots=True)
class FollowReplica:
    """Ask a provider whether it is done with a copy."""

    db: Database
    stores: FileStores
    clock: Clock

    async def run(self, file_id: str, account: str, waited_s: int = FOLLOW_S) -> None:
        """Ask once; asks again later where the provider still works. Raises what the provider raises."""
        async with self.db.reading() as connection:
            replica = await ReplicaRepository(connection).one(file_id, account)
        if replica is None or replica.ref is None or replica.state is not ReplicaState.PROCESSING:
            return
        try:
            found = await self.stores.account(account).get(replica.ref)
        except FileNotFoundError:
            event, expires_at = ReplicaEvent.MISSING, replica.expires_at
        else:
            if found.state is ObjectState.PROCESSING:
                await self._ask_later(replica, waited_s)
                return
            event = ReplicaEvent.COMMITTED if found.state is ObjectState.READY else ReplicaEvent.REFUSED
            expires_at = found.expires_at or replica.expires_at
        state = advance(REPLICA_TRANSITIONS, replica.state, event)
        async with self.db.transaction() as tx:
            settled = replace(replica, state=state, expires_at=expires_at)
            await settle_and_announce(tx, settled, now=self.clock.now())

    async def _ask_later(self, replica: Replica, waited_s: int) -> None:
        async with self.db.transaction() as tx:
            await tx.enqueue(
                FOLLOW_REPLICA,
                lock=replica_lock(replica.file_id, replica.account),
                delay_s=waited_s,
                file_id=replica.file_id,
                account=replica.account,
                waited_s=min(FOLLOW_S_MAX, waited_s * 2),
            )


@dataclass(frozen=True, slots=True)
class RepairReplica:
    """Make a copy that is missing, from one that can be read."""

    db: Database
    stores: FileStores
    files: FileLookup
    open_content: OpenContent
    clock: Clock

    async def run(self, file_id: str, account: str) -> None:
        """Write the copy, which the file may lose meanwhile. Raises what the stores raise; `Unavailable` where no copy
        can be read at the moment, `InvalidField` where none ever is."""
        if not await self._may_hold(file_id, account):
            return
        file = await self.files.any(file_id)
        replica = next((item for item in file.replicas if item.account == account), None) if file else None
        if file is None or file.state is not FileState.PROCESSED or replica is None:
            return
        if replica.state is ReplicaState.WRITING:
            # A worker died over it: what it wrote goes first.
            await self.stores.account(account).discard(file_id)
        elif replica.state in (ReplicaState.PENDING, ReplicaState.LOST):
            writing = advance(REPLICA_TRANSITIONS, replica.state, ReplicaEvent.REPAIR_STARTED)
            async with self.db.transaction() as tx:
                if not await ReplicaRepository(tx.connection).move(file_id, account, replica.state, writing):
                    return
        else:
            return
        made = await self._copied(file, account)
        if made is None:
            content = await self._source(file)
            try:
                made = await self._piped(file, account, content)
            except InvalidRequest as refused:
                await self._refused(file_id, account, refused)
                return
        await self._settle(replica, *made)

    async def _refused(self, file_id: str, account: str, refused: InvalidRequest) -> None:
        log.warning("replica_refused", account=account, file_id=file_id, code=refused.code)
        failed = advance(REPLICA_TRANSITIONS, ReplicaState.WRITING, ReplicaEvent.REFUSED)
        async with self.db.transaction() as tx:
            await ReplicaRepository(tx.connection).move(file_id, account, ReplicaState.WRITING, failed)
            await tell(tx, file_id, account, refused)

    async def _settle(self, replica: Replica, blob: StoredBlob, undo: Undo) -> None:
        file_id, account = replica.file_id, replica.account
        event = ReplicaEvent.COMMITTED if blob.ready else ReplicaEvent.ACCEPTED
        ready = Replica(
            file_id,
            account,
            replica.provider,
            blob.ref,
            advance(REPLICA_TRANSITIONS, ReplicaState.WRITING, event),
            self.stores.replica_end(account, self.clock.now(), blob.expires_at),
        )
        async with self.db.transaction() as tx:
            kept = await settle_and_announce(tx, ready, now=self.clock.now())
            if kept and ready.state is ReplicaState.PROCESSING:
                await tx.enqueue(
                    FOLLOW_REPLICA,
                    lock=replica_lock(file_id, account),
                    delay_s=FOLLOW_S,
                    file_id=file_id,
                    account=account,
                )
        if not kept:
            # The file was deleted meanwhile, and with it the row that would have removed this.
            await undo()

    async def _copied(self, file: File, account: str) -> tuple[StoredBlob, Undo] | None:
        """Have the store take the file from where it lies in the same cloud; None where it cannot."""
        provider = self.stores.account(account)
        for uri in ready_uris(file):
            try:
                if isinstance(provider, RegistersObjects) and provider.registers(uri):
                    found = await provider.register(uri)
                    ready = found.state is ObjectState.READY
                    blob = StoredBlob(found.ref, file.size_bytes, ready=ready, expires_at=found.expires_at)
                elif isinstance(provider, CopiesObjects) and provider.copies(uri):
                    blob = await provider.copy(uri, _new(file), _unheard)
                else:
                    continue
            except (FileNotFoundError, MediagateError) as error:
                log.info("copied_by_hand", account=account, file_id=file.id, error=type(error).__name__)
                continue
            if blob.size_bytes == file.size_bytes:
                return blob, partial(provider.delete, blob.ref)
            await provider.delete(blob.ref)
        return None

    async def _source(self, file: File) -> Content:
        try:
            return await self.open_content.of(file)
        except Unsupported:
            raise InvalidField(
                f"No copy of file {file.id} can be read back from where it lies. Upload it to a store as well, such as "
                "'local', to use it elsewhere.",
                code="no_readable_copy",
            ) from None
        except MediagateError:
            raise Unavailable("No copy of the file can be read at the moment.", file_id=file.id) from None

    async def _may_hold(self, file_id: str, account: str) -> bool:
        """Whether the account is still as the file requires its places to be. A copy that waits for one that is not
        stays as it is, and is made where the account's labels come back."""
        async with self.db.reading() as connection:
            required = await FileRepository(connection).required(file_id)
        known = self.stores.accounts.get(account)
        if not required or (known is not None and satisfies(known, required)):
            return True
        log.error("replica_misplaced", account=account, file_id=file_id, required=required)
        return False

    async def _piped(self, file: File, account: str, content: Content) -> tuple[StoredBlob, Undo]:
        writer = await self.stores.account(account).create(_new(file))
        try:
            async for chunk in ahead(content.read(0, content.size_bytes)):
                await writer.write(chunk)
            return await writer.commit(), writer.abort
        except BaseException:
            await writer.abort()
            raise


def _new(file: File) -> NewFile:
    return NewFile(file.id, file.filename, file.content_type, file.purpose, file.size_bytes)


async def _unheard(_: int) -> None:
    """Nobody asks how far it is."""


async def enqueue_unfinished(db: Database, *, limit: int) -> None:
    """Give copies that are not done their job back, where it was lost."""
    async with db.reading() as connection:
        rows = await ReplicaRepository(connection).unfinished(limit=limit)
    async with db.transaction() as tx:
        for replica in rows:
            follows = replica.state is ReplicaState.PROCESSING
            await tx.enqueue(
                FOLLOW_REPLICA if follows else REPAIR_REPLICA,
                queue="default" if follows else BYTES_QUEUE,
                lock=replica_lock(replica.file_id, replica.account),
                file_id=replica.file_id,
                account=replica.account,
            )

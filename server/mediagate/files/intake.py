"""Bytes on their way into a file: the one path that every upload and every copy takes.

The rows of the file and of its replicas are committed before the first byte leaves, so that whatever a crash leaves
behind has a name and a lease. Bytes are counted, hashed and sniffed once while they pass to all targets. Nothing is
readable before `finish`; after a failure, or where the lease runs out, nothing is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, PayloadTooLarge, TruncatedUpload
from mediagate.core.ids import new_file_id
from mediagate.core.lifecycle import (
    FILE_TRANSITIONS,
    REPLICA_TRANSITIONS,
    FileEvent,
    FileState,
    ReplicaEvent,
    ReplicaState,
    advance,
)
from mediagate.core.objects import File, Principal, Replica
from mediagate.core.placement import Required
from mediagate.core.storage import END_USER, MadeBy, Quota, quotas_of
from mediagate.core.webhooks import FILE_DELETED
from mediagate.files.copy_news import tell
from mediagate.files.digest import Digest
from mediagate.files.ends import end_of, settle_replicas
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.leases import LEASE, Leases
from mediagate.files.proof import Proof, Received
from mediagate.files.sniff import HEAD_BYTES, content_type_of
from mediagate.files.steps import Steps
from mediagate.files.tasks import REMOVE_FILE
from mediagate.files.tee import Tee
from mediagate.files.webhooks import announce_new
from mediagate.guardrails.check_file import CheckFile, TextFileCheck
from mediagate.providers.files import FileOperation, FileProvider, NewFile, Progress, StoredBlob
from mediagate.routing.placement import require
from mediagate.routing.stores import FileStores
from mediagate.storage.reserve import Reservation, reserve
from mediagate.store.database import Database, Transaction
from mediagate.store.files import FileRepository
from mediagate.store.replicas import ReplicaRepository
from mediagate.webhooks.emit import emit_about_files

FOLLOW_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Intake:
    """Opens files for writing."""

    db: Database
    stores: FileStores
    clock: Clock
    check_file: CheckFile = field(default_factory=CheckFile)
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "leases", Leases(self.db, self.clock))

    async def begin(
        self,
        who: Principal,
        *,
        size_bytes_max: int,
        placement: Placement | None = None,
        internal: bool = False,
        file_id: str | None = None,
        expected: str | None = None,
        created_at: datetime | None = None,
        end_user: str | None = None,
        bytes_at_most: int | None = None,
        reservation: Reservation | None = None,
        guardrails: Sequence[str] | None = None,
    ) -> IncomingFile:
        """Commit the intent, but for the file `expected`, which has one. Without a `placement` the file stays on
        scratch, whatever the default is: `internal` files are inputs of videos, which no list shows and whose
        guardrails are those of videos. `guardrails` are in the place of those that the policies of `who` name.

        The file is reserved room under the quotas of `who` and of the `end_user`, for its size or else for
        `bytes_at_most`; the room of the file `expected` is its `reservation`. Raises `StorageQuotaExceeded`, and
        `InvalidField` for a target that is not as it is required to be.
        """
        placement = placement or Placement((self.stores.scratch_account,))
        for account in placement.targets:
            require(self.stores.accounts.get(account), account, placement.required, "the file")
        if reservation is None:
            reservation = Reservation(self.db, () if expected else quotas_of(who, end_user))
        incoming = IncomingFile(
            self,
            who,
            expected or file_id or new_file_id(),
            size_bytes_max,
            placement,
            created_at or self.clock.now(),
            reservation,
            guardrails,
        )
        try:
            made_by = None if expected else MadeBy.of(who, end_user)
            await incoming.open(internal=internal, made_by=made_by, bytes_at_most=bytes_at_most)
        except BaseException:
            await incoming.abort()
            raise
        return incoming

    async def expect(
        self,
        tx: Transaction,
        owner_id: str,
        file_id: str,
        made_by: MadeBy,
        *,
        internal: bool = False,
        reserved_bytes: int = 0,
        required: Required | None = None,
    ) -> None:
        """The intent: a row with a lease, which becomes true with the transaction."""
        now = self.clock.now()
        await FileRepository(tx.connection).begin(
            file_id,
            owner_id,
            made_by,
            now=now,
            lease_expires_at=now + LEASE,
            internal=internal,
            reserved_bytes=reserved_bytes,
            required=required,
        )

    async def forget(self, file_id: str) -> None:
        """Drop the row of a file that never came to be."""
        async with self.db.transaction() as tx:
            await FileRepository(tx.connection).discard(file_id)


class IncomingFile:
    """One file that is being received."""

    def __init__(
        self,
        intake: Intake,
        who: Principal,
        file_id: str,
        size_bytes_max: int,
        placement: Placement,
        began_at: datetime,
        reservation: Reservation,
        guardrails: Sequence[str] | None = None,
    ) -> None:
        self._intake = intake
        self._who = who
        self._size_bytes_max = size_bytes_max
        self._began_at = began_at
        self._placement = placement
        self._reservation = reservation
        self._made_by: MadeBy | None = None
        providers = {account: intake.stores.account(account) for account in placement.targets}
        self._tee = Tee(providers, copies=placement.copies, keeps_partial=placement.keeps_partial)
        self._providers = providers
        self._digest = Digest()
        self._head = b""
        self._flowing = False
        self._steps = Steps()
        self._blobs: dict[str, StoredBlob] = {}
        self._readable: bool | None = False
        self._guardrails = guardrails
        self._internal = False
        self._check: TextFileCheck | None = None
        self.id = file_id
        self.size_bytes = 0

    async def open(self, *, internal: bool, made_by: MadeBy | None, bytes_at_most: int | None) -> None:
        """Commit the rows of the file and its replicas; without `made_by` the file has its row. To be called once, and
        followed by `abort` where it fails."""
        for provider in self._providers.values():
            provider.spec.require(FileOperation.CREATE)
            self._size_bytes_max = min(self._size_bytes_max, provider.spec.file_bytes_max or self._size_bytes_max)
        self._made_by, self._internal = made_by, internal
        await self._steps.run(self._open(internal, made_by, bytes_at_most))

    async def _open(self, internal: bool, made_by: MadeBy | None, bytes_at_most: int | None) -> None:
        now = self._intake.clock.now()
        async with self._intake.db.transaction() as tx:
            if made_by is not None:
                await self._intake.expect(
                    tx,
                    self._who.owner_id,
                    self.id,
                    made_by,
                    internal=internal,
                    reserved_bytes=await self._reservation.begin(tx, self._placement.size_bytes, bytes_at_most),
                    required=self._placement.required,
                )
            rows = [
                Replica(self.id, account, provider.spec.name, None, ReplicaState.WRITING)
                for account, provider in self._providers.items()
            ]
            await ReplicaRepository(tx.connection).add(rows, now=now)
        self._intake.leases.hold(self.id)

    async def write(self, chunk: bytes) -> None:
        """Pass bytes on; returns when more can be taken. Raises `PayloadTooLarge` past the limit,
        `StorageQuotaExceeded` where their maker has no room for them, and what a target raises."""
        self.size_bytes += len(chunk)
        if self.size_bytes > self._size_bytes_max:
            raise PayloadTooLarge(
                f"File is too large: the limit is {self._size_bytes_max} bytes. Larger files go through /v1/uploads.",
                param="file",
                limit_bytes=self._size_bytes_max,
            )
        await self._make_room(self.size_bytes)
        if not self._flowing:
            # The stores are told what kind of bytes these are, so enough of them must have come.
            self._head += chunk
            if len(self._head) < HEAD_BYTES:
                return
            chunk = self._head
            await self._flow()
        await self._pass(chunk)

    async def _pass(self, chunk: bytes) -> None:
        await self._digest.update(chunk)
        if self._check is not None:
            await self._check.write(chunk)
        await self._tee.write(chunk)

    async def _make_room(self, size_bytes: int) -> None:
        if not self._reservation.covers(size_bytes) and not await self._steps.run(
            self._reservation.grow(self.id, size_bytes)
        ):
            raise _stood_still()

    async def _flow(self) -> None:
        self._flowing = True
        self._head = self._head[:HEAD_BYTES]
        if not self._internal:
            content_type = content_type_of(self._head, self._placement.filename)
            self._check = self._intake.check_file.begin(self._who, self.id, content_type, self._guardrails)
        await self._steps.run(self._tee.open(self._new))

    def _new(self, provider: FileProvider) -> NewFile:
        placement = self._placement
        return NewFile(
            key=self.id,
            filename=placement.filename,
            content_type=self.content_type(placement.filename),
            purpose=placement.purpose,
            size_bytes=placement.size_bytes,
            life_s=placement.life_s,
        )

    def content_type(self, filename: str) -> str:
        """What the bytes that came so far are, by themselves, or by the name where they do not say."""
        if not self._flowing and self._placement.content_type is not None:
            return self._placement.content_type
        return content_type_of(self._head, filename)

    async def copy(self, progress: Progress) -> None:
        """Have the stores copy what they can by themselves."""
        await self._steps.run(self._tee.copy(self._new, progress))

    async def store_copies(self) -> StoredBlob:
        """In place of `store` where no byte passes here; returns what one of the stores says."""
        await self._steps.run(self._store())
        return next(iter(self._blobs.values()))

    async def store(self, proof: Proof | None = None) -> Received:
        """Make the bytes durable, still invisible. Only call it with a proof that all bytes came. Raises what `proof`
        and guardrails raise, before any store has made them its own, and `TruncatedUpload` where the lease is out and
        they are gone.
        """
        if not self._flowing:
            head = self._head
            await self._flow()
            await self._pass(head)
        received = Received(self.size_bytes, await self._digest.hexdigest())
        if proof is not None:
            proof.check(received)
        if self._check is not None:
            await self._check.finish()
        await self._steps.run(self._store())
        return received

    async def _store(self) -> None:
        try:
            self._blobs = await self._tee.commit()
        except FileNotFoundError:
            raise _stood_still() from None

    async def finish(
        self, received: Received, facts: FileFacts, also: Callable[[Transaction], Awaitable[None]] | None = None
    ) -> File:
        """Make the file readable; what `also` does becomes true in the same moment.

        It is as old as its id, so that a list is in the order of both. Raises `TruncatedUpload` where its lease is out,
        and `StorageQuotaExceeded` where a store copied more than its source had when it was looked at.
        """
        await self._make_room(received.size_bytes)
        replicas = self._replicas()
        file = File(
            id=self.id,
            owner_id=self._who.owner_id,
            filename=facts.filename,
            purpose=facts.purpose,
            size_bytes=received.size_bytes,
            sha256=received.sha256,
            content_type=self.content_type(facts.filename),
            state=advance(FILE_TRANSITIONS, FileState.RECEIVING, FileEvent.BYTES_VERIFIED),
            created_at=self._began_at,
            expires_at=end_of(self._began_at, facts.life_s, replicas),
            source=facts.source,
            end_user=facts.end_user or self._who.end_user,
            required=self._placement.required or None,
            replicas=replicas,
        )
        await self._steps.run(self._publish(file, also))
        return file

    def _replicas(self) -> tuple[Replica, ...]:
        replicas = []
        for account, provider in sorted(self._providers.items()):
            blob = self._blobs.get(account)
            if blob is None:
                state = advance(REPLICA_TRANSITIONS, ReplicaState.WRITING, ReplicaEvent.DEFERRED)
                replicas.append(Replica(self.id, account, provider.spec.name, None, state))
                continue
            event = ReplicaEvent.COMMITTED if blob.ready else ReplicaEvent.ACCEPTED
            expires_at = self._intake.stores.replica_end(account, self._began_at, blob.expires_at)
            state = advance(REPLICA_TRANSITIONS, ReplicaState.WRITING, event)
            replicas.append(Replica(self.id, account, provider.spec.name, blob.ref, state, expires_at))
        return tuple(replicas)

    async def _publish(self, file: File, also: Callable[[Transaction], Awaitable[None]] | None) -> None:
        # What a failed target may still hold goes before its copy is made anew.
        await self._tee.abort(list(self._tee.failures))
        self._readable = None
        try:
            async with self._intake.db.transaction() as tx:
                await reserve(tx, self._late_quotas(file), file.size_bytes)
                if not await FileRepository(tx.connection).finish(file):
                    raise _stood_still()
                await settle_replicas(tx, file.replicas, self._intake.clock.now())
                await announce_new(tx, file, now=self._intake.clock.now())
                if self._made_by is None:
                    # Promised before: somebody may wait for it.
                    await tell(tx, file.id)
                if also is not None:
                    await also(tx)
        except MediagateError:
            self._readable = False
            raise
        self._readable = True
        self._intake.leases.release(self.id)

    def _late_quotas(self, file: File) -> Sequence[Quota]:
        """Those of an end user who was named behind the bytes: nothing was reserved for that one."""
        if self._made_by is None or self._made_by.end_user == file.end_user:
            return ()
        return [quota for quota in quotas_of(self._who, file.end_user) if quota.kind == END_USER]

    async def is_readable(self) -> bool:
        """Whether `finish` took effect, also where its caller was cancelled meanwhile, or where the database went away
        before it could say so. Raises what the driver raises where that cannot be known: then nothing may be removed.
        """
        return await self._steps.run(self._is_readable())

    async def _is_readable(self) -> bool:
        if self._readable is None:
            async with self._intake.db.transaction() as tx:
                self._readable = await FileRepository(tx.connection).is_finished(self.id)
        return self._readable

    async def abort(self) -> None:
        """Leave nothing behind, not even a file that became readable. Runs to its end even where the caller is being
        cancelled; what a store cannot remove now is removed by a job."""
        await self._steps.run(self._abort())

    async def _abort(self) -> None:
        self._intake.leases.release(self.id)
        if self._check is not None:
            await self._check.abort()
        if await self._is_readable():
            # First the tombstone: a file that can be found can be read.
            async with self._intake.db.transaction() as tx:
                await FileRepository(tx.connection).retract(self.id)
                await emit_about_files(tx, [self.id], [FILE_DELETED], now=self._intake.clock.now())
        if await self._tee.abort():
            async with self._intake.db.transaction() as tx:
                await FileRepository(tx.connection).retract(self.id)
                await tx.enqueue(REMOVE_FILE, lock=self.id, file_id=self.id)
        else:
            await self._intake.forget(self.id)


def _stood_still() -> TruncatedUpload:
    return TruncatedUpload("The upload stood still for too long and was dropped. Send it again.", param="file")

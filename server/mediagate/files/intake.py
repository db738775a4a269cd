"""Bytes on their way into a file: the one path that every upload takes.

The row is committed before the first byte leaves, so that whatever a crash leaves behind has a name and a lease. Bytes
are counted, hashed and sniffed once while they pass. Nothing is readable before `finish`; after a failure, or where the
lease runs out, nothing is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, PayloadTooLarge, TruncatedUpload
from mediagate.core.ids import new_file_id
from mediagate.core.lifecycle import FILE_TRANSITIONS, FileEvent, FileState, advance
from mediagate.core.objects import File, Principal, Replica
from mediagate.files.sniff import HEAD_BYTES, content_type_of
from mediagate.files.steps import Steps
from mediagate.providers.base import BlobWriter, StoredBlob
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database, Transaction
from mediagate.store.files import FileRepository

LEASE_S = 300
RENEW_S = 60


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the caller says of a file, checked."""

    filename: str
    purpose: str
    life_s: int | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Opens files for writing."""

    db: Database
    stores: FileStores
    clock: Clock

    async def begin(
        self, who: Principal, *, size_bytes_max: int, internal: bool = False, expected: str | None = None
    ) -> IncomingFile:
        """Commit the intent, but for the file `expected`, which has one, and open the store. `internal` files are
        inputs of videos, which no list shows."""
        incoming = IncomingFile(self, who, expected or new_file_id(), size_bytes_max, self.clock.now())
        try:
            await incoming.open(internal=internal, expected=expected is not None)
        except BaseException:
            await incoming.abort()
            raise
        return incoming

    async def expect(self, tx: Transaction, who: Principal, file_id: str, *, internal: bool = False) -> None:
        """The intent: a row with a lease, which becomes true with the transaction."""
        now = self.clock.now()
        lease_expires_at = now + timedelta(seconds=LEASE_S)
        await FileRepository(tx.connection).begin(
            file_id, who.owner_id, now=now, lease_expires_at=lease_expires_at, internal=internal
        )

    async def forget(self, file_id: str) -> None:
        """Drop the row of a file that never came to be."""
        async with self.db.transaction() as tx:
            await FileRepository(tx.connection).discard(file_id)


class IncomingFile:
    """One file that is being received."""

    def __init__(self, intake: Intake, who: Principal, file_id: str, size_bytes_max: int, began_at: datetime) -> None:
        self._intake = intake
        self._who = who
        self._provider = intake.stores.target()
        self._writer: BlobWriter | None = None
        self._size_bytes_max = size_bytes_max
        self._began_at = began_at
        self._renew_at = began_at + timedelta(seconds=RENEW_S)
        self._head = b""
        self._steps = Steps()
        self._readable: bool | None = False
        self.id = file_id
        self.size_bytes = 0

    async def open(self, *, internal: bool, expected: bool) -> None:
        """Commit the row, then open the store. To be called once, and followed by `abort` where it fails."""
        await self._steps.run(self._open(internal, expected))

    async def _open(self, internal: bool, expected: bool) -> None:
        if not expected:
            async with self._intake.db.transaction() as tx:
                await self._intake.expect(tx, self._who, self.id, internal=internal)
        self._writer = await self._provider.create(self.id)

    async def write(self, chunk: bytes) -> None:
        """Pass bytes on; returns when more can be taken. Raises `PayloadTooLarge` past the limit."""
        self.size_bytes += len(chunk)
        if self.size_bytes > self._size_bytes_max:
            raise PayloadTooLarge(
                f"File is too large: the limit is {self._size_bytes_max} bytes. Larger files go through /v1/uploads.",
                param="file",
                limit_bytes=self._size_bytes_max,
            )
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
        assert self._writer is not None
        await self._writer.write(chunk)
        now = self._intake.clock.now()
        if now >= self._renew_at:
            self._renew_at = now + timedelta(seconds=RENEW_S)
            async with self._intake.db.transaction() as tx:
                await FileRepository(tx.connection).extend_lease(self.id, now + timedelta(seconds=LEASE_S))

    async def store(self) -> StoredBlob:
        """Make the bytes durable, still invisible. Only call it with a proof that all bytes came. Raises
        `TruncatedUpload` where its lease is out and the bytes are gone."""
        return await self._steps.run(self._store())

    async def _store(self) -> StoredBlob:
        assert self._writer is not None
        try:
            return await self._writer.commit()
        except FileNotFoundError:
            raise _stood_still() from None

    async def finish(
        self, blob: StoredBlob, facts: FileFacts, also: Callable[[Transaction], Awaitable[None]] | None = None
    ) -> File:
        """Make the file readable; what `also` does becomes true in the same moment.

        It is as old as its id, so that a list is in the order of both. Raises `TruncatedUpload` where its lease is out.
        """
        file = File(
            id=self.id,
            owner_id=self._who.owner_id,
            filename=facts.filename,
            purpose=facts.purpose,
            size_bytes=blob.size_bytes,
            sha256=blob.sha256,
            content_type=content_type_of(self._head, facts.filename),
            state=advance(FILE_TRANSITIONS, FileState.RECEIVING, FileEvent.BYTES_VERIFIED),
            created_at=self._began_at,
            expires_at=None if facts.life_s is None else self._began_at + timedelta(seconds=facts.life_s),
        )
        await self._steps.run(self._publish(file, blob, also))
        return file

    async def _publish(
        self, file: File, blob: StoredBlob, also: Callable[[Transaction], Awaitable[None]] | None
    ) -> None:
        self._readable = None
        try:
            async with self._intake.db.transaction() as tx:
                files = FileRepository(tx.connection)
                if not await files.finish(file):
                    raise _stood_still()
                await files.add_replica(Replica(self.id, self._provider.name, blob.ref))
                if also is not None:
                    await also(tx)
        except MediagateError:
            self._readable = False
            raise
        self._readable = True

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
        cancelled."""
        await self._steps.run(self._abort())

    async def _abort(self) -> None:
        if await self._is_readable():
            # First the tombstone: a file that can be found can be read.
            async with self._intake.db.transaction() as tx:
                await FileRepository(tx.connection).retract(self.id)
        if self._writer is not None:
            await self._writer.abort()
        await self._intake.forget(self.id)


def _stood_still() -> TruncatedUpload:
    return TruncatedUpload("The upload stood still for too long and was dropped. Send it again.", param="file")

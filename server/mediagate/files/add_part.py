"""Store one part of an upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, PayloadTooLarge, StateConflict
from mediagate.core.forms import FieldEnd, FileData, FileStart, FormEvent
from mediagate.core.limits import echo
from mediagate.core.objects import Principal, UploadPart
from mediagate.files.digest import Digest
from mediagate.files.proof import Proof, Received
from mediagate.files.steps import Steps
from mediagate.files.upload_rules import lock_upload, require_pending
from mediagate.providers.files import BlobWriter, NewFile
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database, Transaction
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class AddPart:
    """Store one part. Parts may come in any order and at the same time."""

    db: Database
    stores: FileStores
    clock: Clock
    part_bytes_max: int

    async def run(
        self,
        who: Principal,
        upload_id: str,
        events: AsyncIterator[FormEvent],
        proof: Proof | None = None,
        *,
        part_id: str | None = None,
    ) -> UploadPart:
        """`events` must end only where the whole part was proven to have come; `part_id` is for a part whose id was
        reserved. Raises `NotFound`, `StateConflict`,
        `InvalidField`, `PayloadTooLarge` or `TruncatedUpload`; then nothing is left."""
        part = _IncomingPart(self, who, upload_id, part_id or ids.new_part_id())
        steps = Steps()
        try:
            writer = await steps.run(part.open())
            received = await self._receive(events, writer)
            if proof is not None:
                proof.check(received)
            return await steps.run(part.finish(writer))
        except BaseException:
            await steps.run(part.drop())
            raise

    async def _receive(self, events: AsyncIterator[FormEvent], writer: BlobWriter) -> Received:
        size_bytes, seen, digest = 0, False, Digest()
        async for event in events:
            match event:
                case FileData(data):
                    size_bytes += len(data)
                    if size_bytes > self.part_bytes_max:
                        raise PayloadTooLarge(f"A part may have {self.part_bytes_max} bytes.", param="data")
                    await digest.update(data)
                    await writer.write(data)
                case FileStart(name):
                    seen = True
                    if name != "data":
                        shown = echo(name)
                        raise InvalidField(f"The part's bytes must be in the field 'data', not '{shown}'.", param=shown)
                case FieldEnd(name):
                    if name == "data":
                        raise InvalidField("'data' must be a file part, with a file name.", param="data")
                case _:
                    pass
        if not seen:
            raise InvalidField("'data' is a required field: a form part with a file name.", param="data")
        return Received(size_bytes, await digest.hexdigest())


class _IncomingPart:
    """One part that is being received; each of its methods is a step."""

    def __init__(self, rules: AddPart, who: Principal, upload_id: str, part_id: str) -> None:
        self._rules = rules
        self._who = who
        self._upload_id = upload_id
        self._id = part_id
        self._began_at = rules.clock.now()
        self._writer: BlobWriter | None = None

    async def open(self) -> BlobWriter:
        """Commit the row, then open the store."""
        async with self._rules.db.transaction() as tx:
            await self._require_pending(tx)
            await UploadRepository(tx.connection).begin_part(self._id, self._upload_id, self._id, now=self._began_at)
        self._writer = await self._rules.stores.scratch().create(NewFile(key=self._id))
        return self._writer

    async def finish(self, writer: BlobWriter) -> UploadPart:
        """Make the part one that can be named."""
        try:
            blob = await writer.commit()
        except FileNotFoundError:
            # The end of the upload has taken its parts along.
            raise StateConflict(
                f"Upload {self._upload_id} has ended; it takes no more changes.", param="upload_id"
            ) from None
        part = UploadPart(self._id, self._upload_id, blob.size_bytes, blob.ref, self._began_at)
        async with self._rules.db.transaction() as tx:
            await self._require_pending(tx)
            if not await UploadRepository(tx.connection).finish_part(part):
                raise ids.UPLOAD.not_found(self._upload_id)
        return part

    async def drop(self) -> None:
        """Leave nothing. The bytes go first: nobody was told of the part, so nobody asks for it, and its row says that
        they were there."""
        if self._writer is not None:
            await self._writer.abort()
        async with self._rules.db.transaction() as tx:
            await UploadRepository(tx.connection).discard_part(self._id)

    async def _require_pending(self, tx: Transaction) -> None:
        require_pending(await lock_upload(tx, self._who, self._upload_id, self._rules.clock), self._rules.clock)

"""Store one part of an upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, PayloadTooLarge
from mediagate.core.forms import FieldEnd, FileData, FileStart, FormEvent
from mediagate.core.limits import echo
from mediagate.core.objects import Principal, UploadPart
from mediagate.files.create_file import Proof
from mediagate.files.upload_rules import lock_upload, require_pending
from mediagate.providers.base import BlobWriter
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class AddPart:
    """Store one part. Parts may come in any order and at the same time."""

    db: Database
    stores: FileStores
    clock: Clock
    part_bytes_max: int

    async def run(
        self, who: Principal, upload_id: str, events: AsyncIterator[FormEvent], proof: Proof | None = None
    ) -> UploadPart:
        """`events` must end only where the whole part was proven to have come. Raises `NotFound`, `StateConflict`,
        `InvalidField`, `PayloadTooLarge` or `TruncatedUpload`; then nothing is left."""
        part_id = ids.new_part_id()
        now = self.clock.now()
        async with self.db.transaction() as tx:
            require_pending(await lock_upload(tx, who, upload_id, self.clock), self.clock)
            await UploadRepository(tx.connection).begin_part(part_id, upload_id, part_id, now=now)
        writer: BlobWriter | None = None
        recording: asyncio.Task[None] | None = None
        try:
            writer = await self.stores.target().create(part_id)
            await self._receive(events, writer)
            blob = await writer.commit()
            if proof is not None:
                proof.check(blob)
            part = UploadPart(part_id, upload_id, blob.size_bytes, blob.ref, now)
            recording = asyncio.create_task(self._record(who, part))
            await asyncio.shield(recording)
        except BaseException:
            await asyncio.shield(self._undo(part_id, writer, recording))
            raise
        return part

    async def _record(self, who: Principal, part: UploadPart) -> None:
        async with self.db.transaction() as tx:
            upload = await lock_upload(tx, who, part.upload_id, self.clock)
            require_pending(upload, self.clock)
            if not await UploadRepository(tx.connection).finish_part(part):
                raise ids.UPLOAD.not_found(part.upload_id)

    async def _undo(self, part_id: str, writer: BlobWriter | None, recording: asyncio.Task[None] | None) -> None:
        if recording is not None:
            await asyncio.wait([recording])
        # The bytes go first: nobody was told of the part, so nobody asks for it, and its row says that they were there.
        if writer is not None:
            await writer.abort()
        async with self.db.transaction() as tx:
            await UploadRepository(tx.connection).discard_part(part_id)

    async def _receive(self, events: AsyncIterator[FormEvent], writer: BlobWriter) -> None:
        size_bytes, seen = 0, False
        async for event in events:
            match event:
                case FileData(data):
                    size_bytes += len(data)
                    if size_bytes > self.part_bytes_max:
                        raise PayloadTooLarge(f"A part may have {self.part_bytes_max} bytes.", param="data")
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

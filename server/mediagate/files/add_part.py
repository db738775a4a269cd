"""Store one part of an upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, PayloadTooLarge
from mediagate.core.forms import FieldEnd, FileData, FileStart, FormEvent
from mediagate.core.objects import Principal, UploadPart
from mediagate.files.create_file import Proof
from mediagate.files.upload_rules import find_upload, require_pending
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
        async with self.db.reading() as connection:
            require_pending(await find_upload(UploadRepository(connection), who, upload_id), self.clock)
        part_id = ids.new_part_id()
        writer = await self.stores.target().create(part_id)
        try:
            await self._receive(events, writer)
            blob = await writer.commit()
            if proof is not None:
                proof.check(blob)
            part = UploadPart(part_id, upload_id, blob.size_bytes, blob.ref, self.clock.now())
            async with self.db.transaction() as tx:
                uploads = UploadRepository(tx.connection)
                require_pending(await find_upload(uploads, who, upload_id, locked=True), self.clock)
                await uploads.add_part(part)
        except BaseException:
            await writer.abort()
            raise
        return part

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
                        raise InvalidField(f"The part's bytes must be in the field 'data', not '{name}'.", param=name)
                case FieldEnd(name):
                    if name == "data":
                        raise InvalidField("'data' must be a file part, with a file name.", param="data")
                case _:
                    pass
        if not seen:
            raise InvalidField("'data' is a required field: a form part with a file name.", param="data")

"""Join the parts of an upload into a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import ChecksumMismatch, InvalidField, StateConflict
from mediagate.core.lifecycle import UPLOAD_TRANSITIONS, UploadEvent, UploadState, advance
from mediagate.core.objects import File, Principal, Upload, UploadPart
from mediagate.files.get_file import GetFile
from mediagate.files.intake import FileFacts, IncomingFile, Intake
from mediagate.files.steps import Steps
from mediagate.files.tasks import DROP_PARTS
from mediagate.files.upload_rules import lock_upload, require_pending
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database, Transaction
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """Join the parts into a file. The caller may repeat the call until it has an answer."""

    db: Database
    stores: FileStores
    clock: Clock
    intake: Intake
    get_file: GetFile

    async def run(
        self, who: Principal, upload_id: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[Upload, File]:
        """Raises `NotFound`, `StateConflict`, `InvalidField` or `ChecksumMismatch`; after the last two the upload still
        takes parts."""
        steps = Steps()
        file_id = ids.new_file_id()
        try:
            upload, parts = await steps.run(self._claim(who, upload_id, part_ids, file_id))
        except asyncio.CancelledError:
            await steps.run(self._reopen(upload_id, file_id, None))
            raise
        if upload.state is UploadState.COMPLETED:
            return upload, await self.get_file.run(who, upload.file_id or "")
        return await self._join(who, upload, parts, file_id, md5, steps)

    async def _claim(
        self, who: Principal, upload_id: str, part_ids: Sequence[str], file_id: str
    ) -> tuple[Upload, Sequence[UploadPart]]:
        """The upload with its parts, from now on this call's to complete; or a completed one, for a repeated call."""
        async with self.db.transaction() as tx:
            uploads = UploadRepository(tx.connection)
            upload = await lock_upload(tx, who, upload_id, self.clock)
            if upload.state is UploadState.COMPLETED and tuple(part_ids) == upload.part_ids:
                return upload, ()
            require_pending(upload, self.clock)
            parts = _ordered(await uploads.parts(upload_id), part_ids, upload)
            state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.COMPLETE_REQUESTED)
            await uploads.set_state(upload_id, state, file_id=file_id)
            return replace(upload, state=state), parts

    async def _join(
        self,
        who: Principal,
        upload: Upload,
        parts: Sequence[UploadPart],
        file_id: str,
        md5: str | None,
        steps: Steps,
    ) -> tuple[Upload, File]:
        async def close(tx: Transaction) -> None:
            state = advance(UPLOAD_TRANSITIONS, UploadState.COMPLETING, UploadEvent.BYTES_VERIFIED)
            part_ids = [part.id for part in parts]
            if not await UploadRepository(tx.connection).settle(upload.id, file_id, state, part_ids=part_ids):
                raise StateConflict("Another call took over; it decides what becomes of the upload.", param="upload_id")
            await tx.enqueue(DROP_PARTS, lock=upload.id, upload_id=upload.id)

        incoming: IncomingFile | None = None
        try:
            incoming = await self.intake.begin(who, size_bytes_max=upload.size_bytes, file_id=file_id)
            await self._copy(parts, incoming, md5)
            blob = await incoming.store()
            facts = FileFacts(upload.filename, upload.purpose, upload.file_expires_after_s)
            file = await incoming.finish(blob, facts, also=close)
        except BaseException:
            await steps.run(self._reopen(upload.id, file_id, incoming))
            raise
        return replace(upload, state=UploadState.COMPLETED, file_id=file.id), file

    async def _reopen(self, upload_id: str, file_id: str, incoming: IncomingFile | None) -> None:
        """A caller that went away after the commit finds the file when it asks again."""
        if incoming is not None:
            if await incoming.is_readable():
                return
            await incoming.abort()
        async with self.db.transaction() as tx:
            state = advance(UPLOAD_TRANSITIONS, UploadState.COMPLETING, UploadEvent.PARTS_REFUSED)
            await UploadRepository(tx.connection).settle(upload_id, file_id, state)

    async def _copy(self, parts: Sequence[UploadPart], incoming: IncomingFile, md5: str | None) -> None:
        digest = hashlib.md5(usedforsecurity=False) if md5 else None
        for part in parts:
            content = await self.stores.target().open(part.ref)
            async for chunk in content.read(0, content.size_bytes):
                if digest is not None:
                    digest.update(chunk)
                await incoming.write(chunk)
        if digest is not None and md5 is not None and digest.hexdigest() != md5.lower():
            raise ChecksumMismatch("The parts, joined in this order, do not have the MD5 that was given.", param="md5")


def _ordered(parts: Sequence[UploadPart], part_ids: Sequence[str], upload: Upload) -> list[UploadPart]:
    by_id = {part.id: part for part in parts}
    if len(set(part_ids)) != len(part_ids):
        raise InvalidField("'part_ids' names a part twice.", param="part_ids")
    missing = next((part_id for part_id in part_ids if part_id not in by_id), None)
    if missing is not None:
        raise InvalidField(f"{ids.PART.not_found(missing).message} in upload {upload.id}", param="part_ids")
    ordered = [by_id[part_id] for part_id in part_ids]
    total = sum(part.size_bytes for part in ordered)
    if total != upload.size_bytes:
        raise InvalidField(
            f"The parts have {total} bytes together, the upload announced {upload.size_bytes}.",
            param="part_ids",
            received_bytes=total,
            expected_bytes=upload.size_bytes,
        )
    return ordered

"""Join the parts of an upload into a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import ChecksumMismatch, InvalidField, StateConflict, Unavailable
from mediagate.core.lifecycle import UPLOAD_TRANSITIONS, UploadEvent, UploadState, advance
from mediagate.core.objects import File, Principal, Upload, UploadPart
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.get_file import GetFile
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.steps import Steps
from mediagate.files.tasks import DROP_PARTS
from mediagate.files.upload_rules import lock_upload, require_pending
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database, Transaction
from mediagate.store.uploads import UploadRepository

# Less than the edge gives a call.
WAIT_S = 50.0
POLL_S = 0.1


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
        """Goes on where the caller goes away; the same call again waits for that and has its answer.

        Raises `NotFound`, `StateConflict`, `InvalidField` or `ChecksumMismatch`; after the last two the upload still
        takes parts. Raises `Unavailable` where it takes longer than a call may wait.
        """
        waited_s = 0.0
        while waited_s < WAIT_S:
            done = await Steps().run(self._complete(who, upload_id, part_ids, md5))
            if done is not None:
                return done
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
        raise Unavailable("The upload is still being completed. Ask again.", param="upload_id", retry_after_s=5)

    async def _complete(
        self, who: Principal, upload_id: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[Upload, File] | None:
        file_id = ids.new_file_id()
        upload, parts = await self._claim(who, upload_id, part_ids, file_id)
        if upload.state is UploadState.COMPLETED:
            return upload, await self.get_file.run(who, upload.file_id or "")
        return await self._join(who, upload, parts, md5) if upload.file_id == file_id else None

    async def _claim(
        self, who: Principal, upload_id: str, part_ids: Sequence[str], file_id: str
    ) -> tuple[Upload, Sequence[UploadPart]]:
        """The upload with its parts, from now on to be completed as this file; or as it stands, where another call with
        the same parts has completed it or is about to."""
        async with self.db.transaction() as tx:
            uploads = UploadRepository(tx.connection)
            upload = await lock_upload(tx, who, upload_id, self.clock)
            begun = upload.state in (UploadState.COMPLETED, UploadState.COMPLETING)
            if begun and tuple(part_ids) == upload.part_ids:
                return upload, ()
            require_pending(upload, self.clock)
            parts = _ordered(await uploads.parts(upload_id), part_ids, upload)
            state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.COMPLETE_REQUESTED)
            await uploads.set_state(upload_id, state, file_id=file_id, part_ids=part_ids)
            # Its room is the upload's until the file is whole.
            made_by = await uploads.made_by(upload_id)
            await self.intake.expect(tx, who.owner_id, file_id, made_by, required=upload.required)
            return replace(upload, state=state, file_id=file_id), parts

    async def _join(
        self, who: Principal, upload: Upload, parts: Sequence[UploadPart], md5: str | None
    ) -> tuple[Upload, File]:
        file_id = upload.file_id or ""

        async def close(tx: Transaction) -> None:
            state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.BYTES_VERIFIED)
            if not await UploadRepository(tx.connection).settle(upload.id, file_id, state):
                raise StateConflict("Another call took over; it decides what becomes of the upload.", param="upload_id")
            await tx.enqueue(DROP_PARTS, lock=upload.id, upload_id=upload.id)

        incoming: IncomingFile | None = None
        try:
            placement = Placement(
                upload.targets or self.stores.default,
                upload.filename,
                upload.purpose,
                upload.file_expires_after_s,
                upload.size_bytes,
                upload.keeps_partial,
                required=upload.required or {},
            )
            incoming = await self.intake.begin(
                who, size_bytes_max=upload.size_bytes, placement=placement, expected=file_id
            )
            await self._copy(parts, incoming, md5)
            received = await incoming.store()
            facts = FileFacts(upload.filename, upload.purpose, upload.file_expires_after_s, end_user=upload.end_user)
            file = await incoming.finish(received, facts, also=close)
        except BaseException:
            await self._reopen(upload, incoming)
            raise
        return replace(upload, state=UploadState.COMPLETED), file

    async def _reopen(self, upload: Upload, incoming: IncomingFile | None) -> None:
        if incoming is not None:
            if await incoming.is_readable():
                return
            await incoming.abort()
        async with self.db.transaction() as tx:
            state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.PARTS_REFUSED)
            await UploadRepository(tx.connection).settle(upload.id, upload.file_id or "", state)

    async def _copy(self, parts: Sequence[UploadPart], incoming: IncomingFile, md5: str | None) -> None:
        digest = hashlib.md5(usedforsecurity=False) if md5 else None
        for part in parts:
            content = await self.stores.scratch().open(part.ref)
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

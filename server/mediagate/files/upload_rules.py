"""What every call on an upload checks."""

from __future__ import annotations

from dataclasses import replace

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import UPLOAD_TRANSITIONS, UploadEvent, UploadState, advance
from mediagate.core.objects import Principal, Upload
from mediagate.store.database import Transaction
from mediagate.store.files import FileRepository
from mediagate.store.uploads import UploadRepository


async def find_upload(uploads: UploadRepository, who: Principal, upload_id: str, *, locked: bool = False) -> Upload:
    """The caller's upload, or `NotFound`."""
    ids.UPLOAD.parse(upload_id)
    upload = await uploads.get(who, upload_id, locked=locked)
    if upload is None:
        raise ids.UPLOAD.not_found(upload_id)
    return upload


async def lock_upload(tx: Transaction, who: Principal, upload_id: str, clock: Clock) -> Upload:
    """The caller's upload, held until the transaction ends. Raises `NotFound`.

    One whose completing process died takes changes again: the file it was making has no live lease.
    """
    uploads = UploadRepository(tx.connection)
    upload = await find_upload(uploads, who, upload_id, locked=True)
    if upload.state is not UploadState.COMPLETING or upload.file_id is None:
        return upload
    if await FileRepository(tx.connection).is_being_received(upload.file_id, now=clock.now()):
        return upload
    state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.LEASE_EXPIRED)
    await uploads.set_state(upload_id, state)
    return replace(upload, state=state)


def require_pending(upload: Upload, clock: Clock) -> None:
    """Raises `StateConflict` where the upload takes nothing any more."""
    state = upload.state
    if state is UploadState.PENDING and upload.expires_at <= clock.now():
        state = UploadState.EXPIRED
    if state is not UploadState.PENDING:
        word = "being completed" if state is UploadState.COMPLETING else state.value
        raise StateConflict(f"Upload {upload.id} is {word}; it takes no more changes.", param="upload_id", state=state)

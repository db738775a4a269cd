"""What every call on an upload checks."""

from __future__ import annotations

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import UploadState
from mediagate.core.objects import Principal, Upload
from mediagate.store.uploads import UploadRepository


async def find_upload(uploads: UploadRepository, who: Principal, upload_id: str, *, locked: bool = False) -> Upload:
    """The caller's upload, or `NotFound`."""
    ids.UPLOAD.parse(upload_id)
    upload = await uploads.get(who.owner_id, upload_id, locked=locked)
    if upload is None:
        raise ids.UPLOAD.not_found(upload_id)
    return upload


def require_pending(upload: Upload, clock: Clock) -> None:
    """Raises `StateConflict` where the upload takes nothing any more."""
    state = upload.state
    if state is UploadState.PENDING and upload.expires_at <= clock.now():
        state = UploadState.EXPIRED
    if state is not UploadState.PENDING:
        word = "being completed" if state is UploadState.COMPLETING else state.value
        raise StateConflict(f"Upload {upload.id} is {word}; it takes no more changes.", param="upload_id", state=state)

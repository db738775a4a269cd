"""Give an upload up."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import UPLOAD_TRANSITIONS, UploadEvent, UploadState, advance
from mediagate.core.objects import Principal, Upload
from mediagate.files.tasks import DROP_PARTS
from mediagate.files.upload_rules import find_upload, require_pending
from mediagate.store.database import Database
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class CancelUpload:
    """Give an upload up."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, upload_id: str) -> Upload:
        """Cancelling twice is the same as once. Raises `NotFound`, or `StateConflict` after it was completed."""
        async with self.db.transaction() as tx:
            uploads = UploadRepository(tx.connection)
            upload = await find_upload(uploads, who, upload_id, locked=True)
            if upload.state is not UploadState.CANCELLED:
                require_pending(upload, self.clock)
                state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.CANCEL_REQUESTED)
                await uploads.set_state(upload_id, state)
                await tx.enqueue(DROP_PARTS, lock=upload_id, upload_id=upload_id)
            return await find_upload(uploads, who, upload_id)

"""Give an upload up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import UPLOAD_TRANSITIONS, UploadEvent, UploadState, advance
from mediagate.core.objects import Principal, Upload
from mediagate.files.tasks import DROP_PARTS
from mediagate.files.upload_rules import lock_upload, require_pending
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
            upload = await lock_upload(tx, who, upload_id, self.clock)
            if upload.state is UploadState.CANCELLED:
                return upload
            require_pending(upload, self.clock)
            state = advance(UPLOAD_TRANSITIONS, upload.state, UploadEvent.CANCEL_REQUESTED)
            await UploadRepository(tx.connection).set_state(upload_id, state)
            await tx.enqueue(DROP_PARTS, lock=upload_id, upload_id=upload_id)
            return replace(upload, state=state)

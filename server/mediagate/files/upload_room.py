"""Room for an upload that somebody may still begin with a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.handles import UploadTerms
from mediagate.core.lifecycle import UploadState
from mediagate.core.objects import Principal, Upload
from mediagate.core.storage import MadeBy, quotas_of
from mediagate.storage.reserve import reserve
from mediagate.store.database import Transaction
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class ReserveRoom:
    """An upload that nobody is told of holds the room, until it expires. The database ends it with its token, and while
    the token's own upload is under way, which has its room by itself."""

    clock: Clock

    async def run(
        self, tx: Transaction, who: Principal, end_user: str | None, terms: UploadTerms, expires_at: datetime
    ) -> str | None:
        """The id of that upload; None where no quota counts. Raises `StorageQuotaExceeded`."""
        quotas = quotas_of(who, end_user)
        if not quotas:
            return None
        await reserve(tx, quotas, terms.bytes_max)
        upload = Upload(
            id=ids.new_upload_id(),
            owner_id=who.owner_id,
            size_bytes=terms.bytes_max,
            filename=terms.filename or "upload",
            mime_type="application/octet-stream",
            purpose=terms.field("purpose") or "user_data",
            state=UploadState.PENDING,
            created_at=self.clock.now(),
            expires_at=expires_at,
            end_user=end_user,
        )
        await UploadRepository(tx.connection).add(upload, MadeBy.of(who, end_user))
        return upload.id

"""Announce a file that will come in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import settled_end_user
from mediagate.core.errors import InvalidField, PayloadTooLarge
from mediagate.core.lifecycle import UploadState
from mediagate.core.objects import Principal, Upload
from mediagate.core.placement import required_of
from mediagate.core.storage import MadeBy, quotas_of
from mediagate.files.rules import check_expiry, check_filename, check_purpose
from mediagate.routing.placement import require
from mediagate.routing.targets import Named, Targets, Wish
from mediagate.storage.reserve import reserve
from mediagate.storage.retention import OPENAI, RetentionDefaults
from mediagate.store.database import Database
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class CreateUpload:
    """Announce a file that will come in parts."""

    db: Database
    targets: Targets
    clock: Clock
    upload_bytes_max: int
    batch_bytes_max: int
    lifetime_s: float
    retention: RetentionDefaults = OPENAI

    async def run(
        self,
        who: Principal,
        *,
        size_bytes: float,
        filename: str,
        mime_type: str,
        purpose: str,
        expires_after: Mapping[str, Any] | None,
        named: Named,
        wish: Wish,
        keeps_partial: bool = False,
        upload_id: str | None = None,
        end_user: str | None = None,
    ) -> Upload:
        """`named` and `wish` say where the file shall go, `upload_id` is for an upload whose id was reserved,
        `end_user` is whose it shall be.

        Raises `InvalidField`, `PayloadTooLarge`, or `StorageQuotaExceeded`: the whole size is reserved for as long as
        the upload is open.
        """
        end_user = settled_end_user(who, end_user)
        targets = self.targets.chosen(who, named, wish)
        required = required_of(who)
        scratch = self.targets.stores.scratch_account
        require(self.targets.stores.accounts.get(scratch), scratch, required, "the parts of an upload")
        if size_bytes != int(size_bytes):
            raise InvalidField("'bytes' must be a whole number.", param="bytes")
        bytes_max = self.upload_bytes_max
        if purpose == "batch":
            bytes_max = min(bytes_max, self.batch_bytes_max)
        if size_bytes > bytes_max:
            raise PayloadTooLarge(
                f"File is too large: the limit is {bytes_max} bytes for one upload with this purpose.",
                param="bytes",
                limit_bytes=bytes_max,
            )
        now = self.clock.now()
        upload = Upload(
            id=upload_id or ids.new_upload_id(),
            owner_id=who.owner_id,
            size_bytes=int(size_bytes),
            filename=check_filename(filename, check_purpose(purpose)),
            mime_type=mime_type,
            purpose=purpose,
            state=UploadState.PENDING,
            created_at=now,
            expires_at=now + timedelta(seconds=self.lifetime_s),
            file_expires_after_s=self.retention.life_s(who, purpose, check_expiry(expires_after)),
            targets=targets,
            keeps_partial=keeps_partial,
            end_user=end_user,
            required=required or None,
        )
        async with self.db.transaction() as tx:
            await reserve(tx, quotas_of(who, end_user), upload.size_bytes)
            await UploadRepository(tx.connection).add(upload, MadeBy.of(who, end_user))
        return upload

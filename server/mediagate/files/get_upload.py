"""Look up an upload, or one of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.objects import Principal, Upload, UploadPart
from mediagate.files.upload_rules import find_upload
from mediagate.store.database import Database
from mediagate.store.uploads import UploadRepository


@dataclass(frozen=True, slots=True)
class GetUpload:
    """Return what is known of an upload."""

    db: Database

    async def run(self, who: Principal, upload_id: str) -> Upload:
        """Raises `NotFound` for an id that is malformed, unknown or somebody else's."""
        async with self.db.reading() as connection:
            return await find_upload(UploadRepository(connection), who, upload_id)

    async def part(self, who: Principal, part_id: str) -> UploadPart:
        """The same for a part that has come whole."""
        ids.PART.parse(part_id)
        async with self.db.reading() as connection:
            uploads = UploadRepository(connection)
            part = await uploads.whole_part(part_id)
            if part is None or await uploads.get(who, part.upload_id) is None:
                raise ids.PART.not_found(part_id)
            return part

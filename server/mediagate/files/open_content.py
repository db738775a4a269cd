"""Open the bytes of a file for reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mediagate.core.errors import NotFound, Unavailable
from mediagate.core.objects import File, Principal, Replica
from mediagate.files.get_file import GetFile
from mediagate.providers.base import Content
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileRepository

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenContent:
    """Find a readable replica. Which one, and whether the bytes pass this process at all, is decided here."""

    db: Database
    stores: FileStores
    get_file: GetFile

    async def run(self, who: Principal, file_id: str) -> tuple[File, Content]:
        """Raises `NotFound` for the file, `Unavailable` where no replica can be opened."""
        file = await self.get_file.run(who, file_id)
        async with self.db.reading() as connection:
            replicas = await FileRepository(connection).replicas(file.id)
        content = await self._first_readable(replicas, file.size_bytes)
        if content is None:
            raise Unavailable("The file's content cannot be read at the moment. Try again later.", file_id=file.id)
        return file, content

    async def find(self, who: Principal, file_id: str) -> tuple[File, Content]:
        """The same for jobs: whatever is missing is a `FileNotFoundError`."""
        try:
            return await self.run(who, file_id)
        except (NotFound, Unavailable):
            raise FileNotFoundError(file_id) from None

    async def _first_readable(self, replicas: Sequence[Replica], size_bytes: int) -> Content | None:
        """A replica of another size than was acknowledged is damaged, and never served."""
        for replica in replicas:
            try:
                content = await self.stores.named(replica.provider).open(replica.ref)
            except (FileNotFoundError, KeyError):
                continue
            if content.size_bytes == size_bytes:
                return content
            log.error("replica_damaged", file_id=replica.file_id, provider=replica.provider)
        return None

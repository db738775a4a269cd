"""Give up a file whose receiver is not heard of any more."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.files.remove_file import enqueue_removal
from mediagate.store.database import Database
from mediagate.store.files import FileRepository


@dataclass(frozen=True, slots=True)
class AbandonFile:
    """The tombstone for a half file, and the job that removes what came of it."""

    db: Database

    async def run(self, file_id: str) -> None:
        """From here on the file can never become readable, however slow its receiver was. One that is readable stays,
        and so does one that was promised."""
        async with self.db.transaction() as tx:
            if await FileRepository(tx.connection).abandon(file_id):
                await enqueue_removal(tx, file_id)

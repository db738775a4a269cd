"""Delete a file: the tombstone at once, the bytes by a job."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.objects import Principal
from mediagate.core.webhooks import FILE_DELETED
from mediagate.files.remove_file import enqueue_removal
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.webhooks.emit import emit_about_files


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Make a file unreadable, and enqueue the removal of its replicas in the same transaction."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, file_id: str) -> None:
        """Raises `NotFound`, also for a file that was deleted before."""
        ids.FILE.parse(file_id)
        async with self.db.transaction() as tx:
            if not await FileRepository(tx.connection).entomb(who, file_id, now=self.clock.now()):
                raise ids.FILE.not_found(file_id)
            await emit_about_files(tx, [file_id], [FILE_DELETED], now=self.clock.now())
            await enqueue_removal(tx, file_id)

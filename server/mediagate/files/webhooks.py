"""What becomes of files, as events for their owners' webhooks."""

from __future__ import annotations

from datetime import datetime

from mediagate.core.lifecycle import file_status_of
from mediagate.core.objects import File, Replica
from mediagate.core.webhooks import FILE_CREATED, FILE_FAILED, FILE_PROCESSED
from mediagate.files.copy_news import tell
from mediagate.store.database import Transaction
from mediagate.store.files import FileRepository
from mediagate.store.replicas import ReplicaRepository
from mediagate.webhooks.emit import emit_about_files


async def announce_new(tx: Transaction, file: File, *, now: datetime) -> None:
    """Tell that a file is whole, and whether it can be used already."""
    usable = file_status_of({replica.state for replica in file.replicas}) == "processed"
    types = [FILE_CREATED, FILE_PROCESSED] if usable else [FILE_CREATED]
    await emit_about_files(tx, [file.id], types, now=now)


async def settle_and_announce(tx: Transaction, replica: Replica, *, now: datetime) -> bool:
    """Write down what became of a copy, and tell where it was this one that decided over its file; False where it is
    gone by now."""
    # Two copies that are done at once would each think that the other decides.
    finished = await FileRepository(tx.connection).is_finished(replica.file_id)
    rows = ReplicaRepository(tx.connection)
    before = {one.account: one.state for one in await rows.of(replica.file_id)}
    kept = await rows.settle(replica, now=now)
    await tell(tx, replica.file_id, replica.account)
    if kept and finished:
        status = file_status_of({**before, replica.account: replica.state}.values())
        if status != file_status_of(before.values()) and status != "uploaded":
            type_ = FILE_PROCESSED if status == "processed" else FILE_FAILED
            await emit_about_files(tx, [replica.file_id], [type_], now=now)
    return kept

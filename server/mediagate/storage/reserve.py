"""Room for what comes: reserved when an upload starts, settled when it ends.

Who reserves in a scope waits for those that reserve there, and no longer than their transactions last; whoever only
ends, deletes or sweeps waits for nobody. What is reserved lies in the row of the file or of the upload, so it goes with
that row, however its maker ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagate.core.errors import StorageQuotaExceeded
from mediagate.core.limits import echo
from mediagate.core.storage import Quota
from mediagate.store.database import Database, Transaction
from mediagate.store.files import FileRepository
from mediagate.store.storage import Held, StorageRepository

MIB = 1 << 20
# What is reserved beyond the bytes that came, where nobody knows how many will: it doubles with each time.
STEP_BYTES = 8 * MIB
STEP_BYTES_MAX = 256 * MIB


async def reserve(tx: Transaction, quotas: Sequence[Quota], need_bytes: int, wish_bytes: int | None = None) -> int:
    """How many bytes may be reserved: `wish_bytes` where there is room, less where there is less, `need_bytes` at
    least. They are reserved once a row of this transaction has them; the scopes are held until it ends.

    Raises `StorageQuotaExceeded` naming the scope without room.
    """
    wish_bytes = need_bytes if wish_bytes is None else max(need_bytes, wish_bytes)
    if not quotas:
        return wish_bytes
    sums = StorageRepository(tx.connection)
    await sums.lock(quotas)
    return await _room(sums, quotas, need_bytes, wish_bytes)


async def _room(sums: StorageRepository, quotas: Sequence[Quota], need_bytes: int, wish_bytes: int) -> int:
    held = await sums.held([(quota.kind, quota.id) for quota in quotas])
    granted = wish_bytes
    for quota in quotas:
        found = held[quota.kind, quota.id]
        room = quota.bytes_max - found.bytes - found.reserved_bytes
        if need_bytes > room:
            raise _exceeded(quota, found, need_bytes)
        granted = min(granted, room)
    return granted


def _exceeded(quota: Quota, found: Held, need_bytes: int) -> StorageQuotaExceeded:
    reserved = f", {found.reserved_bytes} are reserved for uploads under way" if found.reserved_bytes else ""
    return StorageQuotaExceeded(
        f"The storage quota of {echo(quota.whose)} is {quota.bytes_max} bytes: {found.bytes} are used{reserved}, and "
        f"this needs {need_bytes} more. Delete files, or ask for a larger quota.",
        scope=quota.kind,
        scope_id=quota.id,
        quota_bytes=quota.bytes_max,
        used_bytes=found.bytes,
        reserved_bytes=found.reserved_bytes,
        needed_bytes=need_bytes,
    )


@dataclass(slots=True)
class Reservation:
    """What one file that is being received has reserved."""

    db: Database
    quotas: tuple[Quota, ...]
    bytes: int = 0
    _step: int = STEP_BYTES

    def covers(self, size_bytes: int) -> bool:
        """Whether a file of this size needs no more than was reserved; without a quota it never does."""
        return not self.quotas or size_bytes <= self.bytes

    async def begin(self, tx: Transaction, size_bytes: int | None, at_most: int | None) -> int:
        """Reserve in the transaction that begins the file: its size where that is certain, else `at_most`, which it
        will not exceed by much less than `SLACK_BYTES`; where neither is known, nothing yet. Returns what was reserved.
        """
        if not self.quotas:
            return 0
        if size_bytes is not None:
            self.bytes = await reserve(tx, self.quotas, size_bytes)
        elif at_most is not None:
            self.bytes = await reserve(tx, self.quotas, max(0, at_most - SLACK_BYTES), at_most)
        else:
            self.bytes = await reserve(tx, self.quotas, 0)
        return self.bytes

    async def grow(self, file_id: str, size_bytes: int) -> bool:
        """Have the file's row hold at least `size_bytes`, and some more for what may follow; False where the row takes
        no bytes any more. Raises `StorageQuotaExceeded`."""
        more = size_bytes - self.bytes
        async with self.db.transaction() as tx:
            granted = await reserve(tx, self.quotas, more, self._step)
            if not await FileRepository(tx.connection).reserve(file_id, self.bytes + granted):
                return False
        self.bytes += granted
        self._step = min(STEP_BYTES_MAX, self._step * 2)
        return True


SLACK_BYTES = 16 << 10
"""What a form may have around the bytes of its file: boundaries, headers, other fields. Beyond it, the file is held
against the quota as its bytes come."""


async def require_room(db: Database, quotas: Sequence[Quota], at_least: int) -> None:
    """Raises `StorageQuotaExceeded` where so many bytes have no place now. Reserves nothing: for what waits here before
    it is known where it goes."""
    if quotas:
        async with db.reading() as connection:
            await _room(StorageRepository(connection), quotas, at_least, at_least)

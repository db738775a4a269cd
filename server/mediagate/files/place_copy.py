"""Have a copy of a file in an account where it is needed now: the one that is there, or one that is made.

The row of a copy is the promise; whoever writes it enqueues the job that keeps it, and whoever comes meanwhile waits
for the same one, in whatever process. A job whose worker died is taken up by another. A copy that cannot be made is
told to those who wait, and leaves nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, MediagateError, StateConflict
from mediagate.core.lifecycle import REPLICA_TRANSITIONS, ReplicaEvent, ReplicaState, advance
from mediagate.core.objects import Replica
from mediagate.files.copy_news import CopyNews, tell
from mediagate.files.finish_replica import RepairReplica
from mediagate.files.tasks import AT_ONCE, COPIES_QUEUE, PLACE_COPY, replica_lock
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.store.replicas import ReplicaRepository

log = structlog.get_logger(__name__)
# A word may get lost where a connection breaks; then this is how late it is noticed.
LOOK_S = 5.0
_TO_BE_MADE = (ReplicaState.PENDING, ReplicaState.LOST)


@dataclass(frozen=True, slots=True)
class PlaceCopy:
    """Wait for a copy, and have it made where nobody does."""

    db: Database
    stores: FileStores
    news: CopyNews
    clock: Clock

    async def run(self, file_id: str, account: str, *, wait_s: float) -> Replica:
        """Returns a copy that can be used. What takes longer than `wait_s` goes on without the caller.

        Raises `NotFound` for a file that is gone, `StateConflict` with the code `file_not_ready` where the time is
        over, `InvalidField` where the provider does not take this file, and what else it answered.
        """
        there = await self._row(file_id, account)
        if there is not None and self.usable(there):
            return there
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        async with self.news.of(file_id, account) as heard:
            while True:
                replica = await self._found(file_id, account)
                if replica is not None:
                    return replica
                left_s = deadline - loop.time()
                if left_s <= 0:
                    raise _not_ready(file_id, self._title(account))
                failure = await heard.next(min(left_s, LOOK_S))
                if failure is not None:
                    raise failure

    def usable(self, replica: Replica) -> bool:
        """Whether the provider has this copy, as far as is known."""
        expired = replica.expires_at is not None and replica.expires_at <= self.clock.now()
        return replica.state is ReplicaState.READY and replica.ref is not None and not expired

    async def _row(self, file_id: str, account: str) -> Replica | None:
        async with self.db.reading() as connection:
            return await ReplicaRepository(connection).of_readable(file_id, account)

    async def _found(self, file_id: str, account: str) -> Replica | None:
        """The copy; None while it is being made, and somebody does."""
        replica = await self._row(file_id, account)
        if replica is not None:
            if self.usable(replica):
                return replica
            if replica.state is ReplicaState.FAILED:
                raise InvalidField(
                    f"{self._title(account)} took a copy of file {file_id} and cannot use it. Check that the file is "
                    "what its name says.",
                    code="file_refused_by_provider",
                )
            if replica.state is ReplicaState.PROCESSING:
                return None
        await self._ask(file_id, account)
        return None

    async def _ask(self, file_id: str, account: str) -> None:
        """Promise the copy, unless somebody has, and see to it that a job keeps the promise now."""
        lock = replica_lock(file_id, account)
        async with self.db.transaction() as tx:
            # Behind a deletion, and before one that comes: that finds the row.
            if not await FileRepository(tx.connection).is_finished(file_id):
                raise ids.FILE.not_found(file_id)
            rows = ReplicaRepository(tx.connection)
            replica = await rows.one(file_id, account)
            if replica is None:
                provider = self.stores.account(account).spec.name
                pending = Replica(file_id, account, provider, None, ReplicaState.PENDING)
                await rows.add([pending], now=self.clock.now())
            elif replica.state is ReplicaState.READY and not self.usable(replica):
                if not await rows.lose(replica):
                    return
            elif replica.state not in (*_TO_BE_MADE, ReplicaState.WRITING):
                return
            if not await rows.is_awaited(lock):
                await tx.enqueue(
                    PLACE_COPY,
                    queue=COPIES_QUEUE,
                    lock=lock,
                    priority=AT_ONCE,
                    file_id=file_id,
                    account=account,
                    is_new=replica is None,
                )

    async def lost(self, file_id: str, account: str, ref: str) -> bool:
        """Whether the copy `ref` is no copy of the file any more, or the provider says, asked now, that it does not
        have it; it is made anew when it is needed again. What cannot be asked now is not lost."""
        replica = await self._row(file_id, account)
        if replica is None or replica.state is not ReplicaState.READY or replica.ref != ref:
            return True
        try:
            await self.stores.account(account).get(ref)
        except FileNotFoundError:
            pass
        except (KeyError, MediagateError):
            return False
        else:
            return False
        async with self.db.transaction() as tx:
            if await ReplicaRepository(tx.connection).lose(replica):
                log.warning("replica_lost", account=account, file_id=file_id)
        return True

    def _title(self, account: str) -> str:
        return self.stores.account(account).spec.title


def _not_ready(file_id: str, title: str) -> StateConflict:
    return StateConflict(
        f"File {file_id} is still on its way to {title}. Send the same request again in a moment: what is copied "
        "already is kept.",
        code="file_not_ready",
        file_id=file_id,
    )


@dataclass(frozen=True, slots=True)
class MakeCopy:
    """The job: make a copy that was promised by `PlaceCopy`, and tell what came of it."""

    db: Database
    repair: RepairReplica

    async def run(self, file_id: str, account: str, is_new: bool) -> None:
        """`is_new` is a copy that there was no row for: where it cannot be made there shall be none again. Whatever it
        is, a failure is told and not tried again: whoever needs the copy asks again."""
        try:
            await self.repair.run(file_id, account)
        except MediagateError as failure:
            log.warning("copy_not_placed", account=account, file_id=file_id, code=failure.code)
            async with self.db.transaction() as tx:
                rows = ReplicaRepository(tx.connection)
                if is_new:
                    await FileRepository(tx.connection).hold([file_id])
                    await rows.forget_half(file_id, account)
                else:
                    deferred = advance(REPLICA_TRANSITIONS, ReplicaState.WRITING, ReplicaEvent.DEFERRED)
                    await rows.move(file_id, account, ReplicaState.WRITING, deferred)
                await tell(tx, file_id, account, failure)

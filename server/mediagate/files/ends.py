"""How a file comes to its end of being received: its copies settled, and the day on which it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import Replica
from mediagate.files.tasks import BYTES_QUEUE, FOLLOW_REPLICA, REPAIR_REPLICA, replica_lock
from mediagate.store.database import Transaction
from mediagate.store.replicas import ReplicaRepository

FOLLOW_AFTER_S = 1


async def settle_replicas(tx: Transaction, replicas: Sequence[Replica], now: datetime) -> None:
    """Write down what became of these, with the jobs for those that are not done."""
    rows = ReplicaRepository(tx.connection)
    for replica in replicas:
        await rows.settle(replica, now=now)
        lock = replica_lock(replica.file_id, replica.account)
        if replica.state is ReplicaState.PENDING:
            await tx.enqueue(
                REPAIR_REPLICA, queue=BYTES_QUEUE, lock=lock, file_id=replica.file_id, account=replica.account
            )
        elif replica.state is ReplicaState.PROCESSING:
            await tx.enqueue(
                FOLLOW_REPLICA,
                lock=lock,
                delay_s=FOLLOW_AFTER_S,
                file_id=replica.file_id,
                account=replica.account,
            )


def end_of(created_at: datetime, life_s: int | None, replicas: Sequence[Replica]) -> datetime | None:
    """When a file is over: when it was asked to be, or when its last copy is gone by its store's own rules."""
    ends = [] if life_s is None else [created_at + timedelta(seconds=life_s)]
    last = [replica.expires_at for replica in replicas]
    if last and None not in last:
        ends.append(max(end for end in last if end is not None))
    return min(ends, default=None)

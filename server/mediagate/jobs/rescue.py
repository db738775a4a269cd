"""Jobs that nobody runs any more go back to their queues.

A job loses its process in two ways: the process died, so that no heartbeat comes from its workers; or the database was
away when the process wanted to write down the job's end, so that it counts as running for as long as the process lives.
A process that was silent for too long, stopped by a debugger or by its machine's sleep, finds its jobs in other hands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from typing import Protocol

import structlog
from procrastinate.connector import BaseAsyncConnector
from procrastinate.manager import JobManager
from procrastinate.utils import utcnow

log = structlog.get_logger(__name__)
HEARTBEAT_S = 1.0
LOOK_S = 2.0
STALLED_S = 6.0
PRUNED_S = 60.0
# As one value: with ten thousand videos in hand, a row for each is a tenth of the process's time (measured).
_OURS = (
    "SELECT coalesce(array_agg(id), '{}') AS ids FROM procrastinate_jobs"
    " WHERE status = 'doing' AND worker_id = ANY(%(workers)s)"
)
_BEAT = "SELECT procrastinate_update_heartbeat_v1(id) FROM unnest(%(workers)s::bigint[]) AS id"


class DeclaredDead(Exception):
    """Others took over jobs that this process still runs. It has to end at once, without a word about them."""


class Registered(Protocol):
    """Something that takes jobs: who it is in the job engine's tables, None while it is not there."""

    worker_id: int | None


class Rescue:
    """Looks every other second, on behalf of the workers of this process, and is the heartbeat of all of them."""

    def __init__(
        self, manager: JobManager, connector: BaseAsyncConnector, workers: Sequence[Registered], running: Set[int]
    ) -> None:
        """`running` holds the ids of the jobs that run in this process, at any time."""
        self._manager = manager
        self._connector = connector
        self._workers = workers
        self._running = running
        self._idle: set[int] = set()

    async def beat(self) -> None:
        """Say every second that the workers are alive, until cancelled. A look may be slower than that."""
        while True:
            try:
                await self._beat(self._ours())
            except Exception as error:
                log.warning("heartbeat_failed", error=type(error).__name__)
            await asyncio.sleep(HEARTBEAT_S)

    async def run(self) -> None:
        """Look until cancelled. Raises `DeclaredDead`."""
        while True:
            try:
                await self._look()
            except DeclaredDead:
                raise
            except Exception as error:
                log.warning("rescue_failed", error=type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        ours = self._ours()
        # First of all, so that a process that slept does not take itself for dead.
        await self._beat(ours)
        if ours:
            await self._check_ours(ours)
        for job in await self._manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
            if job.worker_id not in ours:
                log.warning("job_rescued", task=job.task_name)
                await self._manager.retry_job(job)
        await self._manager.prune_stalled_workers(PRUNED_S)

    def _ours(self) -> list[int]:
        return [worker.worker_id for worker in self._workers if worker.worker_id is not None]

    async def _beat(self, ours: Sequence[int]) -> None:
        if ours:
            await self._connector.execute_query_async(_BEAT, workers=list(ours))

    async def _check_ours(self, ours: Sequence[int]) -> None:
        before = set(self._running)
        row = await self._connector.execute_query_one_async(_OURS, workers=list(ours))
        owned = set(row["ids"])
        if lost := (before & self._running) - owned:
            log.error("jobs_in_other_hands", jobs=len(lost))
            raise DeclaredDead
        # One look may meet a job between its fetch and its start, or between its end and the note of it.
        idle = owned - before - self._running
        for job_id in idle & self._idle:
            log.warning("job_without_end_rescued", job_id=job_id)
            await self._manager.retry_job_by_id_async(job_id, utcnow())
        self._idle = idle - self._idle

"""The jobs that track videos and batches: durable like every job, and thousands at once in one process.

They are the job engine's by their rows, so that what rescues a dead process's jobs rescues these; its worker is not
used for them, because it keeps a task with some ten kilobytes of frames for each job that runs (measured).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from procrastinate.connector import BaseAsyncConnector
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from mediagate.jobs.due import LOOK_S
from mediagate.jobs.rescue import DeclaredDead
from mediagate.videos.rounds import Look, Rounds

log = structlog.get_logger(__name__)
VIDEOS_MAX = 10_000
FETCHED_MAX = 20
# While so many look, others are fetched slowly: a new one costs far more than one that waits for its next look.
LOOKING_MAX = 100
PAUSE_S = 0.1
SHUTDOWN_S = 15.0
_FETCH = (
    "SELECT (job).id, (job).args->>%(argument)s AS object_id, (job).args->>'traceparent' AS traceparent FROM ("
    " SELECT procrastinate_fetch_job_v2(ARRAY[%(queue)s]::varchar[], %(worker)s) AS job"
    " FROM generate_series(1, %(most)s)) AS fetched WHERE (job).id IS NOT NULL"
)
_HAND_OVER = (
    "SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM procrastinate_jobs"
    " WHERE status = 'doing' AND worker_id = %(worker)s"
)


class TrackingJobs:
    """Takes the jobs of one queue and holds each until what it tracks needs no more tracking."""

    def __init__(
        self,
        manager: JobManager,
        connector: BaseAsyncConnector,
        look: Look,
        running: set[int],
        *,
        queue: str,
        argument: str,
    ) -> None:
        """`argument` of a job is the id of what it tracks. `running` is kept up to date: the ids of the jobs that this
        process runs."""
        self.worker_id: int | None = None
        self._manager = manager
        self._connector = connector
        self._running = running
        self._jobs: dict[str, int] = {}
        self._rounds = Rounds(look, self._over)
        self._queue = queue
        self._argument = argument
        self._news = asyncio.Event()
        self._stopping = False
        self._dead = False

    def wake(self, video_id: str) -> None:
        """Look at a video soon, if it is tracked here."""
        self._rounds.wake(video_id)

    def stop(self) -> None:
        """Begin to stop: what is tracked here goes back to the queue."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        """Run until `stop`. Raises `DeclaredDead`."""
        self.worker_id = await self._manager.register_worker()
        listening = asyncio.create_task(
            self._manager.listen_for_jobs(on_notification=self._notified, queues=[self._queue])
        )
        try:
            while not self._stopping:
                self._news.clear()
                await self._take_patiently()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if not self._dead:
                await self._hand_over()

    async def _notified(self, *, channel: str, notification: Any) -> None:
        self._news.set()

    async def _take_patiently(self) -> None:
        try:
            await self._take()
        except DeclaredDead:
            # The others have what was tracked here, and nothing may be said of it any more.
            self._dead = True
            raise
        except Exception as error:
            # Thousands of videos are not given up because none can be added.
            log.warning("jobs_not_fetched", error=type(error).__name__)

    async def _take(self) -> None:
        most = 1
        while not self._stopping and (room := VIDEOS_MAX - len(self._rounds)) > 0:
            most = min(most, room)
            rows = await self._connector.execute_query_all_async(
                _FETCH, queue=self._queue, argument=self._argument, worker=self.worker_id, most=most
            )
            for row in rows:
                await self._begin(row["id"], row["object_id"], row["traceparent"])
            if len(rows) < most:
                return
            most = FETCHED_MAX
            if self._rounds.looking > LOOKING_MAX:
                await asyncio.sleep(PAUSE_S)

    async def _begin(self, job_id: int, video_id: str, traceparent: str | None) -> None:
        if job_id in self._running:
            # This process slept so long that the job was taken from it, and it has just fetched it again.
            raise DeclaredDead
        if video_id in self._rounds:
            await self._finish(job_id)
            return
        self._jobs[video_id] = job_id
        self._running.add(job_id)
        self._rounds.add(video_id, traceparent)

    async def _over(self, video_id: str) -> None:
        job_id = self._jobs.pop(video_id)
        self._running.discard(job_id)
        try:
            await self._finish(job_id)
        except Exception as error:
            # The rescue finds a job that nobody runs.
            log.warning("job_end_not_written", job_id=job_id, error=type(error).__name__)

    async def _finish(self, job_id: int) -> None:
        await self._manager.finish_job_by_id_async(job_id, Status.SUCCEEDED, delete_job=True)

    async def _hand_over(self) -> None:
        await self._rounds.stop(SHUTDOWN_S)
        self._running.difference_update(self._jobs.values())
        try:
            await self._connector.execute_query_all_async(_HAND_OVER, worker=self.worker_id)
            if self.worker_id is not None:
                await self._manager.unregister_worker(self.worker_id)
        except Exception as error:
            # Another worker misses the heartbeat of this one, and takes them.
            log.warning("jobs_not_handed_over", jobs=len(self._jobs), error=type(error).__name__)

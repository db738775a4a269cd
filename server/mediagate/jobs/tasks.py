"""The jobs, each a thin call into the product, and the worker that runs them.

Two queues: `tracking` holds one long job per running video and takes thousands at once; `default` holds short work.
A job that lost its process is run again by another, so every job may be repeated.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import procrastinate
import structlog
from procrastinate import JobContext, RetryDecision
from procrastinate.jobs import Job
from procrastinate.worker import Worker as JobWorker

from mediagate.files.remove_file import DropParts, RemoveFile, RemoveStrays, ResumeRemovals, SweepFiles
from mediagate.files.tasks import DROP_PARTS, REMOVE_FILE
from mediagate.jobs.connector import PatientConnector
from mediagate.jobs.rescue import HEARTBEAT_S, PRUNED_S, DeclaredDead, Rescue
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.store.listener import Listener
from mediagate.store.videos import VideoRepository
from mediagate.videos.delete_video import RemoveVideo
from mediagate.videos.tasks import REMOVE_VIDEO, TRACK_VIDEO, TRACKING_QUEUE, WAKE_CHANNEL
from mediagate.videos.track_video import Leash, TrackVideo

log = structlog.get_logger(__name__)
TRACKING_CONCURRENCY = 10_000
WORK_CONCURRENCY = 8
RESUME_BATCH = 500
SHUTDOWN_S = 15.0
# Far longer than any request takes from keeping an input to committing what it is for.
UNUSED_INPUT_AGE = timedelta(hours=1)
EXIT_DECLARED_DEAD = 75


class Patience(procrastinate.BaseRetryStrategy):
    """Tries again for ever, later each time, up to a limit."""

    def __init__(self, wait_s_max: int) -> None:
        self._wait_s_max = wait_s_max

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        """When to try again."""
        return RetryDecision(retry_in={"seconds": min(self._wait_s_max, 2 ** min(job.attempts, 16))})


RETRY = Patience(300)
# A video's tracker waits for its provider by itself; the job ends early only when its process does.
RETRY_TRACKING = Patience(2)


@dataclass(frozen=True, slots=True)
class Operations:
    """What jobs do."""

    db: Database
    track_video: TrackVideo
    remove_video: RemoveVideo
    remove_file: RemoveFile
    drop_parts: DropParts
    sweep_files: SweepFiles
    resume_removals: ResumeRemovals
    remove_strays: RemoveStrays


class Worker:
    """Runs jobs until it is told to stop."""

    def __init__(self, database_url: str, operations: Operations) -> None:
        self._database_url = database_url
        self._operations = operations
        self._stopping = asyncio.Event()
        self._leashes: dict[str, Leash] = {}
        self._running: set[int] = set()
        self._connector = PatientConnector(conninfo=database_url, min_size=1, max_size=8)
        self._app = procrastinate.App(connector=self._connector)
        self._register()

    def _register(self) -> None:
        operations, app = self._operations, self._app

        @app.task(name=TRACK_VIDEO, queue=TRACKING_QUEUE, retry=RETRY_TRACKING)
        async def track_video(video_id: str) -> None:
            await self._track(video_id)

        @app.task(name=REMOVE_VIDEO, retry=RETRY)
        async def remove_video(video_id: str) -> None:
            await operations.remove_video.run(video_id)

        @app.task(name=REMOVE_FILE, retry=RETRY)
        async def remove_file(file_id: str) -> None:
            await operations.remove_file.run(file_id)

        @app.task(name=DROP_PARTS, retry=RETRY)
        async def drop_parts(upload_id: str) -> None:
            await operations.drop_parts.run(upload_id)

        # Seconds come last here.
        @app.periodic(cron="* * * * * */10")
        @app.task(name="maintenance.sweep", queueing_lock="sweep", lock="sweep", pass_context=True)
        async def sweep(_context: JobContext, timestamp: int) -> None:
            while await operations.sweep_files.run():
                pass

        @app.periodic(cron="* * * * *")
        @app.task(name="maintenance.resume", queueing_lock="resume", lock="resume", pass_context=True)
        async def resume(_context: JobContext, timestamp: int) -> None:
            await self._resume()

        @app.periodic(cron="* * * * *")
        @app.task(name="maintenance.strays", queueing_lock="strays", lock="strays", pass_context=True)
        async def strays(_context: JobContext, timestamp: int) -> None:
            await operations.remove_strays.run()

    async def _track(self, video_id: str) -> None:
        leash = self._leashes[video_id] = Leash()
        if self._stopping.is_set():
            leash.stop()
        try:
            over = await self._operations.track_video.run(video_id, leash)
        finally:
            self._leashes.pop(video_id, None)
        if not over:
            # Handed over: another worker goes on where this one stops.
            async with self._operations.db.transaction() as tx:
                await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, video_id=video_id)

    async def _resume(self) -> None:
        """Give work back its job where the job was lost, and remove inputs for which no video came to be."""
        await self._operations.resume_removals.run()
        before = datetime.now(UTC) - UNUSED_INPUT_AGE
        async with self._operations.db.reading() as connection:
            videos = VideoRepository(connection)
            untracked = await videos.untracked(limit=RESUME_BATCH)
            unremoved = await videos.undeleted_outputs(limit=RESUME_BATCH)
            unused = await videos.unused_inputs(before=before, limit=RESUME_BATCH)
        async with self._operations.db.transaction() as tx:
            for video_id in untracked:
                await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, video_id=video_id)
            for video_id in unremoved:
                await tx.enqueue(REMOVE_VIDEO, lock=video_id, video_id=video_id)
            for file_id in unused:
                if await FileRepository(tx.connection).entomb_internal(file_id):
                    await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)

    async def _noted(self, run: Any, context: JobContext, _worker: JobWorker) -> Any:
        """Know which jobs run here while they do."""
        assert context.job.id is not None
        if context.job.id in self._running:
            # This process slept so long that the job was taken from it, and it has just fetched it again.
            _end_at_once()
        self._running.add(context.job.id)
        try:
            return await run()
        finally:
            self._running.discard(context.job.id)

    def _job_worker(self, name: str, queues: list[str], concurrency: int) -> JobWorker:
        return JobWorker(
            self._app,
            queues=queues,
            name=name,
            concurrency=concurrency,
            install_signal_handlers=False,
            update_heartbeat_interval=HEARTBEAT_S,
            stalled_worker_timeout=PRUNED_S,
            fetch_job_polling_interval=1.0,
            delete_jobs="successful",
            shutdown_graceful_timeout=SHUTDOWN_S,
            worker_middleware=[self._noted],
        )

    async def run(self) -> None:
        """Run until `stop`; jobs that are running then finish or hand over."""
        listener = Listener(self._database_url, WAKE_CHANNEL, on_payload=self._wake, on_reconnect=_nothing)
        async with self._app.open_async():
            workers = [
                self._job_worker("tracking", [TRACKING_QUEUE], TRACKING_CONCURRENCY),
                self._job_worker("work", ["default", "builtin"], WORK_CONCURRENCY),
            ]
            await listener.start()
            rescue = asyncio.create_task(
                Rescue(self._app.job_manager, self._connector, workers, self._running).run(), name="rescue"
            )
            running = [asyncio.create_task(worker.run()) for worker in workers]  # type: ignore[no-untyped-call]
            stop = asyncio.create_task(self._stopping.wait(), name="stop")
            await asyncio.wait([stop, rescue, *running], return_when=asyncio.FIRST_COMPLETED)
            if rescue.done() and isinstance(rescue.exception(), DeclaredDead):
                _end_at_once()
            asked = self._stopping.is_set()
            self.stop()
            for task in (stop, rescue, *running):
                task.cancel()
            await asyncio.gather(stop, rescue, *running, return_exceptions=True)
            await listener.close()
            if not asked:
                raise RuntimeError("a worker ended by itself")

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()
        for leash in self._leashes.values():
            leash.stop()

    def _wake(self, video_id: str) -> None:
        leash = self._leashes.get(video_id)
        if leash is not None:
            leash.wake()


def _end_at_once() -> NoReturn:
    """End this process, which is dead to the others: at leisure it would write down the ends of jobs of theirs."""
    log.error("worker_gives_way")
    os._exit(EXIT_DECLARED_DEAD)


async def _nothing() -> None:
    """A wake-up that was missed only makes a tracker look later."""

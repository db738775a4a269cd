"""The jobs, each a thin call into the product, and the worker that runs them.

Two queues: `tracking` holds one long job per running video and takes thousands at once; `default` holds short work. A job
whose worker died is found by its heartbeat and run again, so every job may be repeated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import procrastinate
import structlog
from procrastinate import JobContext

from mediagate.files.remove_file import DropParts, RemoveFile, ResumeRemovals, SweepFiles
from mediagate.files.tasks import DROP_PARTS, REMOVE_FILE
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository
from mediagate.videos.delete_video import RemoveVideo
from mediagate.videos.tasks import REMOVE_VIDEO, TRACK_VIDEO, TRACKING_QUEUE
from mediagate.videos.track_video import TrackVideo

log = structlog.get_logger(__name__)
HEARTBEAT_S = 2.0
STALLED_S = 8.0
SWEEP_S = 10.0
TRACKING_CONCURRENCY = 10_000
WORK_CONCURRENCY = 8
RESUME_BATCH = 500
RETRY = procrastinate.RetryStrategy(max_attempts=1000, exponential_wait=2)


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


class Worker:
    """Runs jobs until it is told to stop."""

    def __init__(self, database_url: str, operations: Operations) -> None:
        self._operations = operations
        self._stopping = asyncio.Event()
        self._app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(conninfo=database_url, min_size=1, max_size=8)
        )
        self._register()

    def _register(self) -> None:
        operations, stopping, app = self._operations, self._stopping, self._app

        @app.task(name=TRACK_VIDEO, queue=TRACKING_QUEUE, retry=RETRY)
        async def track_video(video_id: str) -> None:
            if not await operations.track_video.run(video_id, stopping):
                # Handed over: another worker goes on where this one stops.
                async with operations.db.transaction() as tx:
                    await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, video_id=video_id)

        @app.task(name=REMOVE_VIDEO, retry=RETRY)
        async def remove_video(video_id: str) -> None:
            await operations.remove_video.run(video_id)

        @app.task(name=REMOVE_FILE, retry=RETRY)
        async def remove_file(file_id: str) -> None:
            await operations.remove_file.run(file_id)

        @app.task(name=DROP_PARTS, retry=RETRY)
        async def drop_parts(upload_id: str) -> None:
            await operations.drop_parts.run(upload_id)

        @app.periodic(cron="*/10 * * * * *")
        @app.task(name="maintenance.sweep", queueing_lock="sweep", lock="sweep", pass_context=True)
        async def sweep(_context: JobContext, timestamp: int) -> None:
            while await operations.sweep_files.run():
                pass

        @app.periodic(cron="* * * * *")
        @app.task(name="maintenance.resume", queueing_lock="resume", lock="resume", pass_context=True)
        async def resume(_context: JobContext, timestamp: int) -> None:
            await self._resume()

    async def _resume(self) -> None:
        """Give work back its job where the job was lost."""
        await self._operations.resume_removals.run()
        async with self._operations.db.reading() as connection:
            videos = VideoRepository(connection)
            untracked = await videos.untracked(limit=RESUME_BATCH)
            unremoved = await videos.undeleted_outputs(limit=RESUME_BATCH)
        async with self._operations.db.transaction() as tx:
            for video_id in untracked:
                await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, video_id=video_id)
            for video_id in unremoved:
                await tx.enqueue(REMOVE_VIDEO, lock=video_id, video_id=video_id)

    async def _rescue_stalled(self) -> None:
        """Jobs of workers that died go back to their queues."""
        while True:
            try:
                for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
                    log.warning("job_rescued", task=job.task_name)
                    await self._app.job_manager.retry_job(job)
                await self._app.job_manager.prune_stalled_workers(STALLED_S * 4)
            except Exception as error:
                log.warning("rescue_failed", error=type(error).__name__)
            await asyncio.sleep(HEARTBEAT_S)

    async def run(self) -> None:
        """Run until `stop`; jobs that are running then finish or hand over."""
        options: dict[str, Any] = {
            "install_signal_handlers": False,
            "update_heartbeat_interval": HEARTBEAT_S,
            "stalled_worker_timeout": STALLED_S * 4,
            "fetch_job_polling_interval": 1.0,
            "delete_jobs": "successful",
            "shutdown_graceful_timeout": 15.0,
        }
        async with self._app.open_async():
            rescue = asyncio.create_task(self._rescue_stalled(), name="rescue stalled jobs")
            workers = [
                asyncio.create_task(
                    self._app.run_worker_async(
                        queues=[TRACKING_QUEUE], concurrency=TRACKING_CONCURRENCY, name="tracking", **options
                    )
                ),
                asyncio.create_task(
                    self._app.run_worker_async(
                        queues=["default", "builtin"], concurrency=WORK_CONCURRENCY, name="work", **options
                    )
                ),
            ]
            stop = asyncio.create_task(self._stopping.wait())
            await asyncio.wait([stop, *workers], return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                worker.cancel()
            rescue.cancel()
            await asyncio.gather(*workers, rescue, return_exceptions=True)
            if not self._stopping.is_set():
                raise RuntimeError("a worker ended by itself")

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()

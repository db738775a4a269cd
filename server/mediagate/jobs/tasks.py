"""The jobs, each a thin call into the product, and the worker that runs them.

Queues: `tracking` holds one long job per running video and takes thousands at once, `batch_tracking` one per batch;
`default` holds short work, `bytes` what moves whole files, `copies` those that somebody waits for; `webhooks` waits for
servers of callers, and `webhooks_retry` for those of them that failed.
A job that lost its process is run again by another, so every job may be repeated.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import procrastinate
import structlog
from procrastinate import JobContext, RetryDecision
from procrastinate.jobs import Job
from procrastinate.worker import Worker as JobWorker

from mediagate.access.idempotency import SweepKeys
from mediagate.access.limits.sweep import SweepLimits
from mediagate.access.tokens import SweepTokens
from mediagate.batches import tasks as batch_tasks
from mediagate.batches.clean_batch import CleanBatch
from mediagate.batches.track_batch import TrackBatch
from mediagate.files.copy_file import CopyFile
from mediagate.files.finish_replica import FOLLOW_S, FollowReplica, RepairReplica, enqueue_unfinished
from mediagate.files.place_copy import MakeCopy
from mediagate.files.reconcile import Reconcile
from mediagate.files.remove_file import DropParts, RemoveReplicas, ResumeRemovals, SweepFiles
from mediagate.files.retention import Retention
from mediagate.files.tasks import (
    BYTES_QUEUE,
    COPIES_QUEUE,
    COPY_FILE,
    DROP_PARTS,
    FOLLOW_REPLICA,
    PLACE_COPY,
    REMOVE_FILE,
    REMOVE_REPLICA,
    REPAIR_REPLICA,
)
from mediagate.jobs.connector import PatientConnector
from mediagate.jobs.due import LOOK_S, DueJobs
from mediagate.jobs.rescue import PRUNED_S, DeclaredDead, Rescue
from mediagate.jobs.tracking import TrackingJobs
from mediagate.storage.accounts import WatchAccounts
from mediagate.storage.fold import FoldUsage
from mediagate.store.batches import BatchRepository
from mediagate.store.database import Database
from mediagate.store.file_sweep import FileSweep
from mediagate.store.files import FileRepository
from mediagate.store.videos import VideoRepository
from mediagate.telemetry import metrics
from mediagate.telemetry.logs import flush_logs
from mediagate.telemetry.traces import job_span
from mediagate.videos.delete_video import RemoveVideo
from mediagate.videos.rounds import Look
from mediagate.videos.tasks import REMOVE_VIDEO, TRACK_VIDEO, TRACKING_QUEUE, WAKE_CHANNEL
from mediagate.videos.track_video import TrackVideo
from mediagate.webhooks.deliver import DeliverWebhooks, DeliveryJob
from mediagate.webhooks.tasks import DELIVER_WEBHOOKS, WEBHOOK_QUEUE, WEBHOOK_RETRY_QUEUE
from mediagate.webhooks.upkeep import ResumeDeliveries, SweepEvents

log = structlog.get_logger(__name__)
WORK_CONCURRENCY = 8
BYTES_CONCURRENCY = 4
COPIES_CONCURRENCY = 8
WEBHOOK_CONCURRENCY = 64
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


@dataclass(frozen=True, slots=True)
class Operations:
    """What jobs do."""

    db: Database
    track_video: TrackVideo
    track_batch: TrackBatch
    clean_batch: CleanBatch
    remove_video: RemoveVideo
    remove_replicas: RemoveReplicas
    repair_replica: RepairReplica
    follow_replica: FollowReplica
    make_copy: MakeCopy
    copy_file: CopyFile
    drop_parts: DropParts
    sweep_keys: SweepKeys
    sweep_limits: SweepLimits
    sweep_tokens: SweepTokens
    sweep_files: SweepFiles
    resume_removals: ResumeRemovals
    reconcile: Reconcile
    retention: Retention
    deliver_webhooks: DeliverWebhooks
    sweep_events: SweepEvents
    resume_deliveries: ResumeDeliveries
    fold_usage: FoldUsage
    watch_accounts: WatchAccounts


class Worker:
    """Runs jobs until it is told to stop."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._stopping = asyncio.Event()
        self._running: set[int] = set()
        self._connector = PatientConnector(operations.db, min_size=1, max_size=4)
        self._app = procrastinate.App(connector=self._connector)
        self._tracking = self._tracking_jobs(operations.track_video.look, TRACKING_QUEUE, "video_id")
        self._batches = self._tracking_jobs(operations.track_batch.look, batch_tasks.TRACKING_QUEUE, "batch_id")
        self._register()

    def _tracking_jobs(self, look: Look, queue: str, argument: str) -> TrackingJobs:
        return TrackingJobs(self._app.job_manager, self._connector, look, self._running, queue=queue, argument=argument)

    def _register(self) -> None:
        self._register_video_jobs()
        self._register_batch_jobs()
        self._register_file_jobs()
        self._register_webhook_jobs()
        self._register_maintenance()

    def _register_video_jobs(self) -> None:
        operations, app = self._operations, self._app

        @app.task(name=REMOVE_VIDEO, retry=RETRY)
        async def remove_video(video_id: str) -> None:
            await operations.remove_video.run(video_id)

    def _register_batch_jobs(self) -> None:
        operations, app = self._operations, self._app

        @app.task(name=batch_tasks.CLEAN_BATCH, retry=RETRY)
        async def clean_batch(batch_id: str) -> None:
            await operations.clean_batch.run(batch_id)

    def _register_file_jobs(self) -> None:
        operations, app = self._operations, self._app

        @app.task(name=REMOVE_FILE, retry=RETRY)
        async def remove_file(file_id: str) -> None:
            await operations.remove_replicas.all_of([file_id])

        @app.task(name=REMOVE_REPLICA, retry=RETRY)
        async def remove_replica(file_id: str, account: str) -> None:
            await operations.remove_replicas.one(file_id, account)

        @app.task(name=REPAIR_REPLICA, queue=BYTES_QUEUE, retry=RETRY)
        async def repair_replica(file_id: str, account: str) -> None:
            await operations.repair_replica.run(file_id, account)

        @app.task(name=FOLLOW_REPLICA, retry=RETRY)
        async def follow_replica(file_id: str, account: str, waited_s: int = FOLLOW_S) -> None:
            await operations.follow_replica.run(file_id, account, waited_s)

        @app.task(name=PLACE_COPY, queue=COPIES_QUEUE, retry=RETRY)
        async def place_copy(file_id: str, account: str, is_new: bool) -> None:
            await operations.make_copy.run(file_id, account, is_new)

        @app.task(name=COPY_FILE, queue=BYTES_QUEUE, retry=RETRY)
        async def copy_file(file_id: str) -> None:
            await operations.copy_file.keep_promise(file_id)

        @app.task(name=DROP_PARTS, retry=RETRY)
        async def drop_parts(upload_id: str) -> None:
            await operations.drop_parts.run(upload_id)

    def _register_webhook_jobs(self) -> None:
        operations, app = self._operations, self._app

        @app.task(name=DELIVER_WEBHOOKS, queue=WEBHOOK_QUEUE, retry=RETRY, pass_context=True)
        async def deliver_webhooks(context: JobContext, endpoint_id: str) -> None:
            assert context.job.id is not None
            job = DeliveryJob(context.job.id, among_failing=context.job.queue == WEBHOOK_RETRY_QUEUE)
            await operations.deliver_webhooks.run(endpoint_id, job, self._stopping.is_set)

    def _register_maintenance(self) -> None:
        operations = self._operations

        async def sweep() -> None:
            while await operations.sweep_files.run():
                pass
            while await operations.sweep_keys.run():
                pass
            while await operations.sweep_tokens.run():
                pass
            while await operations.sweep_events.run():
                pass
            while await operations.sweep_limits.run():
                pass
            await operations.fold_usage.run()

        # Seconds come last here.
        self._every("* * * * * */10", "maintenance.sweep", sweep)
        self._every("* * * * *", "maintenance.resume", self._resume)
        self._every("*/5 * * * *", "maintenance.accounts", operations.watch_accounts.run)
        self._every("* * * * *", "maintenance.strays", operations.reconcile.recent)
        self._every("17 * * * *", "maintenance.reconcile", operations.reconcile.every_account)
        self._every("7 * * * *", "maintenance.retention", operations.retention.run)

    def _every(self, cron: str, name: str, run: Callable[[], Awaitable[object]]) -> None:
        """A job at these times, one at a time in the whole cluster."""

        @self._app.periodic(cron=cron)
        @self._app.task(name=name, queueing_lock=name, lock=name, pass_context=True)
        async def work(_context: JobContext, timestamp: int) -> None:
            await run()

    async def _resume(self) -> None:
        """Give work back its job where the job was lost, and remove inputs for which no video came to be."""
        await self._operations.resume_removals.run()
        await self._operations.resume_deliveries.run()
        await enqueue_unfinished(self._operations.db, limit=RESUME_BATCH)
        before = datetime.now(UTC) - UNUSED_INPUT_AGE
        async with self._operations.db.reading() as connection:
            videos = VideoRepository(connection)
            untracked = await videos.untracked(limit=RESUME_BATCH)
            unremoved = await videos.undeleted_outputs(limit=RESUME_BATCH)
            unused = await videos.unused_inputs(before=before, limit=RESUME_BATCH)
            untracked_batches = await BatchRepository(connection).untracked(limit=RESUME_BATCH)
            unclean_batches = await BatchRepository(connection).unclean(limit=RESUME_BATCH)
        async with self._operations.db.transaction() as tx:
            for video_id in untracked:
                await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, video_id=video_id)
            for batch_id in untracked_batches:
                queue = batch_tasks.TRACKING_QUEUE
                await tx.enqueue(batch_tasks.TRACK_BATCH, queue=queue, lock=batch_id, batch_id=batch_id)
            for batch_id in unclean_batches:
                await tx.enqueue(batch_tasks.CLEAN_BATCH, lock=f"{batch_id}/clean", batch_id=batch_id)
            for video_id in unremoved:
                await tx.enqueue(REMOVE_VIDEO, lock=video_id, video_id=video_id)
            for file_id in unused:
                if await FileRepository(tx.connection).entomb_internal(file_id):
                    await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)
            for file_id in await FileSweep(tx.connection).adrift(now=datetime.now(UTC), limit=RESUME_BATCH):
                await tx.enqueue(COPY_FILE, queue=BYTES_QUEUE, lock=file_id, file_id=file_id)

    async def _noted(self, run: Any, context: JobContext, _worker: JobWorker) -> Any:
        """Know which jobs run here while they do."""
        assert context.job.id is not None
        if context.job.id in self._running:
            # This process slept so long that the job was taken from it, and it has just fetched it again.
            _end_at_once()
        self._running.add(context.job.id)
        task, outcome = context.job.task_name, "failed"
        try:
            with job_span(task):
                result = await run()
            outcome = "ok"
            return result
        finally:
            self._running.discard(context.job.id)
            metrics.job_ran(task, outcome)

    def _job_worker(self, name: str, queues: list[str], concurrency: int) -> JobWorker:
        return JobWorker(
            self._app,
            queues=queues,
            name=name,
            concurrency=concurrency,
            install_signal_handlers=False,
            # The rescue does it for all.
            update_heartbeat_interval=PRUNED_S,
            stalled_worker_timeout=PRUNED_S,
            fetch_job_polling_interval=LOOK_S,
            delete_jobs="successful",
            shutdown_graceful_timeout=SHUTDOWN_S,
            worker_middleware=[self._noted],
        )

    async def run(self) -> None:
        """Run until `stop`; jobs that are running then finish or hand over."""
        hear = self._operations.db.listener
        listeners = [
            hear(WAKE_CHANNEL, on_payload=self._tracking.wake, on_reconnect=_nothing),
            hear(batch_tasks.WAKE_CHANNEL, on_payload=self._batches.wake, on_reconnect=_nothing),
        ]
        async with self._app.open_async():
            workers = [
                self._job_worker("work", ["default", "builtin"], WORK_CONCURRENCY),
                self._job_worker("bytes", [BYTES_QUEUE], BYTES_CONCURRENCY),
                self._job_worker("copies", [COPIES_QUEUE], COPIES_CONCURRENCY),
                self._job_worker("webhooks", [WEBHOOK_QUEUE], WEBHOOK_CONCURRENCY),
                self._job_worker("webhooks again", [WEBHOOK_RETRY_QUEUE], WEBHOOK_CONCURRENCY),
            ]
            for listener in listeners:
                await listener.start()
            rescuer = Rescue(
                self._app.job_manager, self._connector, [self._tracking, self._batches, *workers], self._running
            )
            beat = asyncio.create_task(rescuer.beat(), name="heartbeat")
            rescue = asyncio.create_task(rescuer.run(), name="rescue")
            queues = [queue for worker in workers for queue in worker.queues or ()]
            queues += [TRACKING_QUEUE, batch_tasks.TRACKING_QUEUE]
            due = asyncio.create_task(DueJobs(self._connector, queues).run(), name="due jobs")
            running = [asyncio.create_task(worker.run()) for worker in workers]  # type: ignore[no-untyped-call]
            running.append(asyncio.create_task(self._tracking.run(), name="tracking"))
            running.append(asyncio.create_task(self._batches.run(), name="batches"))
            stop = asyncio.create_task(self._stopping.wait(), name="stop")
            await asyncio.wait([stop, rescue, due, *running], return_when=asyncio.FIRST_COMPLETED)
            if any(task.done() and isinstance(task.exception(), DeclaredDead) for task in (rescue, *running)):
                _end_at_once()
            asked = self._stopping.is_set()
            self.stop()
            for task in (stop, rescue, due, *running):
                task.cancel()
            await asyncio.gather(stop, rescue, due, *running, return_exceptions=True)
            # Not before: what still finishes its jobs is alive.
            beat.cancel()
            await asyncio.wait([beat])
            for listener in listeners:
                await listener.close()
            if not asked:
                raise RuntimeError("a worker ended by itself")

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()
        self._tracking.stop()
        self._batches.stop()


def _end_at_once() -> NoReturn:
    """End this process, which is dead to the others: at leisure it would write down the ends of jobs of theirs."""
    log.error("worker_gives_way")
    flush_logs()
    os._exit(EXIT_DECLARED_DEAD)


async def _nothing() -> None:
    """A wake-up that was missed only makes a tracker look later."""

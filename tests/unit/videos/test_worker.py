"""The worker: jobs that lost their process run again, and what nobody needs any more is cleared away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text

from mediagate.core import ids
from mediagate.core.lifecycle import FileState
from mediagate.core.objects import Character, File
from mediagate.core.storage import MadeBy
from mediagate.files.tasks import REMOVE_FILE
from mediagate.jobs.tasks import Operations, Patience, Worker
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.store.videos import VideoRepository
from mediagate.videos.tasks import REMOVE_VIDEO
from tests.unit.videos.world import OWNER, World, script

DOING = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)"
    " VALUES ('default', :task, :id, jsonb_build_object('video_id', CAST(:id AS text)), 'doing', :worker)"
)


class Done:
    """An operation that remembers what it was run with."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def run(self, *arguments: Any) -> int:
        self.ids += [argument for argument in arguments if isinstance(argument, str)]
        return 0

    async def look(self, *_: Any) -> None:
        """Of a video there is nothing more to be seen."""

    all_of = one = recent = every_account = keep_promise = run


@pytest.fixture
def operations(db: Database) -> Any:
    """Every job's work, remembered and not done."""
    names = [
        "copy_file",
        "drop_parts",
        "fold_usage",
        "follow_replica",
        "reconcile",
        "remove_replicas",
        "remove_video",
        "repair_replica",
        "resume_deliveries",
        "resume_removals",
        "retention",
        "sweep_events",
        "sweep_files",
        "sweep_keys",
        "sweep_limits",
        "watch_accounts",
        "sweep_tokens",
    ]
    return SimpleNamespace(db=db, track_video=Done(), track_batch=Done(), **{name: Done() for name in names})


@pytest.fixture
async def worker(operations: Any) -> AsyncIterator[Worker]:
    """A worker that runs."""
    made = Worker(cast(Operations, operations))
    running = asyncio.create_task(made.run())
    yield made
    made.stop()
    await asyncio.wait_for(running, 40)


async def write(db: Database, statement: str, **values: Any) -> list[Any]:
    async with db.transaction() as tx:
        result = await tx.connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def until(db: Database, done: Any, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await done():
            await asyncio.sleep(0.05)


async def test_jobs_that_lost_their_process_run_again(db: Database, worker: Worker, operations: Any) -> None:
    """One of a worker that is gone, and one of a living worker that could not write down its end."""

    async def beating() -> list[Any]:
        return await write(db, "SELECT max(id) FROM procrastinate_workers HAVING count(*) >= 2")

    await until(db, beating, 40)
    ((ours,),) = await beating()
    await write(db, DOING, task=REMOVE_VIDEO, id="video_dead", worker=None)
    await write(db, DOING, task=REMOVE_VIDEO, id="video_unended", worker=ours)

    async def both() -> bool:
        return {"video_dead", "video_unended"} <= set(operations.remove_video.ids)

    await until(db, both, 48)

    async def gone() -> bool:
        return not await write(db, "SELECT 1 FROM procrastinate_jobs WHERE lock IN ('video_dead', 'video_unended')")

    await until(db, gone, 20)
    assert [operations.remove_video.ids.count(name) for name in ("video_dead", "video_unended")] == [1, 1]


async def test_a_worker_is_alive_while_it_looks_and_while_it_finishes(db: Database, operations: Any) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def remove(video_id: str) -> None:
        if video_id == "video_long":
            begun.set()
            await may_end.wait()

    async def hangs(**_: Any) -> Any:
        await asyncio.sleep(3600)

    operations.remove_video.run = remove
    worker = Worker(cast(Operations, operations))
    worker._app.job_manager.get_stalled_jobs = hangs
    running = asyncio.create_task(worker.run())
    async with db.transaction() as tx:
        await tx.enqueue(REMOVE_VIDEO, lock="video_long", video_id="video_long")
    await asyncio.wait_for(begun.wait(), 40)
    ((ours,),) = await write(db, "SELECT worker_id FROM procrastinate_jobs WHERE lock = 'video_long'")

    async def beats() -> None:
        query = "SELECT last_heartbeat FROM procrastinate_workers WHERE id = :id"
        before = await write(db, query, id=ours)

        async def later() -> bool:
            return await write(db, query, id=ours) > before

        await until(db, later, 20)

    await beats()
    await beats()
    worker.stop()
    await beats()
    await beats()
    may_end.set()
    await asyncio.wait_for(running, 40)
    assert await write(db, "SELECT 1 FROM procrastinate_workers WHERE id = :id", id=ours) == []


async def test_work_that_lost_its_job_gets_one(db: Database, operations: Any) -> None:
    world = World(db, script())
    untracked, unremoved = await world.ask(), await world.ask()
    await world.delete_video.run(OWNER, unremoved.id)
    both = [untracked.id, unremoved.id]
    await write(db, "DELETE FROM procrastinate_jobs WHERE lock = ANY(:ids)", ids=both)
    await Worker(cast(Operations, operations))._resume()
    jobs = await write(db, "SELECT lock, task_name FROM procrastinate_jobs WHERE lock = ANY(:ids)", ids=both)
    assert dict(tuple(job) for job in jobs) == {untracked.id: "videos.track", unremoved.id: "videos.remove"}
    await write(db, "DELETE FROM procrastinate_jobs WHERE lock = ANY(:ids)", ids=both)


async def test_inputs_for_which_no_video_came_to_be_are_removed(db: Database, operations: Any) -> None:
    world = World(db, script())
    video = await world.ask()
    old, new = datetime.now(UTC) - timedelta(hours=2), datetime.now(UTC)

    async def kept(created_at: datetime, *, internal: bool = True) -> str:
        file_id = ids.new_file_id()
        async with db.transaction() as tx:
            files = FileRepository(tx.connection)
            await files.begin(file_id, OWNER.owner_id, MadeBy(), now=old, lease_expires_at=new, internal=internal)
            file = File(file_id, OWNER.owner_id, "a", "vision", 1, "", "image/png", FileState.PROCESSED, created_at)
            assert await files.finish(file)
        return file_id

    stray, fresh, uploaded = await kept(old), await kept(new), await kept(old, internal=False)
    of_video, of_character = await kept(old), await kept(old)
    await write(db, "UPDATE video SET image_file_id = :file WHERE id = :id", file=of_video, id=video.id)
    async with db.transaction() as tx:
        character = Character(ids.new_character_id(), OWNER.owner_id, "Bo", of_character, new)
        await VideoRepository(tx.connection).add_character(character)
    await Worker(cast(Operations, operations))._resume()
    all_ids = [stray, fresh, uploaded, of_video, of_character]
    gone = await write(db, "SELECT id FROM file WHERE id = ANY(:ids) AND state = 'deleting'", ids=all_ids)
    assert [row.id for row in gone] == [stray]
    jobs = await write(db, "SELECT lock FROM procrastinate_jobs WHERE task_name = :task", task=REMOVE_FILE)
    assert [job.lock for job in jobs] == [stray]


def test_a_job_is_tried_for_ever_at_a_bounded_pace() -> None:
    patience = Patience(300)
    for attempts, wait_s in ((0, 1), (3, 8), (8, 256), (9, 300), (1_000_000, 300)):
        job = cast(Any, SimpleNamespace(attempts=attempts))
        decision = patience.get_retry_decision(exception=ValueError(), job=job)
        assert decision.retry_at is not None
        left = (decision.retry_at - datetime.now(UTC)).total_seconds()
        assert wait_s - 1 < left <= wait_s

"""The jobs that track: taken once, handed over at a stop, never kept by a process that others took for dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import procrastinate
import pytest
from sqlalchemy import text

from mediagate.core import ids
from mediagate.jobs import tracking as module
from mediagate.jobs.connector import PatientConnector
from mediagate.jobs.due import DueJobs
from mediagate.jobs.rescue import DeclaredDead
from mediagate.jobs.tracking import TrackingJobs
from mediagate.store.database import Database
from mediagate.videos.tasks import TRACK_VIDEO, TRACKING_QUEUE
from mediagate.videos.track_video import Run


class Looks:
    """Stands for the tracker: `waits` says when to look at a video again, None where nothing does."""

    def __init__(self) -> None:
        self.waits: dict[str, float | None] = {}
        self.seen: list[str] = []

    async def look(self, video_id: str, run: Run) -> float | None:
        """Look at what a test asked for; whatever else is in the queue is over."""
        self.seen.append(video_id)
        return self.waits.get(video_id)


class Desk:
    """Jobs in the database, and one process that takes them."""

    def __init__(self, db: Database, connector: PatientConnector) -> None:
        self.db = db
        self.looks = Looks()
        self.running: set[int] = set()
        app = procrastinate.App(connector=connector)
        self.jobs = TrackingJobs(
            app.job_manager, connector, self.looks.look, self.running, queue=TRACKING_QUEUE, argument="video_id"
        )
        self.run: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take jobs."""
        self.run = asyncio.create_task(self.jobs.run())

    async def ask(self, wait_s: float | None) -> str:
        """A job for a new video."""
        video_id = ids.new_video_id()
        self.looks.waits[video_id] = wait_s
        async with self.db.transaction() as tx:
            await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, video_id=video_id)
        return video_id

    async def states(self, video_id: str) -> list[str]:
        """The states of its jobs."""
        async with self.db.reading() as connection:
            query = text("SELECT status::text FROM procrastinate_jobs WHERE lock = :id ORDER BY id")
            return [row.status for row in (await connection.execute(query, {"id": video_id})).all()]

    async def until(self, video_id: str, *states: str) -> None:
        """Wait for these states."""
        async with asyncio.timeout(30):
            while await self.states(video_id) != list(states):
                await asyncio.sleep(0.02)


@pytest.fixture
async def desk(db: Database, database_url: str) -> AsyncIterator[Desk]:
    """One that is stopped behind the test."""
    connector = PatientConnector(db, min_size=1, max_size=4)
    await connector.open_async()
    made = Desk(db, connector)
    yield made
    made.jobs.stop()
    if made.run is not None:
        await asyncio.gather(made.run, return_exceptions=True)
    await connector.close_async()


async def test_a_job_lasts_as_long_as_its_video(desk: Desk) -> None:
    desk.start()
    video_id = await desk.ask(0.05)
    await desk.until(video_id, "doing")
    assert len(desk.running) == 1
    desk.looks.waits[video_id] = None
    await desk.until(video_id)
    assert desk.looks.seen.count(video_id) >= 2
    assert not desk.running


async def test_what_came_before_the_process_is_found(desk: Desk) -> None:
    many = [await desk.ask(60) for _ in range(45)]
    desk.start()
    for video_id in many:
        await desk.until(video_id, "doing")
    assert sorted(seen for seen in desk.looks.seen if seen in many) == sorted(many)


async def test_a_stop_hands_over(desk: Desk) -> None:
    desk.start()
    video_id = await desk.ask(60)
    await desk.until(video_id, "doing")
    desk.jobs.stop()
    assert desk.run is not None
    await desk.run
    assert await desk.states(video_id) == ["todo"]
    assert not desk.running


async def test_a_cancelled_run_hands_over_too(desk: Desk) -> None:
    desk.start()
    video_id = await desk.ask(60)
    await desk.until(video_id, "doing")
    assert desk.run is not None
    desk.run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await desk.run
    assert await desk.states(video_id) == ["todo"]


async def test_whoever_fetches_its_own_job_again_was_taken_for_dead(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    desk.start()
    video_id = await desk.ask(60)
    await desk.until(video_id, "doing")
    async with desk.db.transaction() as tx:
        await tx.connection.execute(
            text("UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE lock = :id"), {"id": video_id}
        )
    assert desk.run is not None
    with pytest.raises(DeclaredDead):
        await asyncio.wait_for(desk.run, 30)
    assert desk.looks.seen.count(video_id) == 1
    await desk.until(video_id, "doing")
    async with desk.db.transaction() as tx:
        await tx.connection.execute(text("DELETE FROM procrastinate_jobs WHERE lock = :id"), {"id": video_id})


async def test_a_database_that_is_away_costs_no_video(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    desk.start()
    video_id = await desk.ask(0.05)
    await desk.until(video_id, "doing")
    fetch = desk.jobs._connector.execute_query_all_async

    async def away(*_: Any, **__: Any) -> Any:
        raise OSError("away")

    monkeypatch.setattr(desk.jobs._connector, "execute_query_all_async", away)
    before = desk.looks.seen.count(video_id)
    async with asyncio.timeout(30):
        while desk.looks.seen.count(video_id) < before + 3:
            await asyncio.sleep(0.02)
    monkeypatch.setattr(desk.jobs._connector, "execute_query_all_async", fetch)
    desk.looks.waits[video_id] = None
    await desk.until(video_id)


async def test_what_falls_due_is_found_by_one_question_for_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # By themselves they would not look again.
    monkeypatch.setattr(module, "LOOK_S", 3600)
    connector = cast(PatientConnector, desk.jobs._connector)
    due = asyncio.create_task(DueJobs(connector, ["another", TRACKING_QUEUE]).run())
    desk.start()
    video_id = ids.new_video_id()
    desk.looks.waits[video_id] = 60
    async with desk.db.transaction() as tx:
        await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video_id, delay_s=1, video_id=video_id)
    assert await desk.states(video_id) == ["todo"]
    await desk.until(video_id, "doing")
    due.cancel()
    await asyncio.wait([due])

"""A video that is deleted while it is rendered, at providers whose own delete stops nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from mediagate.core.lifecycle import VideoPhase
from mediagate.providers.base import JobState
from mediagate.routing.catalog import ModelCatalog
from mediagate.store.database import Database
from mediagate.videos.delete_video import RemoveVideo
from tests.contract.fal_video_bench import FalBench, running_fal
from tests.contract.replicate_video_bench import ReplicateBench, running_replicate
from tests.contract.video_bench import Said, VideoBench, request_for
from tests.unit.videos.world import OWNER, World, script


@pytest.fixture(params=[(running_fal, FalBench), (running_replicate, ReplicateBench)], ids=["fal", "replicate"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[VideoBench]:
    running, kind = request.param
    with running() as api:
        made = kind(api)
        yield made
        await made.provider.close()


async def test_the_job_is_stopped(db: Database, bench: VideoBench) -> None:
    w = World(db, script())
    video = await w.ask()
    ref = await bench.provider.submit(request_for(bench, token=video.id))
    await bench.advance(ref, Said.RENDERING)
    async with db.transaction() as tx:
        query = text("UPDATE video SET provider_ref = :ref, phase = :phase, submit_started_at = now() WHERE id = :id")
        values = {"ref": ref, "phase": VideoPhase.RENDERING.value, "id": video.id}
        await tx.connection.execute(query, values)
    assert (await bench.provider.poll(ref)).state is JobState.RENDERING
    await w.delete_video.run(OWNER, video.id)
    await RemoveVideo(db, ModelCatalog([], {w.account: bench.provider}), w.clock, w.costs).run(video.id)
    assert (await bench.provider.poll(ref)).state is JobState.CANCELLED
    async with db.reading() as connection:
        left = await connection.execute(text("SELECT 1 FROM video WHERE id = :id"), {"id": video.id})
    assert left.first() is None

"""What an estimate knows of the line and of finished videos, without making one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from mediagate.core.errors import InvalidField
from mediagate.store.database import Database
from mediagate.videos.create_video import CreateVideo
from mediagate.videos.estimate_video import EstimateVideo, Forecast
from tests.unit.videos.test_cost import COSTS
from tests.unit.videos.world import OWNER, World, script

NOBODY: Any = None


async def estimate(w: World, **fields: Any) -> Forecast:
    create = CreateVideo(w.start, keep=NOBODY, get_file=NOBODY)
    return await EstimateVideo(w.db, create).run(OWNER, {"prompt": "a boat", "model": "m", **fields})


async def videos(db: Database) -> int:
    async with db.reading() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM video"))).scalar_one())


async def finish(w: World, count: int, seconds: float) -> None:
    """So many videos of the world's shape that took so long."""
    asked = [await w.ask() for _ in range(count)]
    now = w.clock.now()
    async with w.db.transaction() as tx:
        await tx.connection.execute(
            text(
                "UPDATE video SET phase = 'ready', render_started_at = :start, completed_at = :now, ended_at = :now"
                " WHERE id = ANY(CAST(:ids AS text[]))"
            ),
            {"start": now - timedelta(seconds=seconds), "now": now, "ids": [video.id for video in asked]},
        )


async def test_it_makes_nothing_and_knows_the_price(db: Database) -> None:
    w = World(db, script(), COSTS)
    before = await videos(db)
    forecast = await estimate(w)
    assert await videos(db) == before
    assert forecast.intent.estimate.usd == forecast.intent.video.estimate_usd == 0.4
    assert w.provider.calls == []


async def test_it_counts_those_who_wait_for_the_same_account(db: Database) -> None:
    w, other = World(db, script(), COSTS), World(db, script(), COSTS)
    for _ in range(3):
        await w.ask()
    assert [(await estimate(world)).waiting for world in (w, other)] == [3, 0]


async def test_it_tells_what_such_videos_took(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.connection.execute(text("UPDATE video SET completed_at = NULL WHERE provider = 'fake'"))
    w = World(db, script(), COSTS)
    await finish(w, 19, 7)
    assert (await estimate(w)).usual is None
    await finish(w, 1, 7)
    usual = (await estimate(w)).usual
    assert usual is not None
    assert (usual.p50_s, usual.p90_s, usual.samples) == (7, 7, 20)


@pytest.mark.parametrize("fields", [{"max_cost": 0.39}, {"size": "1x1"}, {"prompt": " "}, {"seconds": "3"}])
async def test_it_refuses_as_a_creation_does(db: Database, fields: dict[str, Any]) -> None:
    w = World(db, script(), COSTS)
    create = CreateVideo(w.start, keep=NOBODY, get_file=NOBODY)
    with pytest.raises(InvalidField) as of_creation:
        await create.run(OWNER, {"prompt": "a boat", "model": "m", **fields})
    with pytest.raises(InvalidField) as of_estimate:
        await estimate(w, **fields)
    assert of_estimate.value.message == of_creation.value.message

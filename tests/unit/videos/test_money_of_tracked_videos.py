"""Money while videos are tracked: it is settled once, whoever else tracks, and stays held while nobody knows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Video
from mediagate.pricing.prices import OwnRates, Prices
from mediagate.pricing.rates import rates_in
from mediagate.providers.base import Failure, FailureStage, FateUnknown, JobState, JobStatus, SubmitRefused
from mediagate.store.database import Database
from mediagate.store.videos import EventLookup, VideoRepository
from mediagate.videos.cost import Costs
from tests.unit.videos.world import DONE, RENDERING, Script, World, script

COSTS = Costs(Prices({"d": OwnRates(rates_in({"output_cost_per_second": 0.4}))}, {}))
REJECTED = Failure(FailureStage.OUTPUT, "content_policy_violation", "No.", retryable=False)
CREATED = [("estimate", 0.8, "config_price"), ("held", 0.8, "created")]


def world_of(db: Database, provider: Script) -> World:
    return World(db, provider, COSTS)


async def lines(db: Database, video: Video) -> list[tuple[Any, ...]]:
    events = (await EventLookup(db).after({video.id: 0})).get(video.id, [])
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    costs = [event.payload for event in events if event.type == "cost"]
    return [(cost["kind"], cost["usd"], cost["reason"]) for cost in costs]


async def test_two_trackers_settle_once(db: Database) -> None:
    w = world_of(db, script(polls=[RENDERING, RENDERING, DONE]))
    video = await w.ask()
    await asyncio.gather(*(w.tracker.run(video.id) for _ in range(4)))
    over = await w.now(video)
    assert (over.phase, over.cost_usd, over.cost_source) == (VideoPhase.READY, 0.8, "config")
    assert sorted(await lines(db, video)) == sorted([*CREATED, ("charged", 0.8, "measured_seconds")])


async def test_money_stays_held_while_nobody_knows_and_a_late_success_is_charged(db: Database) -> None:
    w = world_of(db, script(polls=[RENDERING, FateUnknown("silence")]))
    video = await w.ask()
    tracking = asyncio.create_task(w.tracker.run(video.id))
    unknown = await w.until(video, VideoPhase.FATE_UNKNOWN)
    assert (unknown.estimate_usd, unknown.cost_usd) == (0.8, None)
    assert await lines(db, video) == CREATED
    w.provider.polls = [DONE]
    await tracking
    assert (await w.now(video)).cost_usd == 0.8


@pytest.mark.parametrize(
    ("answers", "cost", "last"),
    [
        ({"submits": [SubmitRefused(REJECTED)]}, 0.0, ("released", 0.8, "not_charged")),
        ({"polls": [JobStatus(JobState.FAILED, failure=REJECTED)]}, 0.0, ("released", 0.8, "not_charged")),
        (
            {"polls": [JobStatus(JobState.FAILED, failure=REJECTED, cost_usd=0.3)]},
            0.0,
            ("released", 0.8, "not_charged"),
        ),
    ],
)
async def test_a_failure_gives_the_money_back(
    db: Database, answers: dict[str, Any], cost: float, last: tuple[Any, ...]
) -> None:
    w = world_of(db, script(**answers))
    over = await w.track(await w.ask())
    assert (over.phase, over.cost_usd) == (VideoPhase.FAILED, cost)
    assert await lines(db, over) == [*CREATED, last]


async def test_the_providers_figure_is_the_one_that_counts(db: Database) -> None:
    priced = JobStatus(JobState.SUCCEEDED, output=DONE.output, cost_usd=1.25)
    over = await (w := world_of(db, script(polls=[priced]))).track(await w.ask())
    assert (over.cost_usd, over.cost_source) == (1.25, "provider")
    assert (await lines(db, over))[2:] == [("charged", 1.25, "provider_figure")]


async def test_a_cancel_that_nobody_answers_keeps_the_money_held(db: Database) -> None:
    w = world_of(db, script(submits=[FateUnknown("silence")]))
    video = await w.ask()
    tracking = asyncio.create_task(w.tracker.run(video.id))
    await w.until(video, VideoPhase.FATE_UNKNOWN)
    async with db.transaction() as tx:
        await VideoRepository(tx.connection).request_cancel(video.id, now=w.clock.now())
    await tracking
    over = await w.now(video)
    assert (over.phase, over.cost_usd) == (VideoPhase.CANCELLED, None)
    assert over.cancellation == {"stopped": "local_only", "charged": False}
    assert await lines(db, over) == CREATED

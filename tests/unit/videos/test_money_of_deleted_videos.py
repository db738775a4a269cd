"""Money of videos that are deleted before they end: settled by what their provider says, held while it says nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Video
from mediagate.pricing.prices import OwnRates, Prices
from mediagate.pricing.rates import rates_in
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    ProviderBusy,
    SubmitRefused,
)
from mediagate.store.database import Database
from mediagate.videos.cost import Costs
from tests.unit.spend.books import audit
from tests.unit.videos.world import DONE, OWNER, RENDERING, Script, World, script

COSTS = Costs(Prices({"d": OwnRates(rates_in({"output_cost_per_second": 0.4}))}, {}))
REJECTED = Failure(FailureStage.OUTPUT, "content_policy_violation", "No.", retryable=False)
CANCELLED = JobStatus(JobState.CANCELLED)
HELD, RELEASED = ("reserved", 0, 0.8), ("released", 0, 0)


def charged(usd: float) -> tuple[str, float, float]:
    return "charged", usd, 0


async def money(db: Database, video: Video) -> tuple[str, float, float]:
    """The state of its money, what was charged and what is held."""
    await audit(db)
    async with db.reading() as connection:
        query = text("SELECT state, charged_usd, held_usd FROM spend WHERE ref = :id")
        row = (await connection.execute(query, {"id": video.id})).one()
    return row.state, float(row.charged_usd), float(row.held_usd)


async def deleted(w: World, phase: VideoPhase = VideoPhase.RENDERING) -> Video:
    """A video that was deleted while its provider had it."""
    video = await w.ask()
    async with w.db.transaction() as tx:
        query = text(
            "UPDATE video SET provider_ref = 'job-1', phase = :phase, submit_started_at = now() WHERE id = :id"
        )
        await tx.connection.execute(query, {"phase": phase.value, "id": video.id})
    await w.delete_video.run(OWNER, video.id)
    return video


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"polls": [CANCELLED]}, RELEASED),
        ({"polls": [FateUnknown("silence")]}, RELEASED),
        ({"polls": [replace(CANCELLED, cost_usd=0.3)]}, charged(0.3)),
        ({"cancels": [False], "polls": [DONE]}, charged(0.8)),
        ({"cancels": [False], "polls": [replace(DONE, cost_usd=1.25)]}, charged(1.25)),
        ({"cancels": [False], "polls": [JobStatus(JobState.FAILED, failure=REJECTED)]}, RELEASED),
        (
            {"cancels": [False], "polls": [JobStatus(JobState.FAILED, failure=replace(REJECTED, charged=True))]},
            charged(0.8),
        ),
    ],
)
async def test_the_providers_last_word_settles(
    db: Database, answers: dict[str, Any], found: tuple[str, float, float]
) -> None:
    w = World(db, script(**answers), COSTS)
    video = await deleted(w)
    assert await money(db, video) == HELD
    await w.remove_video.run(video.id)
    assert await money(db, video) == found


async def test_what_runs_on_is_settled_once_it_has_ended(db: Database) -> None:
    w = World(db, script(cancels=[False], polls=[RENDERING, DONE]), COSTS)
    video = await deleted(w)
    await w.remove_video.run(video.id)
    assert await money(db, video) == HELD
    await w.remove_video.run(video.id)
    assert await money(db, video) == charged(0.8)


async def test_what_was_settled_before_a_removal_failed_stays_settled(db: Database) -> None:
    w = World(db, script(cancels=[True, False], polls=[replace(CANCELLED, cost_usd=0.3), DONE]), COSTS)
    w.provider.deletes = [FateUnknown("away"), None]
    video = await deleted(w)
    with pytest.raises(FateUnknown):
        await w.remove_video.run(video.id)
    await w.remove_video.run(video.id)
    assert await money(db, video) == charged(0.3)


async def test_what_its_provider_does_not_know_any_more_stays_held(db: Database) -> None:
    unknown = FateUnknown("no such job")
    unknown.__cause__ = FileNotFoundError("job-1")
    w = World(db, script(cancels=[False], polls=[unknown]), COSTS)
    video = await deleted(w)
    await w.remove_video.run(video.id)
    assert await money(db, video) == HELD


async def test_what_was_finished_and_not_yet_fetched_is_charged(db: Database) -> None:
    w = World(db, script(polls=[FateUnknown("silence")]), COSTS)
    video = await deleted(w, VideoPhase.ARCHIVING)
    await w.remove_video.run(video.id)
    assert await money(db, video) == charged(0.8)


async def test_what_was_never_sent_is_released(db: Database) -> None:
    w = World(db, script(), COSTS)
    video = await w.ask()
    await w.delete_video.run(OWNER, video.id)
    await w.remove_video.run(video.id)
    assert await money(db, video) == RELEASED
    assert w.provider.calls == []


@pytest.mark.parametrize("answer", [SubmitRefused(REJECTED), ProviderBusy("busy")])
async def test_what_is_refused_while_it_is_deleted_is_released(db: Database, answer: Exception) -> None:
    async def meanwhile() -> str:
        await w.delete_video.run(OWNER, video.id)
        raise answer

    w = World(db, script(submits=[meanwhile]), COSTS)
    video = await w.ask()
    assert await w.tracker.run(video.id)
    await w.remove_video.run(video.id)
    assert await money(db, video) == RELEASED


async def test_a_submit_without_an_answer_stays_held(db: Database) -> None:
    async def meanwhile() -> str:
        await w.delete_video.run(OWNER, video.id)
        raise FateUnknown("silence")

    w = World(db, script(submits=[meanwhile]), COSTS)
    video = await w.ask()
    assert await w.tracker.run(video.id)
    await w.remove_video.run(video.id)
    assert await money(db, video) == HELD


async def test_a_video_that_has_ended_is_not_settled_again(db: Database) -> None:
    w = World(db, Script(script().spec), COSTS)
    video = await w.track(await w.ask())
    assert video.phase is VideoPhase.READY
    await w.delete_video.run(OWNER, video.id)
    await w.remove_video.run(video.id)
    assert await money(db, video) == charged(0.8)

"""What becomes of the provider's job of a video that is deleted before its end: nobody pays for it in secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Video
from mediagate.providers.base import FateUnknown, JobState, JobStatus
from mediagate.videos.tasks import REMOVE_VIDEO
from tests.unit.videos.tracking import Leash
from tests.unit.videos.world import DONE, OWNER, RENDERING, Script, World, script

Make = Callable[[Script], World]
# What a script notes of one removal.
REMOVED = ["delete job-1", "delete"]


async def rendering(w: World) -> Video:
    """A video that its provider renders."""
    video = await w.ask()
    leash = Leash()

    async def leave() -> JobStatus:
        leash.stop()
        return RENDERING

    polls, w.provider.polls = w.provider.polls, [leave]
    assert not await w.tracker.run(video.id, leash)
    w.provider.polls = polls
    w.provider.calls.clear()
    return await w.now(video)


async def running(w: World) -> Video:
    """The same, deleted by its owner."""
    video = await rendering(w)
    assert video.phase is VideoPhase.RENDERING
    await w.delete_video.run(OWNER, video.id)
    return video


def unstoppable(**answers: list[object]) -> Script:
    made = script(**answers)
    made.spec = replace(made.spec, cancels=False)
    return made


async def is_gone(w: World, video: Video) -> bool:
    async with w.db.reading() as connection:
        query = text("SELECT count(*) FROM video WHERE id = :id")
        return bool((await connection.execute(query, {"id": video.id})).scalar_one() == 0)


async def next_look_s(w: World, video: Video) -> float:
    """Seconds until the job that comes back; the one that the deletion itself enqueued has no time."""
    async with w.db.reading() as connection:
        query = text(
            "SELECT extract(epoch FROM scheduled_at - now()) FROM procrastinate_jobs"
            " WHERE task_name = :task AND lock = :id AND scheduled_at IS NOT NULL"
        )
        return float((await connection.execute(query, {"task": REMOVE_VIDEO, "id": video.id})).scalar_one())


async def test_a_running_job_is_stopped_before_its_outputs_are_removed(world: Make) -> None:
    w = world(script())
    video = await running(w)
    await w.remove_video.run(video.id)
    assert w.provider.calls == ["cancel", "poll", *REMOVED]
    assert await is_gone(w, video)


async def test_a_cancel_without_an_answer_is_tried_again_and_the_row_waits(world: Make) -> None:
    w = world(script(cancels=[FateUnknown("away"), True]))
    video = await running(w)
    with pytest.raises(FateUnknown):
        await w.remove_video.run(video.id)
    assert not await is_gone(w, video)
    await w.remove_video.run(video.id)
    assert w.provider.calls == ["cancel", *REMOVED, "cancel", "poll", *REMOVED]
    assert await is_gone(w, video)


@pytest.mark.parametrize("provider", [unstoppable, lambda **answers: script(cancels=[False], **answers)])
async def test_what_a_job_writes_that_cannot_be_stopped_is_removed_once_it_has_ended(
    world: Make, provider: Callable[..., Script]
) -> None:
    w = world(provider(polls=[replace(RENDERING, poll_after_s=40.0), DONE]))
    video = await running(w)
    await w.remove_video.run(video.id)
    assert "delete job-1" not in w.provider.calls
    assert not await is_gone(w, video)
    assert 30 < await next_look_s(w, video) <= 40
    await w.remove_video.run(video.id)
    assert w.provider.calls[-3:] == ["poll", *REMOVED]
    assert await is_gone(w, video)


async def test_a_job_that_never_ends_is_let_go_a_day_behind_its_deadline(world: Make) -> None:
    w = world(unstoppable(polls=[FateUnknown("away")]))
    video = await running(w)
    with pytest.raises(FateUnknown):
        await w.remove_video.run(video.id)
    w.clock.time = (await w.now(video)).deadline_at + timedelta(days=1)
    await w.remove_video.run(video.id)
    assert w.provider.calls == ["poll", *REMOVED, *REMOVED]
    assert await is_gone(w, video)


async def test_a_job_that_the_provider_does_not_know_any_more_has_ended(world: Make) -> None:
    unknown = FateUnknown("no such job")
    unknown.__cause__ = FileNotFoundError("job-1")
    w = world(script(cancels=[False], polls=[unknown]))
    video = await running(w)
    await w.remove_video.run(video.id)
    assert w.provider.calls == ["cancel", "poll", *REMOVED]
    assert await is_gone(w, video)


async def test_of_a_video_that_ended_only_the_outputs_are_removed(world: Make) -> None:
    w = world(script())
    video = await w.track(await w.ask())
    assert video.phase is VideoPhase.READY
    w.provider.calls.clear()
    await w.delete_video.run(OWNER, video.id)
    await w.remove_video.run(video.id)
    assert w.provider.calls == REMOVED


async def test_a_cancelled_video_whose_job_ran_on_leaves_no_output(world: Make) -> None:
    w = world(unstoppable(polls=[RENDERING], cancels=[False]))
    video = await rendering(w)
    await w.ask_to_cancel(video)
    ended = await w.track(video)
    assert (ended.phase, (ended.cancellation or {})["stopped"]) == (VideoPhase.CANCELLED, "local_only")
    await w.delete_video.run(OWNER, video.id)
    w.provider.calls.clear()
    await w.remove_video.run(video.id)
    assert w.provider.calls == ["poll"]
    w.provider.polls = [JobStatus(JobState.SUCCEEDED)]
    await w.remove_video.run(video.id)
    assert w.provider.calls == ["poll", "poll", *REMOVED]

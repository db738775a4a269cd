"""How tracking ends before the provider does: by a cancel, by whoever settles first, by a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import PhaseEvent, VideoPhase
from mediagate.core.objects import Video
from mediagate.providers.base import (
    FateUnknown,
    JobState,
    JobStatus,
)
from mediagate.store.database import Database
from mediagate.videos.fate import advanced
from mediagate.videos.journal import Happening
from mediagate.videos.track_video import HELD_S_MAX
from tests.unit.videos.tracking import Leash
from tests.unit.videos.world import DONE, OWNER, QUEUED, RENDERING, Bytes, Script, World, script

Make = Callable[[Script], World]


def failure(video: Video) -> tuple[Any, ...]:
    assert video.failure is not None
    return video.failure["stage"], video.failure["code"]


async def cancelled_while_it_renders(w: World) -> Video:
    """A video as its end leaves it."""
    video = await w.ask()
    tracking = asyncio.create_task(w.track(video))
    await w.until(video, VideoPhase.RENDERING)
    await w.ask_to_cancel(video)
    return await tracking


class TestCancel:
    async def test_what_had_finished_is_delivered(self, world: Make) -> None:
        w = world(script(polls=[RENDERING, DONE], cancels=[False]))
        over = await cancelled_while_it_renders(w)
        assert (over.phase, over.cancellation) == (VideoPhase.READY, {"stopped": "local_only", "charged": True})

    async def test_what_cannot_be_stopped_is_let_go(self, world: Make) -> None:
        w = world(script(polls=[RENDERING], cancels=[False]))
        over = await cancelled_while_it_renders(w)
        assert (over.phase, over.cancellation) == (VideoPhase.CANCELLED, {"stopped": "local_only", "charged": True})

    async def test_a_cancel_without_an_answer_is_repeated(self, world: Make) -> None:
        w = world(script(polls=[RENDERING], cancels=[FateUnknown("?"), FateUnknown("?"), True]))
        over = await cancelled_while_it_renders(w)
        assert (over.phase, over.cancellation) == (
            VideoPhase.CANCELLED,
            {"stopped": "provider", "charged": False, "cost_usd": 0},
        )
        assert w.provider.calls.count("cancel") == 3

    async def test_a_cancel_that_is_never_answered_ends_at_the_deadline(self, world: Make) -> None:
        w = world(script(polls=[RENDERING], cancels=[FateUnknown("?")]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.RENDERING)
        await w.ask_to_cancel(video)
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        w.clock.forward(101)
        over = await tracking
        assert failure(over) == ("deadline", "provider_unreachable")
        assert over.cancellation == {"stopped": "local_only", "charged": False}

    async def test_a_cancel_that_is_never_answered_is_one_at_the_deadline_where_the_provider_then_stops(
        self, world: Make
    ) -> None:
        w = world(script(polls=[RENDERING], cancels=[FateUnknown("?")]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.RENDERING)
        await w.ask_to_cancel(video)
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        w.provider.cancels[:] = [True]
        w.clock.forward(101)
        over = await tracking
        assert (over.phase, over.cancellation) == (
            VideoPhase.CANCELLED,
            {"stopped": "provider", "charged": False, "cost_usd": 0},
        )

    async def test_an_ambiguous_submit_is_cancelled_here_alone(self, world: Make) -> None:
        w = world(script(submits=[FateUnknown("?")]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        await w.ask_to_cancel(video)
        over = await tracking
        assert (over.phase, over.cancellation) == (VideoPhase.CANCELLED, {"stopped": "local_only", "charged": False})

    async def test_a_cancel_between_the_last_look_and_the_end_says_what_came_of_it(self, world: Make) -> None:
        async def opened() -> Bytes:
            await w.ask_to_cancel(video)
            return Bytes()

        w = world(script(polls=[DONE], cancels=[False], opens=[opened, Bytes()]))
        video = await w.ask()
        over = await w.track(video)
        assert (over.phase, over.cancellation) == (VideoPhase.READY, {"stopped": "local_only", "charged": True})

    async def test_a_provider_that_cancels_by_itself_cancelled_nobodys_request(self, world: Make) -> None:
        w = world(script(polls=[JobStatus(JobState.CANCELLED)]))
        video = await w.track(await w.ask())
        assert (video.phase, video.cancellation) == (VideoPhase.CANCELLED, None)

    async def test_only_what_runs_can_be_cancelled(self, world: Make) -> None:
        w = world(script(polls=[DONE]))
        video = await w.track(await w.ask())
        with pytest.raises(StateConflict, match="already completed"):
            await w.cancel_video.run(OWNER, video.id)
        assert (await w.now(video)).cancel_requested_at is None


class TestSettling:
    async def test_two_trackers_settle_one_end(self, world: Make) -> None:
        w = world(script(polls=[QUEUED, RENDERING, RENDERING, DONE]))
        for _ in range(10):
            video = await w.ask()
            w.provider.polls = [QUEUED, RENDERING, RENDERING, DONE]
            async with asyncio.timeout(40):
                assert await asyncio.gather(*(w.tracker.run(video.id) for _ in range(3))) == [True] * 3
            events = await w.events(video)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert [event.type for event in events].count("end") == 1
            assert (await w.now(video)).phase is VideoPhase.READY

    async def test_whoever_writes_second_writes_nothing(self, world: Make) -> None:
        w = world(script())
        video = await w.ask()
        failed = advanced(video, PhaseEvent.FAILED, failure={"code": "a", "message": "b"})
        first = await w.journal.write(video, failed, [Happening("phase", {"to": "failed"})])
        second = await w.journal.write(video, failed, [Happening("phase", {"to": "failed"})])
        assert first is not None
        assert second is None
        assert await w.kinds(video) == ["phase", "phase", "end"]

    async def test_a_video_that_was_deleted_is_tracked_no_longer(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        video = await w.ask()
        tracking = asyncio.create_task(w.tracker.run(video.id))
        await w.until(video, VideoPhase.RENDERING)
        await w.delete_video.run(OWNER, video.id)
        assert await asyncio.wait_for(tracking, 20)
        kinds = await w.kinds(video)
        assert "end" not in kinds

    async def test_an_account_that_is_gone_is_no_verdict(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        video = await w.ask()
        tracking = asyncio.create_task(w.tracker.run(video.id))
        await w.until(video, VideoPhase.RENDERING)
        providers, w.catalog._videos = w.catalog._videos, {}
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        w.provider.polls = [DONE]
        w.catalog._videos = providers
        tracking.cancel()
        assert (await w.track(video)).phase is VideoPhase.READY

    async def test_an_account_that_never_comes_back_ends_at_the_deadline(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        untaken, taken = await w.ask(), await w.ask()
        tracking = asyncio.create_task(w.tracker.run(taken.id))
        await w.until(taken, VideoPhase.RENDERING)
        tracking.cancel()
        w.catalog._videos = {}
        w.clock.forward(101)
        assert failure(await w.track(taken)) == ("deadline", "provider_unreachable")
        w.clock.forward(HELD_S_MAX)
        assert failure(await w.track(untaken)) == ("deadline", "held_too_long")

    async def test_a_stop_leaves_the_video_to_another_tracker(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        video = await w.ask()
        leash = Leash()
        tracking = asyncio.create_task(w.tracker.run(video.id, leash))
        await w.until(video, VideoPhase.RENDERING)
        leash.stop()
        assert await asyncio.wait_for(tracking, 20) is False
        w.provider.polls = [DONE]
        assert (await w.track(video)).phase is VideoPhase.READY
        assert w.provider.calls.count("submit") == 1

    async def test_a_wake_ends_a_long_sleep(self, world: Make) -> None:
        w = world(script(polls=[JobStatus(JobState.RENDERING, poll_after_s=60)]))
        video = await w.ask()
        leash = Leash()
        tracking = asyncio.create_task(w.tracker.run(video.id, leash))
        await w.until(video, VideoPhase.RENDERING)
        await w.ask_to_cancel(video)
        leash.wake()
        assert await asyncio.wait_for(tracking, 20)
        assert (await w.now(video)).phase is VideoPhase.CANCELLED

    async def test_a_database_that_stumbles_is_waited_for_in_place(
        self, world: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        w = world(script())
        video = await w.ask()
        transaction, stumbles = Database.transaction, iter([True, False, True, False, True, True])

        def unreliable(self: Database) -> Any:
            if next(stumbles, False):
                raise ConnectionError("the database went away")
            return transaction(self)

        monkeypatch.setattr(Database, "transaction", unreliable)
        over = await w.track(video, timeout_s=20)
        assert over.phase is VideoPhase.READY
        assert w.provider.calls.count("submit") == 1

"""Videos that wait: in the line of an account, for a provider that asks for patience, and for times of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal, Video
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    ProviderBusy,
    SubmitRefused,
)
from mediagate.videos import track_video
from tests.unit.videos.tracking import Leash
from tests.unit.videos.world import DONE, RENDERING, Script, World, script

Make = Callable[[Script], World]
OTHER = Principal("other")
QUEUED = JobStatus(JobState.QUEUED)


def failure(video: Video) -> tuple[str, str, bool]:
    assert video.failure is not None
    return video.failure["stage"], video.failure["code"], video.failure["charged"]


class TestLine:
    async def test_no_more_than_the_limit_run_and_the_rest_know_their_places(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        w.parallel_max = 2
        videos = [await w.ask() for _ in range(5)]
        leashes = [Leash() for _ in videos]
        trackers = [
            asyncio.create_task(w.tracker.run(video.id, leash)) for video, leash in zip(videos, leashes, strict=True)
        ]
        for video in videos[:2]:
            await w.until(video, VideoPhase.RENDERING)
        async with asyncio.timeout(5):
            while [(await w.now(video)).hold for video in videos[2:]] != [
                {"reason": "provider_limit", "position": position, "of": 3} for position in (1, 2, 3)
            ]:
                await asyncio.sleep(0.01)
                for leash in leashes:
                    leash.wake()
        assert w.provider.calls.count("submit") == 2
        w.provider.polls = [DONE]
        for leash in leashes:
            leash.wake()
        async with asyncio.timeout(10):
            while not all(tracker.done() for tracker in trackers):
                await asyncio.sleep(0.01)
                for leash in leashes:
                    leash.wake()
        ends = [await w.now(video) for video in videos]
        assert {video.phase for video in ends} == {VideoPhase.READY}
        assert {video.attempts for video in ends} == {1}
        assert {video.hold for video in ends} == {None}

    async def test_many_that_begin_at_once_do_not_pass_the_limit(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        w.parallel_max = 3
        videos = [await w.ask() for _ in range(12)]
        trackers = [asyncio.create_task(w.tracker.run(video.id)) for video in videos]
        async with asyncio.timeout(60):
            while w.provider.calls.count("submit") < 3:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert w.provider.calls.count("submit") == 3
        for tracker in trackers:
            tracker.cancel()

    async def test_owners_take_turns(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        w.parallel_max = 1
        running = await w.ask()
        tracking = asyncio.create_task(w.tracker.run(running.id))
        await w.until(running, VideoPhase.RENDERING)
        many = [await w.ask() for _ in range(3)]
        one = await w.ask(OTHER)
        for video in [*many, one]:
            with pytest.raises(TimeoutError):
                await w.track(video, timeout_s=0.5)
        places = {video.id: (await w.now(video)).hold for video in [*many, one]}
        assert places[one.id] is not None
        assert places[one.id]["position"] == 1
        tracking.cancel()

    async def test_a_video_without_a_known_fate_keeps_its_place_at_the_provider(self, world: Make) -> None:
        w = world(script(submits=[FateUnknown()]))
        w.parallel_max = 1
        lost, waiting = await w.ask(), await w.ask()
        for video in (lost, waiting):
            with pytest.raises(TimeoutError):
                await w.track(video, timeout_s=0.5)
        assert (await w.now(lost)).phase is VideoPhase.FATE_UNKNOWN
        assert (await w.now(waiting)).phase is VideoPhase.HELD
        assert w.provider.calls.count("submit") == 1


async def test_a_provider_that_asks_for_patience_is_asked_again(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_video, "BUSY_S_MAX", 0.01)
    w = world(script(submits=[ProviderBusy("full"), ProviderBusy("full", 0.02), "job-1"]))
    end = await w.track(await w.ask())
    assert end.phase is VideoPhase.READY
    assert end.attempts == 3
    phases = await w.phases(end)
    assert phases[:4] == ["held", "submitting", "held", "submitting"]


class TestTimes:
    async def test_what_does_not_begin_in_time_is_cancelled_at_the_provider(self, world: Make) -> None:
        w = world(script(polls=[QUEUED]))
        video = await w.ask(start_timeout_s=5)
        tracking = asyncio.create_task(w.tracker.run(video.id))
        await w.until(video, VideoPhase.PROVIDER_QUEUED)
        w.clock.forward(6)
        assert await asyncio.wait_for(tracking, 7)
        assert failure(await w.now(video)) == ("deadline", "start_timeout", False)
        assert "cancel" in w.provider.calls

    async def test_what_has_begun_in_time_goes_on(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        video = await w.ask(start_timeout_s=5)
        tracking = asyncio.create_task(w.tracker.run(video.id))
        await w.until(video, VideoPhase.RENDERING)
        w.clock.forward(6)
        w.provider.polls = [DONE]
        assert await asyncio.wait_for(tracking, 7)
        assert (await w.now(video)).phase is VideoPhase.READY

    async def test_what_is_not_done_in_time_is_cancelled(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        video = await w.ask(cancel_after_s=5)
        tracking = asyncio.create_task(w.tracker.run(video.id))
        await w.until(video, VideoPhase.RENDERING)
        w.clock.forward(6)
        assert await asyncio.wait_for(tracking, 7)
        assert failure(await w.now(video)) == ("deadline", "cancel_after", False)

    async def test_what_cannot_be_stopped_is_charged(self, world: Make) -> None:
        w = world(script(polls=[RENDERING], cancels=[False]))
        video = await w.ask(cancel_after_s=5)
        w.clock.forward(1)
        tracking = asyncio.create_task(w.tracker.run(video.id))
        await w.until(video, VideoPhase.RENDERING)
        w.clock.forward(6)
        assert await asyncio.wait_for(tracking, 7)
        assert failure(await w.now(video)) == ("deadline", "cancel_after", True)

    async def test_what_waits_here_too_long_never_reaches_the_provider(self, world: Make) -> None:
        w = world(script(submits=[ProviderBusy("full")]))
        video = await w.ask(start_timeout_s=5)
        w.clock.forward(6)
        end = await w.track(video)
        assert failure(end) == ("deadline", "start_timeout", False)
        assert w.provider.calls == []

    async def test_a_submit_without_a_known_outcome_is_not_given_up_early(self, world: Make) -> None:
        w = world(script(submits=[FateUnknown()]))
        video = await w.ask(start_timeout_s=5, cancel_after_s=6)
        with pytest.raises(TimeoutError):
            await w.track(video, timeout_s=0.5)
        w.clock.forward(50)
        with pytest.raises(TimeoutError):
            await w.track(video, timeout_s=0.5)
        assert (await w.now(video)).phase is VideoPhase.FATE_UNKNOWN
        w.clock.forward(51)
        assert failure(await w.track(video))[:2] == ("deadline", "provider_unreachable")


class TestSureAnswers:
    """What the provider surely said of the one attempt is written over what came meanwhile."""

    async def test_a_refusal_beats_a_cancel_that_came_meanwhile(self, world: Make) -> None:
        refusal = SubmitRefused(Failure(FailureStage.INPUT, "content_policy_violation", "No.", retryable=False))

        async def meanwhile() -> str:
            await w.ask_to_cancel(video)
            raise refusal

        w = world(script(submits=[meanwhile]))
        video = await w.ask()
        end = await w.track(video)
        assert failure(end) == ("input", "content_policy_violation", False)
        assert end.cancellation == {"stopped": "provider", "charged": False, "cost_usd": 0}

    async def test_a_busy_provider_and_a_cancel_cost_nothing(self, world: Make) -> None:
        async def meanwhile() -> str:
            await w.ask_to_cancel(video)
            raise ProviderBusy("full")

        w = world(script(submits=[meanwhile]))
        video = await w.ask()
        end = await w.track(video)
        assert end.phase is VideoPhase.CANCELLED
        assert end.cancellation == {"stopped": "provider", "charged": False, "cost_usd": 0}

    @pytest.mark.parametrize(
        "second",
        [
            SubmitRefused(Failure(FailureStage.GATEWAY, "provider_credentials_refused", "No.", retryable=False)),
            ProviderBusy("full"),
        ],
        ids=["refused", "busy"],
    )
    async def test_a_second_attempts_refusal_is_no_verdict_on_the_first(self, world: Make, second: Exception) -> None:
        w = world(script(idempotent=True, submits=[FateUnknown("?"), second, "job-1"]))
        end = await w.track(await w.ask())
        assert end.phase is VideoPhase.READY
        assert "held" not in (await w.phases(end))[1:]

    async def test_what_the_provider_charges_for_a_cancelled_job_is_said(self, world: Make) -> None:
        stopped = JobStatus(
            JobState.CANCELLED,
            cost_usd=0.4,
            failure=Failure(FailureStage.PROVIDER, "cancelled", "Stopped.", retryable=True, charged=True),
        )

        async def stop() -> bool:
            w.provider.polls = [stopped]
            return True

        w = world(script(polls=[RENDERING], cancels=[stop]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video, timeout_s=10))
        await w.until(video, VideoPhase.RENDERING)
        await w.ask_to_cancel(video)
        end = await tracking
        assert end.cancellation is not None
        assert end.cost_usd == 0.4
        assert end.cancellation["charged"]


class TestTheWait:
    async def test_what_it_waits_here_is_not_the_providers_time(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        w.parallel_max = 0
        video = await w.ask()
        with pytest.raises(TimeoutError):
            await w.track(video, timeout_s=0.5)
        w.clock.forward(1000)
        w.parallel_max = None
        tracking = asyncio.create_task(w.tracker.run(video.id))
        begun = await w.until(video, VideoPhase.RENDERING)
        assert (begun.deadline_at - w.clock.now()).total_seconds() == 100
        tracking.cancel()

    async def test_one_that_waits_for_patience_keeps_nobody_waiting(self, world: Make) -> None:
        w = world(script(submits=[ProviderBusy("full", 3600), "job-1"], polls=[RENDERING]))
        w.parallel_max = 1
        first = await w.ask()
        patient = asyncio.create_task(w.tracker.run(first.id))
        async with asyncio.timeout(60):
            while "submit" not in w.provider.calls:
                await asyncio.sleep(0.05)
        await w.until(first, VideoPhase.HELD)
        patient.cancel()
        second = await w.ask(OTHER)
        tracking = asyncio.create_task(w.tracker.run(second.id))
        await w.until(second, VideoPhase.RENDERING)
        tracking.cancel()

    async def test_as_many_as_the_limit_go_at_once(self, world: Make) -> None:
        w = world(script(polls=[RENDERING]))
        w.parallel_max = 40
        trackers = [asyncio.create_task(w.tracker.run((await w.ask()).id)) for _ in range(45)]
        async with asyncio.timeout(60):
            while w.provider.calls.count("submit") < 40:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert w.provider.calls.count("submit") == 40
        for tracker in trackers:
            tracker.cancel()

    async def test_many_wakes_are_few_looks(self, world: Make) -> None:
        w = world(script(interval_s=60, polls=[RENDERING]))
        video = await w.ask()
        leash = Leash()
        tracking = asyncio.create_task(w.tracker.run(video.id, leash))
        await w.until(video, VideoPhase.RENDERING)
        before = w.provider.calls.count("poll")
        for _ in range(50):
            leash.wake()
            await asyncio.sleep(0.01)
        assert w.provider.calls.count("poll") - before <= 2
        tracking.cancel()

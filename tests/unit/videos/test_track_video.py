"""Tracking, answer by answer: what is paid for twice, lost, or ended without a verdict would be found here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from mediagate.core.lifecycle import PhaseEvent, VideoPhase
from mediagate.core.objects import Video
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    SubmitRefused,
    VideoKind,
    VideoOutput,
)
from mediagate.store.database import Database
from mediagate.store.videos import VIDEO
from mediagate.videos.fate import advanced
from mediagate.videos.journal import Happening
from mediagate.videos.start_video import VideoDraft
from mediagate.videos.track_video import DELIVERY_S_MAX
from tests.unit.videos.world import DONE, OWNER, QUEUED, REJECTED, RENDERING, Bytes, Script, World, script

REFUSAL = Failure(FailureStage.INPUT, "bad_prompt", "The prompt is bad.", retryable=False, field="prompt")
Make = Callable[[Script], World]


class Gone(Bytes):
    """Content that disappears while it is read."""

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        yield b"m"
        raise FileNotFoundError


def failure(video: Video) -> tuple[Any, ...]:
    assert video.failure is not None
    return video.failure["stage"], video.failure["code"]


class TestSubmit:
    async def test_the_happy_path_is_one_attempt_and_one_end(self, world: Make) -> None:
        w = world(script(polls=[QUEUED, RENDERING, DONE]))
        video = await w.track(await w.ask())
        assert video.phase is VideoPhase.READY
        assert (video.progress, video.seconds, video.completed_at) == (100, 2, w.clock.now())
        assert await w.phases(video) == [
            *("held", "submitting", "provider_queued", "provider_queued", "rendering", "archiving", "ready")
        ]
        kinds = await w.kinds(video)
        assert (kinds.count("attempt"), kinds.count("end"), kinds[-1]) == (1, 1, "end")
        assert w.provider.calls.count("submit") == 1
        assert w.provider.requests[0].token == video.id

    async def test_a_refused_submit_is_a_verdict(self, world: Make) -> None:
        w = world(script(submits=[SubmitRefused(REFUSAL)]))
        video = await w.track(await w.ask())
        assert failure(video) == ("input", "bad_prompt")
        assert await w.phases(video) == ["held", "submitting", "failed"]
        assert w.provider.calls == ["submit"]

    @pytest.mark.parametrize(
        "trouble", [FateUnknown("?"), RuntimeError("bug"), TimeoutError(), OSError("net")], ids=repr
    )
    async def test_an_ambiguous_submit_is_never_repeated_and_ends_only_at_its_deadline(
        self, world: Make, trouble: Exception
    ) -> None:
        w = world(script(submits=[trouble]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        await asyncio.sleep(0.1)
        assert w.provider.calls == ["submit"]
        assert (await w.now(video)).phase is VideoPhase.FATE_UNKNOWN
        w.clock.forward(101)
        over = await tracking
        assert failure(over) == ("deadline", "provider_unreachable")
        assert w.provider.calls == ["submit"]
        assert (await w.kinds(video)).count("attempt") == 1

    async def test_an_idempotent_submit_is_repeated_with_the_same_token(self, world: Make) -> None:
        w = world(script(idempotent=True, submits=[FateUnknown("?"), FateUnknown("?"), "job-1"]))
        video = await w.track(await w.ask())
        assert video.phase is VideoPhase.READY
        assert len({request.token for request in w.provider.requests}) == 1
        assert [event.payload["number"] for event in await w.events(video) if event.type == "attempt"] == [1, 2, 3]

    async def test_a_submit_that_died_with_its_process_is_not_repeated(self, world: Make) -> None:
        submitting = asyncio.Event()

        async def hang() -> str:
            submitting.set()
            await asyncio.Event().wait()
            return "job-1"

        w = world(script(submits=[hang]))
        video = await w.ask()
        dying = asyncio.create_task(w.track(video))
        await submitting.wait()
        dying.cancel()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        w.clock.forward(101)
        assert failure(await tracking) == ("deadline", "provider_unreachable")
        assert w.provider.calls == ["submit"]

    async def test_an_input_that_breaks_off_under_the_provider_is_told_as_what_it_is(self, world: Make) -> None:
        async def read() -> str:
            request = w.provider.requests[0]
            assert request.source_video is not None
            return str([chunk async for chunk in request.source_video.open()])

        w = world(script(polls=[DONE], opens=[Bytes()]))
        source = await w.track(await w.ask())
        w.provider.opens, w.provider.submits = [Gone()], [read]
        w.provider.requests.clear()
        video = await w.start.run(OWNER, VideoDraft("x", kind=VideoKind.REMIX, source_video_id=source.id))
        assert failure(await w.track(video)) == ("input", "input_gone")

    async def test_a_reference_is_written_over_whatever_happened_meanwhile(self, world: Make) -> None:
        """Another tracker took this one for dead and wrote `fate_unknown`: the job is still found."""

        async def slow() -> str:
            before = await w.now(video)
            after = advanced(before, PhaseEvent.LOST_CONTACT)
            assert await w.journal.write(before, after, [Happening("phase", {"to": "fate_unknown"})]) is not None
            return "job-1"

        w = world(script(submits=[slow]))
        video = await w.ask()
        over = await w.track(video)
        assert (over.phase, over.provider_ref) == (VideoPhase.READY, "job-1")

    async def test_a_job_taken_while_its_video_was_deleted_is_stopped_and_removed(self, world: Make) -> None:
        async def meanwhile() -> str:
            await w.delete_video.run(OWNER, video.id)
            return "job-1"

        w = world(script(submits=[meanwhile]))
        video = await w.ask()
        assert await w.tracker.run(video.id)
        assert (await w.now(video)).provider_ref == "job-1"
        await w.remove_video.run(video.id)
        assert w.provider.calls == ["submit", "cancel", "cancel", "poll", "delete job-1", "delete"]

    async def test_a_cancel_during_the_submit_reaches_the_provider(self, world: Make) -> None:
        async def meanwhile() -> str:
            await w.ask_to_cancel(video)
            return "job-1"

        w = world(script(submits=[meanwhile]))
        video = await w.ask()
        over = await w.track(video)
        assert (over.phase, over.provider_ref) == (VideoPhase.CANCELLED, "job-1")
        # The last question is what it came to.
        assert w.provider.calls == ["submit", "cancel", "poll"]
        assert over.cancellation == {"stopped": "provider", "charged": False, "cost_usd": 0}

    async def test_a_cancel_before_the_submit_costs_nothing(self, world: Make) -> None:
        w = world(script())
        video = await w.ask()
        await w.ask_to_cancel(video)
        over = await w.track(video)
        assert (over.phase, over.cancellation) == (
            VideoPhase.CANCELLED,
            {"stopped": "provider", "charged": False, "cost_usd": 0},
        )
        assert w.provider.calls == []


class TestPoll:
    @pytest.mark.parametrize(
        "trouble", [FateUnknown("?"), RuntimeError("bug"), KeyError("state"), FileNotFoundError(), OSError()], ids=repr
    )
    async def test_errors_say_nothing_about_the_job(self, world: Make, trouble: Exception) -> None:
        w = world(script(polls=[RENDERING, trouble, trouble, trouble, RENDERING, DONE]))
        video = await w.track(await w.ask())
        assert video.phase is VideoPhase.READY
        phases = await w.phases(video)
        assert phases[-5:] == ["rendering", "fate_unknown", "rendering", "archiving", "ready"]

    async def test_errors_back_off(self, world: Make) -> None:
        w = world(script(polls=[FateUnknown("?")]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await asyncio.sleep(0.7)
        # At 10, 20, 40, 80, 160, 320 ms behind each other; unchecked there would be more than a hundred.
        assert 4 <= w.provider.calls.count("poll") <= 8
        w.clock.forward(101)
        w.provider.cancels = [FateUnknown("?")]
        leash_free = await asyncio.wait_for(tracking, 20)
        assert failure(leash_free) == ("deadline", "provider_unreachable")

    @pytest.mark.parametrize("told", [FateUnknown("?"), RENDERING], ids=["silence", "progress"])
    async def test_no_sleep_goes_past_the_deadline(self, world: Make, told: Any) -> None:
        async def late() -> JobStatus:
            w.clock.forward(99.9)
            if isinstance(told, FateUnknown):
                raise told
            status: JobStatus = told
            return status

        w = world(script(interval_s=20.0, polls=[late, told]))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.RENDERING if told is RENDERING else VideoPhase.FATE_UNKNOWN)
        w.clock.forward(0.2)
        assert failure(await asyncio.wait_for(tracking, 15)) == ("deadline", "deadline_exceeded")

    async def test_an_end_that_passes_while_the_provider_answers_is_seen_at_once(self, world: Make) -> None:
        async def late() -> JobStatus:
            w.clock.forward(100.5)
            return RENDERING

        w = world(script(interval_s=20.0, polls=[late, RENDERING]))
        video = await w.track(await w.ask(), timeout_s=15)
        assert failure(video) == ("deadline", "deadline_exceeded")

    async def test_a_late_success_is_delivered(self, world: Make) -> None:
        w = world(script(polls=[FateUnknown("?"), DONE]))
        video = await w.track(await w.ask())
        assert video.phase is VideoPhase.READY
        assert (await w.phases(video))[-3:] == ["fate_unknown", "archiving", "ready"]

    async def test_a_success_in_the_last_moment_is_delivered(self, world: Make) -> None:
        async def last() -> JobStatus:
            w.clock.forward(101)
            return RENDERING

        w = world(script(polls=[last, DONE], cancels=[False]))
        video = await w.track(await w.ask())
        assert video.phase is VideoPhase.READY
        assert video.cancellation is None

    async def test_a_verdict_in_the_last_moment_counts(self, world: Make) -> None:
        async def last() -> JobStatus:
            w.clock.forward(101)
            return RENDERING

        w = world(script(polls=[last, REJECTED], cancels=[False]))
        assert failure(await w.track(await w.ask())) == ("output", "content_policy_violation")

    @pytest.mark.parametrize(("stopped", "charged"), [(True, False), (False, True)])
    async def test_a_job_that_renders_on_for_ever_ends_at_its_deadline(
        self, world: Make, stopped: bool, charged: bool
    ) -> None:
        async def last() -> JobStatus:
            w.clock.forward(101)
            return RENDERING

        w = world(script(polls=[last, RENDERING], cancels=[stopped]))
        video = await w.track(await w.ask())
        assert failure(video) == ("deadline", "deadline_exceeded")
        assert video.failure is not None
        assert video.failure["charged"] is charged

    async def test_a_provider_that_never_answers_is_not_waited_for(
        self, world: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mediagate.videos.track_video.ANSWER_S_MAX", 0.05)
        w = world(script(polls=[lambda: asyncio.sleep(60), DONE]))
        assert (await w.track(await w.ask())).phase is VideoPhase.READY

    async def test_a_video_that_is_over_is_let_go_at_once(self, world: Make) -> None:
        for polls in ([DONE], [REJECTED]):
            w = world(script(interval_s=20.0, polls=polls))
            await asyncio.wait_for(w.track(await w.ask()), 15)

    async def test_the_providers_wish_for_the_next_poll_is_granted(self, world: Make) -> None:
        w = world(script(polls=[JobStatus(JobState.RENDERING, poll_after_s=0.3), DONE]))
        began = asyncio.get_running_loop().time()
        await w.track(await w.ask())
        assert asyncio.get_running_loop().time() - began > 0.3

    async def test_progress_never_falls_and_what_is_no_news_is_no_event(self, world: Make) -> None:
        told = [JobStatus(JobState.RENDERING, progress_percent=percent) for percent in (30, 10, 30, 30, 70, 5)]
        w = world(script(polls=[*told, DONE]))
        video = await w.track(await w.ask())
        percents = [event.payload["percent"] for event in await w.events(video) if event.type == "progress"]
        assert percents == [30, 70]

    async def test_the_remaining_time_rests_on_finished_videos_like_it(self, world: Make, db: Database) -> None:
        w = world(script())

        async def asked(**values: Any) -> Video:
            """A video of a model that no other test has."""
            video = await w.ask()
            async with db.transaction() as tx:
                await tx.connection.execute(update(VIDEO).where(VIDEO.c.id == video.id).values(**values))
            return video

        for samples, eta in (
            (19, None),
            (20, {"p50_seconds": 10, "p90_seconds": 18, "basis": "history", "samples": 20, "overdue": False}),
        ):
            for seconds in range(1, samples + 1):
                ended = w.clock.now() + timedelta(seconds=seconds)
                times = {"render_started_at": w.clock.now(), "completed_at": ended, "ended_at": ended}
                await asked(provider_model=f"of {samples}", phase="ready", **times)
            w.provider.polls = [RENDERING, RENDERING, DONE]
            over = await w.track(await asked(provider_model=f"of {samples}"))
            told = [event.payload.get("eta") for event in await w.events(over) if event.type == "progress"]
            assert told == [eta]
            assert over.eta is None

    async def test_a_provider_may_put_a_job_back_into_its_queue(self, world: Make) -> None:
        w = world(script(polls=[RENDERING, QUEUED, RENDERING, DONE]))
        video = await w.track(await w.ask())
        assert (await w.phases(video))[-5:] == ["rendering", "provider_queued", "rendering", "archiving", "ready"]


class TestDelivery:
    @pytest.mark.parametrize(
        ("status", "opened"),
        [
            (DONE, FileNotFoundError()),
            (DONE, Bytes(size_bytes=0)),
            (JobStatus(JobState.SUCCEEDED), Bytes()),
            (JobStatus(JobState.FAILED), Bytes()),
        ],
        ids=["gone", "empty", "unmeasured", "untold"],
    )
    async def test_a_success_without_a_video_is_a_failure(self, world: Make, status: JobStatus, opened: Any) -> None:
        w = world(script(polls=[status], opens=[opened]))
        video = await w.track(await w.ask())
        assert (video.phase, failure(video)) == (VideoPhase.FAILED, ("output", "invalid_output"))
        assert video.completed_at is None

    async def test_what_is_finished_is_fetched_however_long_that_takes(self, world: Make) -> None:
        async def away() -> Any:
            w.clock.forward(1000)
            raise OSError

        w = world(script(polls=[DONE], opens=[away, away, Bytes()]))
        assert (await w.track(await w.ask())).phase is VideoPhase.READY

    async def test_a_day_is_enough(self, world: Make) -> None:
        async def away() -> Any:
            w.clock.forward(DELIVERY_S_MAX)
            raise FateUnknown

        w = world(script(polls=[DONE], opens=[away]))
        video = await w.track(await w.ask())
        assert failure(video) == ("output", "output_unavailable")
        assert video.failure is not None
        assert video.failure["charged"] is True

    async def test_second_thoughts_of_the_provider_do_not_stop_the_delivery(self, world: Make) -> None:
        w = world(script(polls=[DONE, RENDERING, DONE], opens=[OSError(), Bytes()]))
        assert (await w.track(await w.ask())).phase is VideoPhase.READY

    async def test_the_length_is_the_files_own(self, world: Make) -> None:
        w = world(script(polls=[JobStatus(JobState.SUCCEEDED, output=VideoOutput(6.96, 320, 180, 3))]))
        assert (await w.track(await w.ask())).seconds == 7

"""Carry one video from its intent to its end, as a durable job, whoever watches: the calls to its provider.

The rules on fate: an attempt is written down before the provider is called; a submit or a poll whose answer says
nothing leaves the phase `fate_unknown`, is no verdict and is asked again; only a provider whose submit is idempotent is
submitted to again; the end is settled once, by compare-and-set. Whatever else goes wrong, the database's absence
included, is waited out: a video is never without its tracker, and never runs past its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import ProviderRefused
from mediagate.core.lifecycle import OVER, VideoPhase
from mediagate.core.objects import Video
from mediagate.providers.base import (
    Failure,
    FateUnknown,
    InputBusy,
    JobState,
    JobStatus,
    ProviderBusy,
    SubmitRefused,
    VideoProvider,
)
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.router import Router
from mediagate.spend.adjust import AdjustSpend
from mediagate.store.database import Database
from mediagate.store.videos import VideoLookup
from mediagate.telemetry.traces import continued_span
from mediagate.videos.cost import Costs
from mediagate.videos.fate import (
    CANCEL_AFTER,
    DEADLINE,
    EMPTY_OUTPUT,
    HELD_TOO_LONG,
    LOST,
    NO_INPUT,
    RUNNING_EVENTS,
    START_TIMEOUT,
    UNDELIVERED,
    Fate,
    costs,
)
from mediagate.videos.finish_video import Finishes
from mediagate.videos.journal import Journal
from mediagate.videos.line import LOOK_AGAIN_S, Line
from mediagate.videos.provider_call import NOBODY, answer
from mediagate.videos.provider_request import InputLost, MakeRequest
from mediagate.videos.reroute import Reroute
from mediagate.videos.tasks import TRACK_VIDEO

log = structlog.get_logger(__name__)
BACKOFF_S_MAX = 30.0
BUSY_S_MAX = 60.0
SOON_S = 0.02
OWN_BACKOFF_S = 0.25
OWN_BACKOFF_S_MAX = 5.0
ANSWER_S_MAX = 60.0
# A submit may carry a source video.
SUBMIT_S_MAX = 900.0
# What a provider has finished is paid for: only a day of silence ends the attempts to fetch it.
DELIVERY_S_MAX = 86_400.0
HELD_S_MAX = 7 * 86_400.0
_NOT_STARTED = (VideoPhase.HELD, VideoPhase.SUBMITTING, VideoPhase.PROVIDER_QUEUED)


@dataclass(slots=True)
class Run:
    """What a tracker remembers of one video between its looks."""

    errors: int = 0
    refusals: int = 0
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class TrackVideo:
    """Submits once, polls once an interval, and settles once."""

    db: Database
    videos: VideoLookup
    catalog: ModelCatalog
    journal: Journal
    costs: Costs
    make_request: MakeRequest
    finish: Finishes
    line: Line
    clock: Clock
    poll_interval_s: float | None
    router: Router
    deadline_s: float | None = None
    adjust: AdjustSpend = field(default_factory=AdjustSpend)
    fate: Fate = field(init=False)
    reroute: Reroute = field(init=False)

    def __post_init__(self) -> None:
        fate = Fate(self.db, self.journal, self.costs, self.clock)
        object.__setattr__(self, "fate", fate)
        reroute = Reroute(self.catalog, self.router, self.costs, fate, self.adjust, self.deadline_s)
        object.__setattr__(self, "reroute", reroute)

    async def look(self, video_id: str, run: Run) -> float | None:
        """Look at a video once, and do what is to be done. Returns after how many seconds to look again; None when it
        needs no more tracking."""
        with continued_span(TRACK_VIDEO, run.traceparent):
            return await self._look(video_id, run)

    async def _look(self, video_id: str, run: Run) -> float | None:
        try:
            video = await self.videos.find(video_id)
            if video is None:
                return None
            if video.phase in OVER:
                await self.line.wake(video)
                return None
            wait_s, known = await self._turn(video, run)
            run.errors = 0 if known else run.errors + 1
        except Exception as error:
            # Nothing of this is news about the job: the database is away, or we are at fault.
            run.errors += 1
            log.warning("tracking_stumbled", video_id=video_id, error=type(error).__name__, exc_info=run.errors == 1)
            wait_s = min(OWN_BACKOFF_S_MAX, OWN_BACKOFF_S * 2 ** min(run.errors - 1, 10))
        return wait_s

    async def _turn(self, video: Video, run: Run) -> tuple[float, bool]:
        """One look at the job. Returns the seconds until the next one, and whether anything was learnt."""
        interval_s = self.poll_interval_s or BACKOFF_S_MAX
        known, had_ended = True, self._end_of(video) is not None
        if not had_ended and await self.reroute.from_nowhere(video):
            return SOON_S, True
        try:
            provider = self._provider(video)
            interval_s = self.poll_interval_s or provider.spec.poll_interval_s
            interval_s = await self._step(video, provider, run) or interval_s
        except FateUnknown:
            known = False
            interval_s = min(BACKOFF_S_MAX, interval_s * 2 ** min(run.errors + 1, 10))
            await self.fate.lost_contact(video.id)
        if video.phase is VideoPhase.ARCHIVING:
            return interval_s, known
        ends = [end for end in (self._deadline(video), video.cancel_at, self._start_by(video)) if end is not None]
        left_s = (min(ends) - self.clock.now()).total_seconds()
        if left_s > 0:
            return min(interval_s, left_s + SOON_S), known
        # An end that had passed and could not be carried out is tried again in its time.
        return (interval_s if had_ended else SOON_S), known

    def _provider(self, video: Video) -> VideoProvider:
        try:
            return self.catalog.provider(video.account)
        except (KeyError, ProviderRefused) as error:
            if self._end_of(video) is not None or (video.cancel_requested_at and video.provider_ref is None):
                return NOBODY
            raise FateUnknown("the account is not configured any more") from error

    async def _step(self, video: Video, provider: VideoProvider, run: Run) -> float | None:
        """One call to the provider and what follows from it.

        Returns when to look again, in seconds, where that is not after the usual interval.
        """
        end = self._end_of(video)
        if end is not None and await self._give_up(video, provider, end):
            return SOON_S
        if video.cancel_requested_at is not None and await self._cancel(video, provider):
            return SOON_S
        if video.provider_ref is None:
            if video.submit_started_at is not None:
                return await self._submit_again(video, provider)
            return await self._submit(video, provider, run)
        status = await answer(provider.poll(video.provider_ref), ANSWER_S_MAX)
        log.debug("video_polled", video_id=video.id, state=status.state.value)
        await self._apply(video, provider, status)
        return status.poll_after_s if status.state in RUNNING_EVENTS else SOON_S

    def _end_of(self, video: Video) -> Failure | None:
        """Which of its times is over."""
        now = self.clock.now()
        if video.phase is VideoPhase.ARCHIVING:
            return UNDELIVERED if now >= video.deadline_at + timedelta(seconds=DELIVERY_S_MAX) else None
        if now >= self._deadline(video):
            return DEADLINE if video.submit_started_at is not None else HELD_TOO_LONG
        if video.cancel_at is not None and now >= video.cancel_at:
            return CANCEL_AFTER
        start_by = self._start_by(video)
        return START_TIMEOUT if start_by is not None and now >= start_by else None

    def _deadline(self, video: Video) -> datetime:
        """A video has its provider's time from its submit on; before that it has a week."""
        if video.submit_started_at is not None:
            return video.deadline_at
        return video.created_at + timedelta(seconds=HELD_S_MAX)

    def _start_by(self, video: Video) -> datetime | None:
        if video.phase in _NOT_STARTED or (video.phase is VideoPhase.FATE_UNKNOWN and video.render_started_at is None):
            return video.start_by
        return None

    async def _submit(self, video: Video, provider: VideoProvider, run: Run) -> float:
        """Returns when to look again, in seconds."""
        if await self.reroute.before(video):
            return SOON_S
        hold = await self.line.hold(video)
        if hold is not None:
            return await self._hold(video, hold)
        budget = self.router.retries(video.model)
        if video.attempts and not budget.ask_again():
            return LOOK_AGAIN_S
        written: Video | None = None
        try:
            request = await self.make_request.run(video)
            written, hold = await self.line.pass_through(video, lambda tx: self.fate.submitting(video, tx))
            if hold is not None:
                return await self._hold(video, hold)
            if written is None:
                return SOON_S
            if not video.attempts:
                budget.ask()
            ref = await answer(provider.submit(request), SUBMIT_S_MAX)
        except Exception as error:
            return await self._not_taken(written or video, error, run)
        await self._accepted(written, provider, ref)
        await self.reroute.accepted(written)
        return SOON_S

    async def _not_taken(self, video: Video, error: Exception, run: Run) -> float:
        """What becomes of a video that a provider refused or could not take. Raises `error` where that is not sure."""
        match error:
            case SubmitRefused(failure=failure):
                if not await self.reroute.after_refusal(video, failure):
                    await self.fate.refused(video, failure)
                return SOON_S
            case FileNotFoundError() | InputLost():
                await self.fate.refused(video, NO_INPUT)
                return SOON_S
            case ProviderBusy():
                return await self._busy(video, error, run)
            case FateUnknown():
                await self.reroute.unknown(video)
        raise error

    async def _submit_again(self, video: Video, provider: VideoProvider) -> float:
        """An attempt has no known outcome: it may or may not have been taken, and asking again could pay twice, unless
        the provider makes one job of both. Whatever it says of this attempt, it may have taken the one before."""
        if not provider.spec.idempotent_submit:
            raise FateUnknown("an earlier submit has no known outcome")
        if not self.router.retries(video.model).ask_again():
            return LOOK_AGAIN_S
        try:
            request = await self.make_request.run(video)
            current = await self.fate.submitting(video)
            if current is None:
                return SOON_S
            ref = await answer(provider.submit(request), SUBMIT_S_MAX)
        except (SubmitRefused, FileNotFoundError, InputLost, ProviderBusy) as error:
            raise FateUnknown("the attempt before this one has no known outcome") from error
        await self._accepted(current, provider, ref)
        return SOON_S

    async def _hold(self, video: Video, hold: Mapping[str, Any]) -> float:
        """It waits in a line, unless another deployment has room."""
        if await self.reroute.in_line(video, str(hold["reason"])):
            return SOON_S
        await self.fate.held(video, hold)
        return LOOK_AGAIN_S

    async def _busy(self, video: Video, busy: ProviderBusy, run: Run) -> float:
        if not isinstance(busy, InputBusy) and await self.reroute.after_busy(video, busy):
            return SOON_S
        run.refusals += 1
        await self.fate.held(video, {"reason": "provider_busy", "position": 0, "of": 0})
        return max(busy.retry_after_s or 0.0, min(BUSY_S_MAX, 2.0**run.refusals))

    async def _accepted(self, video: Video, provider: VideoProvider, ref: str) -> None:
        """Write down the provider's job, however long that takes; one that nobody waits for any more is stopped.

        A job without its reference is paid for and never seen.
        """
        while True:
            try:
                wanted = await self.fate.accepted(video, ref)
                break
            except Exception as error:
                log.warning("acceptance_not_written", video_id=video.id, error=type(error).__name__)
                await asyncio.sleep(OWN_BACKOFF_S)
        if not wanted:
            with suppress(FateUnknown):
                await answer(provider.cancel(ref), ANSWER_S_MAX)

    async def _apply(self, video: Video, provider: VideoProvider, status: JobStatus) -> None:
        if status.state is JobState.FAILED:
            await self.fate.fail(video, status.failure or EMPTY_OUTPUT, status)
        elif status.state is JobState.CANCELLED:
            await self.fate.cancelled(video, stopped="provider", charged=costs(status), status=status)
        elif status.state is JobState.SUCCEEDED:
            await self._finish(video, provider, status)
        elif video.cancel_requested_at is not None:
            # It runs on in spite of the cancel: the provider cannot stop it, and nobody waits for it any more.
            await self.fate.cancelled(video, stopped="local_only", charged=True)
        elif video.phase is not VideoPhase.ARCHIVING:
            await self.fate.running(video, status)

    async def _finish(self, video: Video, provider: VideoProvider, status: JobStatus) -> None:
        """`ready` is said only once the bytes were read and are a whole video."""
        written = await self.fate.archiving(video)
        if written is None:
            return
        found = await self.finish.run(written, provider, status)
        if isinstance(found, Failure):
            await self.fate.fail(written, found, status)
        else:
            await self.fate.ready(found, status)

    async def _cancel(self, video: Video, provider: VideoProvider) -> bool:
        """Tell the provider to stop; False where it did not, so that a poll says what became of the job."""
        if video.provider_ref is None:
            # A submit without a known outcome may run on, and there is nothing by which to stop it.
            await self.fate.cancelled(video, stopped="provider" if video.submit_started_at is None else "local_only")
            return True
        stopped = await answer(provider.cancel(video.provider_ref), ANSWER_S_MAX)
        if stopped:
            status = await self._last_word(video.provider_ref, provider)
            await self.fate.cancelled(video, stopped="provider", charged=costs(status), status=status)
        return stopped

    async def _last_word(self, ref: str, provider: VideoProvider) -> JobStatus | None:
        """What the provider says of a job that it has stopped, which may cost all the same; None where it says
        nothing."""
        with suppress(FateUnknown):
            status = await answer(provider.poll(ref), ANSWER_S_MAX)
            return None if status.state in RUNNING_EVENTS else status
        return None

    async def _give_up(self, video: Video, provider: VideoProvider, why: Failure) -> bool:
        """A time is over: stop the provider where it can be reached, and say why the video ends. False where it goes
        on: the provider cannot be stopped, and only its start was late."""
        if why is UNDELIVERED:
            await self.fate.fail(video, UNDELIVERED)
            return True
        if video.provider_ref is None:
            known = video.submit_started_at is None
            if not known and why is not DEADLINE:
                # Whether there is a job is not known: what it costs is found out until the deadline.
                return False
            await self.fate.fail(video, why if known else LOST)
            return True
        if why is START_TIMEOUT and not provider.spec.cancels:
            return False
        try:
            stopped = await answer(provider.cancel(video.provider_ref), ANSWER_S_MAX)
            if not stopped:
                status = await answer(provider.poll(video.provider_ref), ANSWER_S_MAX)
                if status.state not in RUNNING_EVENTS:
                    # It finished in the last moment: a late success is delivered.
                    await self._apply(video, provider, status)
                    return True
        except FateUnknown:
            if why is not DEADLINE:
                raise
            await self.fate.fail(video, LOST)
            return True
        if video.cancel_requested_at is not None:
            await self.fate.cancelled(video, stopped="provider" if stopped else "local_only", charged=not stopped)
        else:
            # What the provider cannot stop, it goes on to make and to charge for.
            await self.fate.fail(video, replace(why, charged=not stopped))
        return True

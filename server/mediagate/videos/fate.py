"""What becomes of one video, written down: every change of its phase while it is tracked, and why it ends.

Each change is one compare-and-set on the number of the newest event, so that whoever comes second changes nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import OVER, VIDEO_TRANSITIONS, PhaseEvent, VideoPhase, advance
from mediagate.core.objects import Video
from mediagate.core.progress import Percentiles, percentiles, progress
from mediagate.providers.base import Failure, FailureStage, JobState, JobStatus
from mediagate.routing.catalog import Deployment
from mediagate.store.database import Database, Transaction
from mediagate.store.videos import VideoRepository
from mediagate.videos.cost import UNSETTLED, Bill, Costs
from mediagate.videos.finish_video import Finished
from mediagate.videos.journal import Happening, Journal, phase_change, progress_made

HISTORY_JOBS = 200
REMEMBERED_S = 30.0
KINDS_MAX = 1000
POSITION_MAX = (1 << 31) - 1
RUNNING_EVENTS = {
    JobState.QUEUED: PhaseEvent.PROVIDER_QUEUED,
    JobState.RENDERING: PhaseEvent.PROGRESSED,
    JobState.FINALIZING: PhaseEvent.FINALIZING,
}
DEADLINE = Failure(
    FailureStage.DEADLINE,
    "deadline_exceeded",
    "The video was not finished within its time. A shorter or smaller one may be; else try again later.",
    retryable=True,
)
HELD_TOO_LONG = Failure(
    FailureStage.DEADLINE,
    "held_too_long",
    "The video waited a week for its turn and was not begun. Try again when fewer wait, or with another model.",
    retryable=True,
)
LOST = Failure(
    FailureStage.DEADLINE,
    "provider_unreachable",
    "The provider did not say within the video's time what became of it. It may have been made and may be paid for, "
    "and one that is asked for again is another.",
    retryable=False,
)
EMPTY_OUTPUT = Failure(
    FailureStage.OUTPUT, "invalid_output", "The provider finished without a video that can be read.", retryable=True
)
UNDELIVERED = Failure(
    FailureStage.OUTPUT,
    "output_unavailable",
    "The provider finished, but its video could not be fetched for a day.",
    retryable=True,
    charged=True,
)
CANCEL_AFTER = Failure(
    FailureStage.DEADLINE, "cancel_after", "The video was not finished within 'cancel_after'.", retryable=True
)
START_TIMEOUT = Failure(
    FailureStage.DEADLINE, "start_timeout", "The provider did not begin within 'start_timeout'.", retryable=True
)
NO_INPUT = Failure(
    FailureStage.INPUT, "input_gone", "An input of this video was deleted before it was used.", retryable=False
)
CANCELLED = Failure(FailureStage.GATEWAY, "cancelled", "The video was cancelled.", retryable=True)


class Usual:
    """What finished jobs like a video took, remembered for `REMEMBERED_S`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[tuple[object, ...], tuple[float, Percentiles | None]] = OrderedDict()

    async def of(self, video: Video) -> Percentiles | None:
        """Of such videos, in seconds; None where too few have finished."""
        kind = (video.provider, video.provider_model, video.seconds, video.width, video.height)
        until, found = self._known.get(kind, (0.0, None))
        if time.monotonic() >= until:
            async with self._db.reading() as connection:
                durations = await VideoRepository(connection).finished_durations_s(video, limit=HISTORY_JOBS)
            found = percentiles(durations)
            self._known[kind] = (time.monotonic() + REMEMBERED_S, found)
            if len(self._known) > KINDS_MAX:
                self._known.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class Move:
    """Another deployment for a video, and why. `route` are those that are left then; `adjust` holds the money that the
    video costs there."""

    deployment: Deployment
    reason: str
    deadline_s: float
    route: Mapping[str, Any]
    bill: Bill
    adjust: Callable[[Transaction], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Fate:
    """Writes down what becomes of videos."""

    db: Database
    journal: Journal
    costs: Costs
    clock: Clock
    usual: Usual = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "usual", Usual(self.db))

    async def held(self, video: Video, hold: Mapping[str, Any]) -> None:
        """Write down that it waits here, for what and at which position, where that is news."""
        if video.phase is VideoPhase.HELD and video.hold == hold:
            return

        async def write(current: Video) -> Video | None:
            deadline_at = current.deadline_at
            if current.submit_started_at is not None:
                # Its time runs from the submit, which was none.
                deadline_at = current.created_at + (deadline_at - current.submit_started_at)
            after = advanced(current, PhaseEvent.DEFERRED, hold=hold, submit_started_at=None, deadline_at=deadline_at)
            return await self.journal.write(current, after, [phase_change(current.phase, after)])

        await self._insist(video, write)

    async def moved(self, video: Video, move: Move) -> bool:
        """Give a video that no provider has taken to another deployment; False where it is over or was changed. Raises
        what `move.adjust` does; then nothing is written."""
        to, done = move.deployment, False

        async def write(current: Video) -> Video | None:
            nonlocal done
            after = advanced(
                current,
                PhaseEvent.DEFERRED,
                deployment=to.id,
                account=to.model_account,
                provider=to.provider,
                provider_model=to.provider_model,
                deadline_at=current.created_at + timedelta(seconds=move.deadline_s),
                submit_started_at=None,
                hold=None,
                route=move.route,
                **move.bill.changes,
            )
            payload = {
                "number": current.attempts + 1,
                "provider": to.provider,
                "deployment": to.id,
                "moved_from": current.deployment,
                "reason": move.reason,
            }
            happenings = [Happening("attempt", payload), *move.bill.lines]
            if current.phase is not after.phase or current.hold is not None:
                happenings.insert(0, phase_change(current.phase, after))
            async with self.db.transaction() as tx:
                written = await self.journal.write(current, after, happenings, tx)
                if written is not None:
                    # Last, because others wait for the budgets that it moves.
                    await move.adjust(tx)
            done = written is not None
            return written

        await self._insist(video, write)
        return done

    async def _insist(self, video: Video, write: Callable[[Video], Awaitable[Video | None]]) -> None:
        """Write what is sure of an attempt over whatever was written meanwhile, such as the wish to cancel, as long as
        it is the same attempt. What removes a deleted video is told that its attempt was none, and costs nothing."""
        current: Video | None = video
        while current is not None and await write(current) is None:
            current = await self.load(video.id)
            if current is None:
                async with self.db.transaction() as tx:
                    await VideoRepository(tx.connection).note_no_attempt(video.id)
            if current is not None and (
                current.phase in OVER
                or current.provider_ref is not None
                or current.attempts != video.attempts
                or current.deployment != video.deployment
            ):
                return

    async def load(self, video_id: str) -> Video | None:
        """The video as it is now."""
        async with self.db.reading() as connection:
            return await VideoRepository(connection).find(video_id)

    async def submitting(self, video: Video, tx: Transaction | None = None) -> Video | None:
        """Write down an attempt before it is made; None where somebody else changed the video meanwhile."""
        now = self.clock.now()
        intent = replace(video, attempts=video.attempts + 1, submit_started_at=now, hold=None)
        if video.submit_started_at is None:
            # What it waited here is not the provider's time.
            intent = replace(intent, deadline_at=now + (video.deadline_at - video.created_at))
        if video.phase is not VideoPhase.SUBMITTING:
            intent = advanced(intent, PhaseEvent.SUBMIT_STARTED)
        attempt = Happening(
            "attempt", {"number": intent.attempts, "provider": video.provider, "deployment": video.deployment}
        )
        happenings = [attempt] if video.phase is intent.phase else [phase_change(video.phase, intent), attempt]
        return await self.journal.write(video, intent, happenings, tx)

    async def accepted(self, video: Video, ref: str) -> bool:
        """Write down the provider's job, over whatever was written meanwhile.

        False where the video is gone, or over, or has another job.
        """
        current: Video | None = video
        while (
            current is not None
            and current.provider_ref is None
            and (current.phase, PhaseEvent.ACCEPTED) in VIDEO_TRANSITIONS
        ):
            after = advanced(current, PhaseEvent.ACCEPTED, provider_ref=ref)
            if await self.journal.write(current, after, [phase_change(current.phase, after)]) is not None:
                return True
            current = await self.load(video.id)
        if current is not None and current.provider_ref is not None:
            return current.provider_ref == ref
        async with self.db.transaction() as tx:
            await VideoRepository(tx.connection).note_ref(video.id, ref)
        return False

    async def running(self, video: Video, status: JobStatus) -> None:
        """Write down how far it is, where that is news."""
        now = self.clock.now()
        after = advanced(video, RUNNING_EVENTS[status.state], position=_place(status.position))
        if status.state is not JobState.QUEUED:
            started = video.render_started_at or now
            elapsed_s = (now - started).total_seconds()
            made = progress(video.progress, status.progress_percent, elapsed_s, await self.usual.of(video))
            after = replace(
                after,
                render_started_at=started,
                progress=made.percent,
                progress_source=made.source.value,
                eta=_eta(made.eta_p50_s, made.eta_p90_s, made.samples, made.overdue),
            )
        happenings = []
        if after.phase is not video.phase or after.position != video.position:
            happenings.append(phase_change(video.phase, after))
        if after.progress != video.progress or after.progress_source != video.progress_source:
            happenings.append(progress_made(after))
        if happenings:
            await self.journal.progressed(video, after, happenings)

    async def archiving(self, video: Video) -> Video | None:
        """Write down that the provider is done; None where somebody else changed the video meanwhile."""
        if video.phase is VideoPhase.ARCHIVING:
            return video
        after = advanced(video, PhaseEvent.ARCHIVING, position=None, eta=None)
        return await self.journal.write(video, after, [phase_change(video.phase, after)])

    async def ready(self, found: Finished, status: JobStatus) -> None:
        """End it well, with what was made."""
        video, output = found.video, found.output
        made: dict[str, Any] = {
            "duration_seconds": output.duration_s,
            "width": output.width,
            "height": output.height,
            "bytes": output.size_bytes,
            "has_audio": output.has_audio,
        }
        bill = self.costs.delivered(video, status, output)
        after = advanced(
            video,
            PhaseEvent.VERIFIED,
            output={**made, "sha256": output.sha256, "content_type": output.content_type},
            expires_at=found.expires_at,
            progress=100,
            progress_source=video.progress_source or "reported",
            completed_at=self.clock.now(),
            seconds=max(1, round(output.duration_s)),
            cancellation=_cancellation(video, "local_only", charged=True, bill=bill),
            **bill.changes,
        )
        happenings = [Happening("output", made), *bill.lines, phase_change(video.phase, after)]
        await self.journal.write(video, after, happenings)

    async def cancelled(
        self, video: Video, *, stopped: str, charged: bool = False, status: JobStatus | None = None
    ) -> None:
        """End it by a cancel. `stopped` says who did: `provider`, or `local_only`."""
        failure = replace(CANCELLED, charged=charged)
        # What nobody stopped and nobody is known to charge may still be made.
        lost = stopped == "local_only" and not charged
        bill = UNSETTLED if lost else self.costs.ended(video, failure, status)
        after = advanced(
            video,
            PhaseEvent.CANCELLED,
            failure=_plain(failure),
            cancellation=_cancellation(video, stopped, charged=charged, bill=bill),
            position=None,
            eta=None,
            hold=None,
            **bill.changes,
        )
        await self.journal.write(video, after, [*bill.lines, phase_change(video.phase, after)])

    async def refused(self, video: Video, failure: Failure) -> None:
        """End it because its one attempt was surely not taken."""

        async def write(current: Video) -> Video | None:
            return await self.fail(current, failure)

        await self._insist(video, write)

    async def fail(self, video: Video, failure: Failure, status: JobStatus | None = None) -> Video | None:
        """End it by a failure; None where somebody else changed the video meanwhile."""
        stopped, bill = "provider", self.costs.ended(video, failure, status)
        if failure is LOST:
            stopped, bill = "local_only", UNSETTLED
        after = advanced(
            video,
            PhaseEvent.FAILED,
            failure=_plain(failure),
            cancellation=_cancellation(video, stopped, charged=failure.charged, bill=bill),
            position=None,
            eta=None,
            hold=None,
            **bill.changes,
        )
        return await self.journal.write(video, after, [*bill.lines, phase_change(video.phase, after)])

    async def lost_contact(self, video_id: str) -> None:
        """Write down that the provider's answers say nothing, where the phase can say that."""
        video = await self.load(video_id)
        if video is None or video.phase in OVER or video.phase in (VideoPhase.FATE_UNKNOWN, VideoPhase.ARCHIVING):
            return
        if (video.phase, PhaseEvent.LOST_CONTACT) not in VIDEO_TRANSITIONS:
            return
        after = advanced(video, PhaseEvent.LOST_CONTACT)
        await self.journal.write(video, after, [phase_change(video.phase, after)])


def advanced(video: Video, event: PhaseEvent, **changes: Any) -> Video:
    """The video after `event`, with `changes`. Raises `ImpossibleTransition` for what cannot happen."""
    return replace(video, phase=advance(VIDEO_TRANSITIONS, video.phase, event), **changes)


def _cancellation(video: Video, stopped: str, *, charged: bool, bill: Bill) -> dict[str, Any] | None:
    """What came of a cancel; None where nobody asked."""
    if video.cancel_requested_at is None:
        return None
    cost = {} if bill is UNSETTLED else {"cost_usd": bill.changes["cost_usd"]}
    return {"stopped": stopped, "charged": charged, **cost}


def costs(status: JobStatus | None) -> bool:
    """Whether the provider charges for a job that it has stopped."""
    if status is None:
        return False
    return bool(status.cost_usd) or (status.failure is not None and status.failure.charged)


def _plain(failure: Failure) -> dict[str, Any]:
    values = {**asdict(failure), "stage": failure.stage.value}
    if values["field"] is None:
        del values["field"]
    return values


def _place(position: int | None) -> int | None:
    """A place in the provider's queue as a column can hold it, whatever the provider says."""
    return None if position is None else min(max(position, 0), POSITION_MAX)


def _eta(p50_s: float | None, p90_s: float | None, samples: int, overdue: bool) -> dict[str, Any] | None:
    """The wire's VideoEta; a moment that has passed is 0 seconds away."""
    if not samples:
        return None
    return {
        "p50_seconds": round(p50_s or 0),
        "p90_seconds": round(p90_s or 0),
        "basis": "history",
        "samples": samples,
        "overdue": overdue,
    }

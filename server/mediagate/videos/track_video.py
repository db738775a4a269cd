"""Carry one video from its intent to its end, as a durable job, whoever watches.

The rules on fate: an attempt is written down before the provider is called; a submit or a poll whose answer says nothing
leaves the phase `fate_unknown`, is no verdict and is asked again; only a provider whose submit is idempotent is submitted to
again; the end is settled once, by compare-and-set.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import OVER, VIDEO_TRANSITIONS, PhaseEvent, VideoPhase, advance
from mediagate.core.objects import Principal, Video
from mediagate.core.progress import Percentiles, percentiles, progress
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    MediaInput,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoRequest,
    VideoVariant,
)
from mediagate.routing.catalog import ModelCatalog
from mediagate.store.database import Database
from mediagate.store.videos import VideoLookup, VideoRepository
from mediagate.videos.journal import Happening, Journal, phase_change, progress_made

log = structlog.get_logger(__name__)
BACKOFF_S_MAX = 30.0
HISTORY_JOBS = 200
_RUNNING_EVENTS = {
    JobState.QUEUED: PhaseEvent.PROVIDER_QUEUED,
    JobState.RENDERING: PhaseEvent.PROGRESSED,
    JobState.FINALIZING: PhaseEvent.FINALIZING,
}
_DEADLINE = Failure(
    FailureStage.DEADLINE, "deadline_exceeded", "The video was not finished within its time.", retryable=True
)
_LOST = Failure(
    FailureStage.DEADLINE,
    "provider_unreachable",
    "The provider did not say within the video's time what became of it.",
    retryable=True,
)
_EMPTY_OUTPUT = Failure(
    FailureStage.OUTPUT, "invalid_output", "The provider finished without a video that can be read.", retryable=True
)
_NO_PROVIDER = Failure(
    FailureStage.GATEWAY, "provider_removed", "The provider of this video is no longer configured.", retryable=False
)
_NO_INPUT = Failure(
    FailureStage.INPUT, "input_gone", "An input of this video was deleted before it was used.", retryable=False
)


@dataclass(frozen=True, slots=True)
class TrackVideo:
    """Submits once, polls once an interval, and settles once."""

    db: Database
    videos: VideoLookup
    catalog: ModelCatalog
    journal: Journal
    open_content: OpenContent
    clock: Clock
    poll_interval_s: float | None

    async def run(self, video_id: str, stopping: asyncio.Event) -> bool:
        """Return True when the video needs no more tracking, False when `stopping` was set before that."""
        usual: Percentiles | None = None
        errors = 0
        while True:
            video = await self._load(video_id)
            if video is None or video.phase in OVER:
                return True
            try:
                provider = self.catalog.provider(video.provider)
            except KeyError:
                await self._fail(video, _NO_PROVIDER)
                return True
            if video.phase is VideoPhase.RENDERING and usual is None:
                usual = await self._usual(video)
            interval_s = self.poll_interval_s or provider.spec.poll_interval_s
            try:
                interval_s = await self._step(video, provider, usual) or interval_s
                errors = 0
            except FateUnknown:
                errors += 1
                interval_s = min(BACKOFF_S_MAX, interval_s * 2 ** min(errors, 10))
                await self._lost_contact(video_id)
            try:
                async with asyncio.timeout(interval_s):
                    await stopping.wait()
                return False
            except TimeoutError:
                continue

    async def _load(self, video_id: str) -> Video | None:
        async with self.db.reading() as connection:
            return await VideoRepository(connection).find(video_id)

    async def _usual(self, video: Video) -> Percentiles | None:
        async with self.db.reading() as connection:
            return percentiles(await VideoRepository(connection).finished_durations_s(video, limit=HISTORY_JOBS))

    async def _step(self, video: Video, provider: VideoProvider, usual: Percentiles | None) -> float | None:
        """One call to the provider and what follows from it; returns the provider's wish for the next poll, in seconds."""
        if video.cancel_requested_at is not None:
            if await self._cancel(video, provider):
                return None
            video = await self._load(video.id) or video
        if self.clock.now() >= video.deadline_at and video.phase is not VideoPhase.ARCHIVING:
            await self._give_up(video, provider)
            return None
        if video.provider_ref is None:
            await self._submit(video, provider)
            return 0.05
        status = await provider.poll(video.provider_ref)
        await self._apply(video, provider, status, usual)
        return status.poll_after_s

    async def _submit(self, video: Video, provider: VideoProvider) -> None:
        if video.submit_started_at is not None and not provider.spec.idempotent_submit:
            # It may or may not have been taken, and asking again could pay twice.
            raise FateUnknown("an earlier submit has no known outcome")
        now = self.clock.now()
        intent = replace(video, attempts=video.attempts + 1, submit_started_at=now)
        if video.phase is not VideoPhase.SUBMITTING:
            intent = self._advanced(intent, PhaseEvent.SUBMIT_STARTED)
        attempt = Happening("attempt", {"number": intent.attempts, "provider": video.provider})
        happenings = [attempt] if video.phase is intent.phase else [phase_change(video.phase, intent), attempt]
        written = await self.journal.write(video, intent, happenings)
        if written is None:
            return
        try:
            ref = await provider.submit(await self._request(written))
        except SubmitRefused as refused:
            await self._fail(written, refused.failure)
            return
        except FileNotFoundError:
            await self._fail(written, _NO_INPUT)
            return
        accepted = self._advanced(written, PhaseEvent.ACCEPTED, provider_ref=ref)
        await self.journal.write(written, accepted, [phase_change(written.phase, accepted)])

    async def _apply(self, video: Video, provider: VideoProvider, status: JobStatus, usual: Percentiles | None) -> None:
        if status.state is JobState.FAILED:
            await self._fail(video, status.failure or _EMPTY_OUTPUT)
        elif status.state is JobState.CANCELLED:
            await self._cancelled(video, stopped="provider")
        elif status.state is JobState.SUCCEEDED:
            await self._finish(video, provider, status)
        else:
            await self._running(video, status, usual)

    async def _running(self, video: Video, status: JobStatus, usual: Percentiles | None) -> None:
        now = self.clock.now()
        after = self._advanced(video, _RUNNING_EVENTS[status.state], position=status.position)
        if status.state is not JobState.QUEUED:
            started = video.render_started_at or now
            made = progress(video.progress, status.progress_percent, (now - started).total_seconds(), usual)
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
            await self.journal.write(video, after, happenings)

    async def _finish(self, video: Video, provider: VideoProvider, status: JobStatus) -> None:
        """`ready` is said only once the bytes can be fetched."""
        if video.phase is not VideoPhase.ARCHIVING:
            archiving = self._advanced(video, PhaseEvent.ARCHIVING, position=None, eta=None)
            written = await self.journal.write(video, archiving, [phase_change(video.phase, archiving)])
            if written is None:
                return
            video = written
        assert video.provider_ref is not None
        try:
            content = await provider.open(video.provider_ref, VideoVariant.VIDEO)
        except FileNotFoundError:
            content = None
        if content is None or content.size_bytes == 0 or status.output is None:
            await self._fail(video, _EMPTY_OUTPUT)
            return
        output = status.output
        made: dict[str, Any] = {
            "duration_seconds": output.duration_s,
            "width": output.width,
            "height": output.height,
            "bytes": content.size_bytes,
        }
        ready = self._advanced(
            video,
            PhaseEvent.VERIFIED,
            output=made,
            progress=100,
            progress_source=video.progress_source or "reported",
            completed_at=self.clock.now(),
            seconds=max(1, round(output.duration_s)),
            cancellation={"stopped": "local_only", "charged": True} if video.cancel_requested_at else None,
        )
        await self.journal.write(video, ready, [Happening("output", made), phase_change(video.phase, ready)])

    async def _cancel(self, video: Video, provider: VideoProvider) -> bool:
        """Tell the provider to stop; False where it had already finished, so that polling goes on to the outcome."""
        if video.provider_ref is None:
            # A submit without a known outcome may run on, and there is nothing by which to stop it.
            await self._cancelled(video, stopped="provider" if video.submit_started_at is None else "local_only")
            return True
        stopped = await provider.cancel(video.provider_ref)
        if stopped:
            await self._cancelled(video, stopped="provider")
        return stopped

    async def _cancelled(self, video: Video, *, stopped: str) -> None:
        failure = Failure(FailureStage.GATEWAY, "cancelled", "The video was cancelled.", retryable=True)
        after = self._advanced(
            video,
            PhaseEvent.CANCELLED,
            failure=_plain(failure),
            cancellation={"stopped": stopped, "charged": False},
            position=None,
            eta=None,
        )
        await self.journal.write(video, after, [phase_change(video.phase, after)])

    async def _give_up(self, video: Video, provider: VideoProvider) -> None:
        """The time is over: stop the provider where it can be reached, and say why the video ends."""
        known = video.phase is not VideoPhase.FATE_UNKNOWN
        if video.provider_ref is not None:
            try:
                if not await provider.cancel(video.provider_ref):
                    # It finished in the last moment: a late success is delivered.
                    await self._apply(video, provider, await provider.poll(video.provider_ref), None)
                    return
            except FateUnknown:
                known = False
        await self._fail(video, _DEADLINE if known else _LOST)

    async def _fail(self, video: Video, failure: Failure) -> None:
        after = self._advanced(video, PhaseEvent.FAILED, failure=_plain(failure), position=None, eta=None)
        await self.journal.write(video, after, [phase_change(video.phase, after)])

    async def _lost_contact(self, video_id: str) -> None:
        video = await self._load(video_id)
        if video is None or video.phase in OVER or video.phase in (VideoPhase.FATE_UNKNOWN, VideoPhase.ARCHIVING):
            return
        if (video.phase, PhaseEvent.LOST_CONTACT) not in VIDEO_TRANSITIONS:
            return
        after = self._advanced(video, PhaseEvent.LOST_CONTACT)
        await self.journal.write(video, after, [phase_change(video.phase, after)])

    def _advanced(self, video: Video, event: PhaseEvent, **changes: Any) -> Video:
        return replace(video, phase=advance(VIDEO_TRANSITIONS, video.phase, event), **changes)

    async def _request(self, video: Video) -> VideoRequest:
        """Everything that the provider needs. Raises `FileNotFoundError` where an input is gone."""
        owner = Principal(video.owner_id)
        return VideoRequest(
            token=video.id,
            kind=VideoKind(video.kind),
            model=video.provider_model,
            prompt=video.prompt,
            seconds=video.seconds,
            width=video.width,
            height=video.height,
            image=await self._file_input(owner, video.image_file_id),
            source_video=await self._video_input(video) or await self._file_input(owner, video.source_file_id),
        )

    async def _file_input(self, owner: Principal, file_id: str | None) -> MediaInput | None:
        if file_id is None:
            return None
        file, content = await self.open_content.find(owner, file_id)
        return _as_input(content, file.content_type)

    async def _video_input(self, video: Video) -> MediaInput | None:
        if video.source_video_id is None:
            return None
        source = await self.videos.get(video.owner_id, video.source_video_id)
        if source is None or source.provider_ref is None:
            raise FileNotFoundError(video.source_video_id)
        content = await self.catalog.provider(source.provider).open(source.provider_ref, VideoVariant.VIDEO)
        return _as_input(content, content.content_type)


def _as_input(content: Content, content_type: str) -> MediaInput:
    def read() -> AsyncIterator[bytes]:
        return content.read(0, content.size_bytes)

    return MediaInput(content_type=content_type, size_bytes=content.size_bytes, open=read)


def _plain(failure: Failure) -> dict[str, Any]:
    values = {**asdict(failure), "stage": failure.stage.value}
    if values["field"] is None:
        del values["field"]
    return values


def _eta(p50_s: float | None, p90_s: float | None, samples: int, overdue: bool) -> dict[str, Any] | None:
    if not samples:
        return None
    eta: dict[str, Any] = {"basis": "history", "samples": samples, "overdue": overdue}
    if p50_s is not None:
        eta["p50_seconds"] = round(p50_s)
    if p90_s is not None:
        eta["p90_seconds"] = round(p90_s)
    return eta

"""Carry one video from its intent to its end, as a durable job, whoever watches: the calls to its provider.

The rules on fate: an attempt is written down before the provider is called; a submit or a poll whose answer says
nothing leaves the phase `fate_unknown`, is no verdict and is asked again; only a provider whose submit is idempotent is
submitted to again; the end is settled once, by compare-and-set. Whatever else goes wrong, the database's absence
included, is waited out in place: a video is never without its tracker, and never runs past its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import structlog

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import OVER, VideoPhase
from mediagate.core.objects import Principal, Video
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import (
    Content,
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
from mediagate.store.videos import VideoLookup
from mediagate.videos.fate import (
    DEADLINE,
    EMPTY_OUTPUT,
    LOST,
    NO_INPUT,
    NO_PROVIDER,
    RUNNING_EVENTS,
    UNDELIVERED,
    Fate,
    Usual,
)
from mediagate.videos.journal import Journal

log = structlog.get_logger(__name__)
T = TypeVar("T")
BACKOFF_S_MAX = 30.0
SOON_S = 0.02
OWN_BACKOFF_S = 0.25
OWN_BACKOFF_S_MAX = 5.0
ANSWER_S_MAX = 60.0
# A submit may carry a source video.
SUBMIT_S_MAX = 900.0
# What a provider has finished is paid for: only a day of silence ends the attempts to fetch it.
DELIVERY_S_MAX = 86_400.0


class _InputLost(Exception):
    """An input could not be read to its end, so the provider has no whole request. An `OSError` would be its own."""


class Leash:
    """What a process has in hand for each video it tracks: to make its tracker look at once, or stop."""

    __slots__ = ("_pulled", "stopped")

    def __init__(self) -> None:
        self._pulled = asyncio.Event()
        self.stopped = False

    def wake(self) -> None:
        """End the tracker's sleep, or keep it from the next one."""
        self._pulled.set()

    def stop(self) -> None:
        """Let the tracker finish what it does and return."""
        self.stopped = True
        self._pulled.set()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`, or when pulled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pulled.wait()
        self._pulled.clear()


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
    fate: Fate = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fate", Fate(self.db, self.journal, self.clock))

    async def run(self, video_id: str, leash: Leash) -> bool:
        """Return True when the video needs no more tracking, False when the leash was stopped before that."""
        usual = Usual(self.db)
        errors = 0
        while not leash.stopped:
            try:
                video = await self.fate.load(video_id)
                if video is None or video.phase in OVER:
                    return True
                wait_s, known = await self._turn(video, usual, errors)
                errors = 0 if known else errors + 1
            except Exception as error:
                # Nothing of this is news about the job: the database is away, or we are at fault.
                errors += 1
                log.warning("tracking_stumbled", video_id=video_id, error=type(error).__name__, exc_info=errors == 1)
                wait_s = min(OWN_BACKOFF_S_MAX, OWN_BACKOFF_S * 2 ** min(errors - 1, 10))
            await leash.sleep(wait_s)
        return False

    async def _turn(self, video: Video, usual: Usual, errors: int) -> tuple[float, bool]:
        """One look at the job. Returns the seconds until the next one, and whether anything was learnt."""
        try:
            provider = self.catalog.provider(video.provider)
        except KeyError:
            await self.fate.fail(video, NO_PROVIDER)
            return 0.0, True
        interval_s = self.poll_interval_s or provider.spec.poll_interval_s
        known = True
        try:
            interval_s = await self._step(video, provider, usual) or interval_s
        except FateUnknown:
            known = False
            interval_s = min(BACKOFF_S_MAX, interval_s * 2 ** min(errors + 1, 10))
            await self.fate.lost_contact(video.id)
        if video.phase is VideoPhase.ARCHIVING:
            return interval_s, known
        left_s = (video.deadline_at - self.clock.now()).total_seconds()
        return min(interval_s, max(left_s, 0.0) + SOON_S), known

    async def _step(self, video: Video, provider: VideoProvider, usual: Usual) -> float | None:
        """One call to the provider and what follows from it.

        Returns when to look again, in seconds, where that is not after the usual interval.
        """
        if self._is_late(video):
            await self._give_up(video, provider)
            return SOON_S
        if video.cancel_requested_at is not None and await self._cancel(video, provider):
            return SOON_S
        if video.provider_ref is None:
            await self._submit(video, provider)
            return SOON_S
        status = await _answer(provider.poll(video.provider_ref), ANSWER_S_MAX)
        log.debug("video_polled", video_id=video.id, state=status.state.value)
        await self._apply(video, provider, status, usual)
        return status.poll_after_s if status.state in RUNNING_EVENTS else SOON_S

    def _is_late(self, video: Video) -> bool:
        grace_s = DELIVERY_S_MAX if video.phase is VideoPhase.ARCHIVING else 0.0
        return self.clock.now() >= video.deadline_at + timedelta(seconds=grace_s)

    async def _submit(self, video: Video, provider: VideoProvider) -> None:
        if video.submit_started_at is not None and not provider.spec.idempotent_submit:
            # It may or may not have been taken, and asking again could pay twice.
            raise FateUnknown("an earlier submit has no known outcome")
        try:
            request = await self._request(video)
        except FileNotFoundError:
            await self.fate.fail(video, NO_INPUT)
            return
        written = await self.fate.submitting(video)
        if written is None:
            return
        try:
            ref = await _answer(provider.submit(request), SUBMIT_S_MAX)
        except SubmitRefused as refused:
            await self.fate.fail(written, refused.failure)
            return
        except _InputLost:
            await self.fate.fail(written, NO_INPUT)
            return
        await self._accepted(written, provider, ref)

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
                await _answer(provider.cancel(ref), ANSWER_S_MAX)

    async def _apply(self, video: Video, provider: VideoProvider, status: JobStatus, usual: Usual) -> None:
        if status.state is JobState.FAILED:
            await self.fate.fail(video, status.failure or EMPTY_OUTPUT)
        elif status.state is JobState.CANCELLED:
            await self.fate.cancelled(video, stopped="provider")
        elif status.state is JobState.SUCCEEDED:
            await self._finish(video, provider, status)
        elif video.cancel_requested_at is not None:
            # It runs on in spite of the cancel: the provider cannot stop it, and nobody waits for it any more.
            await self.fate.cancelled(video, stopped="local_only", charged=True)
        elif video.phase is not VideoPhase.ARCHIVING:
            await self.fate.running(video, status, usual)

    async def _finish(self, video: Video, provider: VideoProvider, status: JobStatus) -> None:
        """`ready` is said only once the bytes can be fetched."""
        written = await self.fate.archiving(video)
        if written is None:
            return
        assert written.provider_ref is not None
        content = await _answer(_opened(provider, written.provider_ref), ANSWER_S_MAX)
        if content is None or content.size_bytes == 0 or status.output is None:
            await self.fate.fail(written, EMPTY_OUTPUT)
        else:
            await self.fate.ready(written, status.output, content.size_bytes)

    async def _cancel(self, video: Video, provider: VideoProvider) -> bool:
        """Tell the provider to stop; False where it did not, so that a poll says what became of the job."""
        if video.provider_ref is None:
            # A submit without a known outcome may run on, and there is nothing by which to stop it.
            await self.fate.cancelled(video, stopped="provider" if video.submit_started_at is None else "local_only")
            return True
        stopped = await _answer(provider.cancel(video.provider_ref), ANSWER_S_MAX)
        if stopped:
            await self.fate.cancelled(video, stopped="provider")
        return stopped

    async def _give_up(self, video: Video, provider: VideoProvider) -> None:
        """The time is over: stop the provider where it can be reached, and say why the video ends."""
        if video.phase is VideoPhase.ARCHIVING:
            await self.fate.fail(video, UNDELIVERED)
            return
        if video.provider_ref is None:
            await self.fate.fail(video, DEADLINE if video.submit_started_at is None else LOST)
            return
        try:
            stopped = await _answer(provider.cancel(video.provider_ref), ANSWER_S_MAX)
            if not stopped:
                status = await _answer(provider.poll(video.provider_ref), ANSWER_S_MAX)
                if status.state not in RUNNING_EVENTS:
                    # It finished in the last moment: a late success is delivered.
                    await self._apply(video, provider, status, Usual(self.db))
                    return
        except FateUnknown:
            await self.fate.fail(video, LOST)
            return
        if video.cancel_requested_at is not None:
            await self.fate.cancelled(video, stopped="provider" if stopped else "local_only", charged=not stopped)
        else:
            # What the provider cannot stop, it goes on to make and to charge for.
            await self.fate.fail(video, replace(DEADLINE, charged=not stopped))

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
        try:
            provider = self.catalog.provider(source.provider)
        except KeyError:
            raise FileNotFoundError(video.source_video_id) from None
        content = await provider.open(source.provider_ref, VideoVariant.VIDEO)
        return _as_input(content, content.content_type)


async def _answer(call: Awaitable[T], within_s: float) -> T:
    """Wait for a provider, but not for ever.

    Raises `SubmitRefused`, what reading an input raises, and `FateUnknown` for whatever else it raises: an adapter that
    stumbles over an answer has learnt nothing about the job either.
    """
    try:
        async with asyncio.timeout(within_s):
            return await call
    except (SubmitRefused, FateUnknown, _InputLost):
        raise
    except TimeoutError as error:
        raise FateUnknown("the provider did not answer in time") from error
    except Exception as error:
        log.warning("provider_call_failed", error=type(error).__name__, exc_info=True)
        raise FateUnknown("the call to the provider failed") from error


async def _opened(provider: VideoProvider, ref: str) -> Content | None:
    """The finished video, or None where there is none."""
    try:
        return await provider.open(ref, VideoVariant.VIDEO)
    except FileNotFoundError:
        return None


def _as_input(content: Content, content_type: str) -> MediaInput:
    async def read() -> AsyncIterator[bytes]:
        try:
            async for chunk in content.read(0, content.size_bytes):
                yield chunk
        except OSError as error:
            raise _InputLost from error

    return MediaInput(content_type=content_type, size_bytes=content.size_bytes, open=read)

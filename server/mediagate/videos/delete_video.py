"""Delete a video: the tombstone at once; the job at the provider, the outputs and the inputs by a job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal, Video
from mediagate.files.tasks import REMOVE_FILE
from mediagate.providers.base import FailureStage, FateUnknown, JobState, JobStatus, VideoProvider
from mediagate.routing.catalog import ModelCatalog
from mediagate.spend.settle import SettleSpend
from mediagate.store.database import VIDEO_CHANNEL, Database
from mediagate.store.files import FileRepository
from mediagate.store.outputs import PictureRepository
from mediagate.store.videos import VideoRepository
from mediagate.videos.cost import UNSETTLED, Bill, Costs
from mediagate.videos.fate import CANCELLED, EMPTY_OUTPUT, RUNNING_EVENTS, costs
from mediagate.videos.tasks import REMOVE_VIDEO, WAKE_CHANNEL, news

log = structlog.get_logger(__name__)
T = TypeVar("T")
ANSWER_S_MAX: Final = 60.0
# What a job that was stopped came to is asked for once, and in vain at a provider that does not answer.
LAST_WORD_S_MAX: Final = 5.0
# Nobody waits for a deleted video, so it is asked for at leisure.
LOOK_S_MIN: Final = 10
# A provider that says nothing of a job for so long behind its deadline will make nothing of it any more.
PATIENCE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DeleteVideo:
    """Make a video unreadable, enqueue the rest in the same transaction, and tell its tracker and its watchers."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, video_id: str) -> None:
        """Raises `NotFound`, also for a video that was deleted before."""
        ids.VIDEO.parse(video_id)
        async with self.db.transaction() as tx:
            video = await VideoRepository(tx.connection).entomb(who, video_id, now=self.clock.now())
            if video is None:
                raise ids.VIDEO.not_found(video_id)
            await tx.enqueue(REMOVE_VIDEO, lock=video_id, video_id=video_id)
            await tx.notify(WAKE_CHANNEL, video_id)
            # No event has this number: watchers look for it and find the video gone.
            await tx.notify(VIDEO_CHANNEL, news(video, video.seq + 1, video.seq + 1, deleted=True))


@dataclass(frozen=True, slots=True)
class RemoveVideo:
    """What is left of a deleted video, run by a job; every step may be repeated."""

    db: Database
    catalog: ModelCatalog
    clock: Clock
    costs: Costs
    settle: SettleSpend = field(default_factory=SettleSpend)

    async def run(self, video_id: str) -> None:
        """Remove our copies of the outputs and internal inputs, stop the job at the provider and remove its outputs,
        then the row. What it cost is settled as soon as that is known: the provider forgets what is removed there.

        A job that the provider cannot stop writes its output later: the row stays until it has ended, and this comes
        back. Raises `FateUnknown` where the provider does not say, and what its `delete` raises.
        """
        async with self.db.reading() as connection:
            video = await VideoRepository(connection).entombed(video_id)
        if video is None:
            return
        # First what is ours: a provider may be away for long.
        await self._remove_ours(video)
        if video.provider_ref is not None:
            provider = self.catalog.provider(video.account)
            if _may_run(video) and self.clock.now() < video.deadline_at + PATIENCE:
                try:
                    running = await self._stop(video, video.provider_ref, provider)
                except FateUnknown:
                    # A removal may reach what a question does not; whether it did shows the next time.
                    await provider.delete(video.provider_ref)
                    raise
                if running is not None:
                    await self._come_back(video, running, provider)
                    return
            elif video.phase is VideoPhase.ARCHIVING:
                await self._settle(video, self.costs.unseen(video, await _ended(video.provider_ref, provider)))
            await provider.delete(video.provider_ref)
        elif video.submit_started_at is None:
            await self._settle(video, self.costs.ended(video, CANCELLED))
        async with self.db.transaction() as tx:
            await VideoRepository(tx.connection).purge(video_id)

    async def _settle(self, video: Video, bill: Bill) -> None:
        """Where its end was settled already, nothing changes."""
        if bill is UNSETTLED and video.estimate_usd is not None:
            return
        async with self.db.transaction() as tx:
            await self.settle.run(tx, video.id, bill.changes.get("cost_usd", 0.0), "deleted")

    async def _remove_ours(self, video: Video) -> None:
        async with self.db.transaction() as tx:
            files = FileRepository(tx.connection)
            pictures = await PictureRepository(tx.connection).of(video.id)
            for file_id in (video.image_file_id, video.source_file_id, video.archive_file_id, *pictures.values()):
                if file_id is not None and await files.entomb_internal(file_id):
                    await tx.enqueue(REMOVE_FILE, lock=file_id, file_id=file_id)

    async def _stop(self, video: Video, ref: str, provider: VideoProvider) -> JobStatus | None:
        """Stop the job and settle it; what it does where it runs on, None where it has ended. Raises `FateUnknown`."""
        try:
            if provider.spec.cancels and await _answer(provider.cancel(ref)):
                log.info("deleted_video_stopped", video_id=video.id, provider=video.provider)
                await self._settle_stopped(video, await _ended(ref, provider))
                return None
            status = await _answer(provider.poll(ref))
        except FateUnknown as unknown:
            if isinstance(unknown.__cause__, FileNotFoundError):
                # It does not know the job any more, perhaps because we have removed it.
                return None
            raise
        if status.state in RUNNING_EVENTS:
            return status
        log.info(
            "deleted_video_ended",
            video_id=video.id,
            provider=video.provider,
            state=status.state.value,
            cost_usd=status.cost_usd,
        )
        await self._settle_stopped(video, status)
        return None

    async def _settle_stopped(self, video: Video, status: JobStatus | None) -> None:
        """Settle a job by the provider's last word of it, where there is one."""
        if status is None or status.state is JobState.CANCELLED:
            bill = self.costs.ended(video, replace(CANCELLED, charged=costs(status)), status)
        elif status.state is JobState.FAILED:
            bill = self.costs.ended(video, status.failure or EMPTY_OUTPUT, status)
        else:
            bill = self.costs.unseen(video, status)
        await self._settle(video, bill)

    async def _come_back(self, video: Video, status: JobStatus, provider: VideoProvider) -> None:
        wait_s = max(LOOK_S_MIN, status.poll_after_s or 0.0, provider.spec.poll_interval_s)
        async with self.db.transaction() as tx:
            await tx.enqueue(REMOVE_VIDEO, lock=video.id, delay_s=round(wait_s), video_id=video.id)


def _may_run(video: Video) -> bool:
    """Whether its provider has not said that the job has ended."""
    if video.phase is VideoPhase.CANCELLED:
        return (video.cancellation or {}).get("stopped") == "local_only"
    if video.phase is VideoPhase.FAILED:
        return (video.failure or {}).get("stage") == FailureStage.DEADLINE
    return video.phase not in (VideoPhase.ARCHIVING, VideoPhase.READY, VideoPhase.EXPIRED)


async def _answer(call: Awaitable[T], within_s: float = ANSWER_S_MAX) -> T:
    """Wait for a provider, but not for ever. Raises `FateUnknown`."""
    try:
        async with asyncio.timeout(within_s):
            return await call
    except TimeoutError as error:
        raise FateUnknown("the provider did not answer in time") from error


async def _ended(ref: str, provider: VideoProvider) -> JobStatus | None:
    """What the provider says of a job that is over; None where it says nothing."""
    with suppress(FateUnknown):
        status = await _answer(provider.poll(ref), LAST_WORD_S_MAX)
        return None if status.state in RUNNING_EVENTS else status
    return None

"""Open the bytes of a finished video, or of a picture of it, for reading."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import NotFound, ProviderRefused, StateConflict, Unavailable
from mediagate.core.lifecycle import VideoPhase, status_of
from mediagate.core.objects import Principal, Video
from mediagate.providers.base import VideoVariant
from mediagate.videos.get_video import GetVideo
from mediagate.videos.open_output import OpenOutput
from mediagate.videos.opened import Opened, opened_output
from mediagate.videos.pictures import OpenPicture

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenVideoContent:
    """Reads through this process what the edge cannot fetch by itself."""

    get_video: GetVideo
    open_output: OpenOutput
    open_picture: OpenPicture
    clock: Clock

    async def run(self, who: Principal, video_id: str, variant: VideoVariant) -> Opened:
        """Raises `NotFound`, also for bytes that are over, `StateConflict` where it is not finished, `Unavailable`
        where its bytes cannot be had, and what the provider raises."""
        video = require_ready(await self.get_video.run(who, video_id))
        if variant is not VideoVariant.VIDEO:
            return await self.open_picture.run(video, variant)
        try:
            content = await self.open_output.run(video)
        except FileNotFoundError:
            raise self._gone(video) from None
        except (KeyError, ProviderRefused):
            raise _away() from None
        whole_bytes = (video.output or {}).get("bytes")
        if whole_bytes is not None and content.size_bytes != whole_bytes:
            log.error("output_changed", video_id=video.id, provider=video.provider)
            raise _away()
        return opened_output(video, content, variant)

    def _gone(self, video: Video) -> NotFound | Unavailable:
        if video.expires_at is None or video.expires_at > self.clock.now():
            return _away()
        return NotFound(
            f"The content of video {video.id} was kept by its provider for a time that is over.",
            param="id",
            code="content_expired",
        )


def require_ready(video: Video) -> Video:
    """Raises `StateConflict` for a video that is not finished."""
    if video.phase is VideoPhase.READY and video.provider_ref is not None:
        return video
    raise StateConflict(
        f"Video {video.id} is {status_of(video.phase).value}; its content can be fetched once it is completed.",
        param="video_id",
        code="video_not_ready",
        status=status_of(video.phase).value,
    )


def _away() -> Unavailable:
    return Unavailable("The video's content cannot be read at the moment. Try again later.")

"""Open the bytes of a finished video, or of a picture of it, for reading."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core.errors import StateConflict, Unavailable
from mediagate.core.lifecycle import VideoPhase, status_of
from mediagate.core.objects import Principal, Video
from mediagate.providers.base import Content, VideoVariant
from mediagate.routing.catalog import ModelCatalog
from mediagate.videos.get_video import GetVideo


@dataclass(frozen=True, slots=True)
class OpenVideoContent:
    """The provider that made a video serves it, whatever else is configured by now."""

    get_video: GetVideo
    catalog: ModelCatalog

    async def run(self, who: Principal, video_id: str, variant: VideoVariant) -> tuple[Video, Content]:
        """Raises `NotFound`, `StateConflict` where it is not finished, `Unavailable` where its bytes cannot be had."""
        video = await self.get_video.run(who, video_id)
        if video.phase is not VideoPhase.READY or video.provider_ref is None:
            raise StateConflict(
                f"Video {video_id} is {status_of(video.phase).value}; its content can be fetched once it is completed.",
                param="video_id",
                code="video_not_ready",
                status=status_of(video.phase).value,
            )
        try:
            return video, await self.catalog.provider(video.provider).open(video.provider_ref, variant)
        except (FileNotFoundError, KeyError):
            raise Unavailable("The video's content cannot be read at the moment. Try again later.") from None

"""Open the bytes of what a video's provider made: our own copy first, then the provider's."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from mediagate.core.errors import MediagateError
from mediagate.core.objects import Video
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import Content, VideoVariant
from mediagate.routing.catalog import ModelCatalog
from mediagate.telemetry.requests import note_backend
from mediagate.videos.find_kept import FindKept

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenOutput:
    """The account that made a video serves it, whatever else is configured by now."""

    catalog: ModelCatalog
    find_kept: FindKept
    open_file: OpenContent

    async def run(self, video: Video, variant: VideoVariant = VideoVariant.VIDEO) -> Content:
        """Raises `FileNotFoundError` where there is none, `KeyError` where its account is gone, and what the provider
        raises."""
        if variant is VideoVariant.VIDEO:
            kept = await self.find_kept.run(video.archive_file_id)
            if kept is not None:
                try:
                    return await self.open_file.of(kept)
                except MediagateError as error:
                    log.warning("archive_unreadable", video_id=video.id, file_id=kept.id, error=type(error).__name__)
        if video.provider_ref is None:
            raise FileNotFoundError(video.id)
        note_backend(video.account)
        return await self.catalog.provider(video.account).open(video.provider_ref, variant)

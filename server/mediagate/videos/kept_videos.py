"""A finished video as the file that is kept of it here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediagate.core import ids
from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import File, Principal
from mediagate.store.videos import VideoLookup
from mediagate.videos.find_kept import FindKept


@dataclass(frozen=True, slots=True)
class KeptVideos:
    """Finds the copies of finished videos."""

    videos: VideoLookup
    find_kept: FindKept

    async def file_of(self, who: Principal, video_id: str) -> File:
        """Raises `NotFound`, and `StateConflict` where the video is not finished or no copy of it is kept here."""
        video = await self.videos.get(who, video_id) if ids.VIDEO.matches(video_id) else None
        if video is None:
            raise ids.VIDEO.not_found(video_id)
        if video.phase is not VideoPhase.READY:
            raise StateConflict(
                f"Video {video.id} is not completed; only a completed video can be read.", code="video_not_ready"
            )
        kept = await self.find_kept.run(video.archive_file_id)
        if kept is None:
            raise StateConflict(
                f"No copy of video {video.id} is kept here. Make a file of it with POST /v1/files and the 'source' "
                f"{video.id}, and name that file.",
                code="video_not_kept",
            )
        required = {**(kept.required or {}), **(video.required or {})}
        return replace(kept, filename=f"{video.id}.mp4", required=required)

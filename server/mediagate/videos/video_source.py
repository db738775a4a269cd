"""A finished video as what a file is copied from."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.errors import NotFound, StateConflict, Unavailable
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal
from mediagate.files.find_source import Source, ready_uris
from mediagate.providers.base import VideoVariant
from mediagate.store.videos import VideoLookup
from mediagate.videos.find_kept import FindKept
from mediagate.videos.open_output import OpenOutput
from mediagate.videos.opened import opened_output

PARAM = "source"


@dataclass(frozen=True, slots=True)
class VideoSource:
    """Opens videos of a caller."""

    videos: VideoLookup
    find_kept: FindKept
    open_output: OpenOutput

    async def open(self, who: Principal, video_id: str) -> Source:
        """Where our copy of it lies in a cloud, a store there can copy it by itself.

        Raises `NotFound`, `StateConflict` where it is not finished, `Unavailable` where it cannot be read, and what the
        provider raises.
        """
        video = await self.videos.get(who, video_id) if ids.VIDEO.matches(video_id) else None
        if video is None:
            missing = ids.VIDEO.not_found(video_id)
            raise NotFound(missing.message, param=PARAM, id=missing.metadata["id"])
        if video.phase is not VideoPhase.READY:
            raise StateConflict(
                f"Video {video.id} is not completed; only a completed video can be copied.",
                param=PARAM,
                code="video_not_ready",
                phase=video.phase.value,
            )
        try:
            opened = opened_output(video, await self.open_output.run(video), VideoVariant.VIDEO)
        except (FileNotFoundError, KeyError):
            raise Unavailable("The video's content cannot be read at the moment. Try again later.") from None
        kept = await self.find_kept.run(video.archive_file_id)
        content = opened.content
        return Source(
            lambda: content.read(0, content.size_bytes),
            content.size_bytes,
            opened.filename,
            opened.content_type,
            str((video.output or {}).get("sha256", "")),
            () if kept is None else ready_uris(kept),
            video.required or {},
        )

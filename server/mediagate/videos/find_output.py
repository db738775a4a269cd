"""A finished video, or a picture of it, as a file with the places that have it, for an edge that can fetch it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediagate.core import ids
from mediagate.core.lifecycle import FileState, ReplicaState, VideoPhase
from mediagate.core.objects import File, Principal, Replica, Video
from mediagate.providers.base import VideoVariant
from mediagate.routing.places import MAKER
from mediagate.store.videos import VideoLookup
from mediagate.videos.archive import FILE_PURPOSE
from mediagate.videos.find_kept import FindKept
from mediagate.videos.opened import output_name
from mediagate.videos.pictures import OpenPicture


@dataclass(frozen=True, slots=True)
class FindOutput:
    """Our own copy where there is one, else the account that made the video."""

    videos: VideoLookup
    find_kept: FindKept
    pictures: OpenPicture

    async def run(self, who: Principal, video_id: str, variant: VideoVariant) -> tuple[File, str] | None:
        """The file, and the deployment that made the video; None for what has to be refused, made or read here."""
        video = await self.videos.get(who, video_id) if ids.VIDEO.matches(video_id) else None
        if video is None or video.phase is not VideoPhase.READY:
            return None
        if variant is VideoVariant.VIDEO:
            kept = await self.find_kept.run(video.archive_file_id)
        else:
            kept = await self.pictures.kept(video, variant)
        if kept is not None:
            return replace(kept, filename=output_name(video.id, kept.content_type, variant)), video.deployment
        made = _of_provider(video) if variant is VideoVariant.VIDEO else None
        return None if made is None else (made, video.deployment)


def _of_provider(video: Video) -> File | None:
    made = video.output or {}
    if video.provider_ref is None or video.completed_at is None or not made.get("sha256"):
        return None
    place = MAKER + video.account
    return File(
        id=video.id,
        owner_id=video.owner_id,
        end_user=video.end_user,
        filename=output_name(video.id, made["content_type"]),
        purpose=FILE_PURPOSE,
        size_bytes=int(made["bytes"]),
        sha256=made["sha256"],
        content_type=made["content_type"],
        state=FileState.PROCESSED,
        created_at=video.completed_at,
        replicas=(Replica(video.id, place, video.provider, video.provider_ref, ReplicaState.READY, video.expires_at),),
    )

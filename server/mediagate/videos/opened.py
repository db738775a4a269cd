"""A finished video, or a picture of it, as it is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mediagate.core.objects import File, Video
from mediagate.providers.base import Content, VideoVariant

EXTENSIONS: Final = {
    "video/mp4": "mp4",
    "video/webm": "webm",
    "image/webp": "webp",
    "image/jpeg": "jpg",
    "image/png": "png",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """Bytes, with what their headers say. `etag` has its quotes; `deployment` made the video."""

    content: Content
    filename: str
    content_type: str
    etag: str
    deployment: str


def output_name(video_id: str, content_type: str, variant: VideoVariant = VideoVariant.VIDEO) -> str:
    """What it is called where it is saved."""
    suffix = "" if variant is VideoVariant.VIDEO else f"-{variant.value}"
    return f"{video_id}{suffix}.{EXTENSIONS.get(content_type, 'bin')}"


def opened_output(video: Video, content: Content, variant: VideoVariant) -> Opened:
    """A provider's own, which never changes: so the id of the video is as good a tag as any other."""
    made = video.output or {}
    whole = variant is VideoVariant.VIDEO
    content_type = str((whole and made.get("content_type")) or content.content_type)
    name = output_name(video.id, content_type, variant)
    tag = (whole and made.get("sha256")) or content.etag.strip('"') or name.partition(".")[0]
    return Opened(content, name, content_type, f'"{tag}"', video.deployment)


def opened_file(video: Video, file: File, content: Content, variant: VideoVariant) -> Opened:
    """A file of ours."""
    name = output_name(video.id, file.content_type, variant)
    return Opened(content, name, file.content_type, f'"{file.sha256}"', video.deployment)

"""Names of the jobs that videos need; `mediagate.jobs` gives them their code. Each is locked by the video's id."""

from __future__ import annotations

from mediagate.core.objects import Video

TRACK_VIDEO = "videos.track"
REMOVE_VIDEO = "videos.remove"
TRACKING_QUEUE = "tracking"
WAKE_CHANNEL = "mediagate_video_wake"
"""NOTIFY channel; the payload is the id of a video whose tracker shall look at once."""


def news(video: Video, first: int, last: int, *, deleted: bool = False) -> str:
    """What is told on the channel of videos. The end user stands last, behind a line break: it is any text of one line,
    and an owner's id none of more."""
    owner = video.owner_id if video.end_user is None else f"{video.owner_id}\n{video.end_user}"
    return f"{video.id} {first} {last} {'-' if deleted else '+'} {owner}"

"""Names of the jobs that videos need; `mediagate.jobs` gives them their code. Each is locked by the video's id."""

TRACK_VIDEO = "videos.track"
REMOVE_VIDEO = "videos.remove"
TRACKING_QUEUE = "tracking"
WAKE_CHANNEL = "mediagate_video_wake"
"""NOTIFY channel; the payload is the id of a video whose tracker shall look at once."""


def news(video_id: str, first: int, last: int, owner_id: str, *, deleted: bool = False) -> str:
    """What is told on the channel of videos."""
    return f"{video_id} {first} {last} {'-' if deleted else '+'} {owner_id}"

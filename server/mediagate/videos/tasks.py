"""Names of the jobs that videos need; `mediagate.jobs` gives them their code. Each is locked by the video's id."""

TRACK_VIDEO = "videos.track"
REMOVE_VIDEO = "videos.remove"
TRACKING_QUEUE = "tracking"

"""Names of the jobs that batches need; `mediagate.jobs` gives them their code. Each is locked by the batch's id."""

from __future__ import annotations

TRACK_BATCH = "batches.track"
CLEAN_BATCH = "batches.clean"
TRACKING_QUEUE = "batch_tracking"
WAKE_CHANNEL = "mediagate_batch_wake"
"""NOTIFY channel; the payload is the id of a batch whose tracker shall look at once."""

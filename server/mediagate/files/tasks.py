"""Names of the jobs that files need; `mediagate.jobs` gives them their code."""

REMOVE_FILE = "files.remove"
REMOVE_REPLICA = "files.remove_replica"
REPAIR_REPLICA = "files.repair_replica"
FOLLOW_REPLICA = "files.follow_replica"
PLACE_COPY = "files.place_copy"
COPY_FILE = "files.copy"
DROP_PARTS = "uploads.drop_parts"

BYTES_QUEUE = "bytes"
"""Jobs that move whole files; they may take hours, and hold up no short one."""


COPIES_QUEUE = "copies"
"""Copies that a caller waits for; those of `BYTES_QUEUE` are in nobody's way there."""
AT_ONCE = 1
"""The priority of a job that somebody waits for, over what retries of older ones there are."""
COPY_CHANNEL = "mediagate_copy"
"""NOTIFY channel: something became of a copy, or of a file that was being copied. `files.copy_news` has the payload."""


def replica_lock(file_id: str, account: str) -> str:
    """The lock of every job about one replica: they run one at a time. `store.replicas` looks for it."""
    return f"{file_id}/{account}"

"""Names of the jobs that files need; `mediagate.jobs` gives them their code."""

REMOVE_FILE = "files.remove"
REMOVE_REPLICA = "files.remove_replica"
REPAIR_REPLICA = "files.repair_replica"
FOLLOW_REPLICA = "files.follow_replica"
COPY_FILE = "files.copy"
DROP_PARTS = "uploads.drop_parts"

BYTES_QUEUE = "bytes"
"""Jobs that move whole files; they may take hours, and hold up no short one."""


def replica_lock(file_id: str, account: str) -> str:
    """The lock of every job about one replica: they run one at a time. `store.replicas` looks for it."""
    return f"{file_id}/{account}"

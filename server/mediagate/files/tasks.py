"""Names of the jobs that files need; `mediagate.jobs` gives them their code."""

REMOVE_FILE = "files.remove"
DROP_PARTS = "uploads.drop_parts"

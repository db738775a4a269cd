"""The `mediagate` command: one file per sub-command."""

"""The server's part of the `mediagate` command: one file per sub-command; `commands.py` lists them."""

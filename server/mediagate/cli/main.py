"""`python -m mediagate.cli.main`: the whole command line, as the `mediagate` script has it."""

from __future__ import annotations

from mediagate_client.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m mediagate.supervisor.preload MODULES PROGRAM ARGUMENTS`: import now, run when told to.

A server spends two seconds on imports that need no database. Done while PostgreSQL is being made and migrated, they
do not delay `mediagate dev`. A byte on standard input starts the program; the end of that input ends the process.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib import import_module


def main() -> None:
    """Import, wait, become the program."""
    modules, program, *arguments = sys.argv[1:]
    for module in modules.split(","):
        import_module(module)
    if not os.read(0, 1):
        return
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.argv = [program, *arguments]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

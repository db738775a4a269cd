"""`python -m mediagate.supervisor.preload WHEN MODULES PROGRAM ARGUMENTS`: import, then run a program.

Imports are most of what the start of a server costs. Where WHEN is `held`, it waits behind them: a byte on standard
input starts the program, and the end of that input ends the process. Imports that need no database are so done while
PostgreSQL is being made and migrated. Where it is `now`, the program runs at once.
"""

from __future__ import annotations

import gc
import os
import runpy
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Final

TERMINALS: Final = ("rich", "click", "pygments")


def main() -> None:
    """Import, wait, become the program."""
    when, modules, program, *arguments = sys.argv[1:]
    import_quickly(modules.split(","))
    if when == "held":
        if not os.read(0, 1):
            return
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
    sys.argv = [program, *arguments]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


def import_quickly(modules: Iterable[str]) -> None:
    """Import without two things that cost a third more: the collector, which walks again and again what stays for
    good, and what httpx and structlog take along for terminals, where there is none."""
    hidden = [name for name in TERMINALS if name not in sys.modules]
    # None says that there is no such package, which both take well.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    gc.disable()
    try:
        for module in modules:
            import_module(module)
    finally:
        gc.freeze()
        gc.enable()
        for name in hidden:
            del sys.modules[name]


if __name__ == "__main__":
    main()

"""How long `mediagate --help` takes, beside a Python that does nothing.

    uv run python -m bench.shell_help

Processes are started in turns, so that what else the machine does weighs on all of them; their own processor time is
told too, which it weighs on less.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

RUNS = 31
BAR_MS = 300
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "mediagate")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "mediagate --help": [SCRIPT, "--help"],
    "mediagate files upload --help": [SCRIPT, "files", "upload", "--help"],
    "mediagate profiles ls": [SCRIPT, "profiles", "ls"],
}


def run_ms(command: list[str]) -> tuple[float, float]:
    """Wall time and processor time of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for turn in range(RUNS + 1):
        for name, command in COMMANDS.items():
            took = run_ms(command)
            # The first turn only warms the caches.
            if turn:
                times[name].append(took)
    for name, pairs in times.items():
        walls, processor = ([pair[side] for pair in pairs] for side in (0, 1))
        print(
            f"{name:32} {statistics.median(walls):4.0f} ms, best {min(walls):.0f};"
            f" processor {statistics.median(processor):.0f} ms, best {min(processor):.0f}"
        )
    print(f"medians of {RUNS}; bar: `mediagate --help` at most {BAR_MS} ms")


if __name__ == "__main__":
    main()

"""How long `from mediagate_client import Client` takes, beside a Python that imports nothing.

    uv run python -m bench.client_import

Interpreters are started in turns, so that what else the machine does weighs on both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

# What is installed has its bytecode; told to keep none, each run would compile what it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
RUNS = 15
BAR_MS = 150
IMPORT = "from mediagate_client import Client"


def run_ms(code: str) -> float:
    """Wall time of one interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    run_ms(IMPORT)
    pairs = [(run_ms("pass"), run_ms(IMPORT)) for _ in range(RUNS)]
    took = statistics.median(after - before for before, after in pairs)
    print(f"{IMPORT}: {took:.0f} ms (median of {RUNS}; at most {BAR_MS})")


if __name__ == "__main__":
    main()

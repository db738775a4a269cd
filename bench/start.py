"""How soon `mediagate dev` is ready, and what it holds when nothing happens."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.harness import MIB, pss, report, rss, start


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mediagate-bench-") as folder:
        first = start(Path(folder) / "data")
        first.stop()
        second = start(Path(folder) / "data")
        time.sleep(5)
        processes = second.pids()
        proportional = pss(list(processes)) / MIB
        table = {
            f"{name.strip()[:70]} ({pid})": {"rss_mib": rss([pid]) / MIB, "pss_mib": pss([pid]) / MIB}
            for pid, name in processes.items()
        }
        second.stop()
    for name, figures in table.items():
        print(f"{figures['pss_mib']:7.1f} MiB PSS {figures['rss_mib']:7.1f} MiB RSS  {name}")
    report(
        "start",
        {"processes": table},
        {
            "ready on an empty data dir, s": (first.ready_s, "<", 5),
            "ready later, s": (second.ready_s, "<", 3),
            "idle memory of all processes (PSS), MiB": (proportional, "<", 350),
        },
    )


if __name__ == "__main__":
    main()

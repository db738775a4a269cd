"""10,000 videos that one worker tracks, each asked for every 10 s: how late the polls are, and what they cost."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from bench.harness import MIB, PeakMemory, gateway, post_json, processor_s, report, video_model, video_server

VIDEOS = 10_000
INTERVAL_S = 10.0
SETTLE_S = 40.0
MEASURED_S = 60.0


def main() -> None:
    with video_server(3600) as provider:
        config = {
            "model_list": [video_model(provider)],
            "videos": {"poll_interval_s": INTERVAL_S},
            "net": {"allowed_hosts": [f"127.0.0.1:{provider}"], "allow_http": True},
        }
        with gateway(config) as running:
            with ThreadPoolExecutor(16) as pool:
                body = {"model": "bench", "prompt": "bench"}
                list(pool.map(lambda _: post_json(running.port, "/v1/videos", body), range(VIDEOS)))
            stats = _stats(provider)
            while len(stats) < VIDEOS or not all(stats.values()):
                time.sleep(2)
                stats = _stats(provider)
            time.sleep(SETTLE_S)
            worker = running.pids_of("mediagate.app worker")
            used, began = processor_s(worker), time.time()
            with PeakMemory(worker) as memory:
                time.sleep(MEASURED_S)
            used, ended = processor_s(worker) - used, time.time()
            stats = _stats(provider)
    late = sorted(
        max(0.0, after - before - INTERVAL_S)
        for moments in stats.values()
        for before, after in itertools.pairwise(moments)
        if began <= after < ended
    )
    early = min(
        after - before
        for moments in stats.values()
        for before, after in itertools.pairwise(moments[1:])
        if began <= after < ended
    )
    print(f"{len(late)} polls in {ended - began:.0f} s; the worker used {used / (ended - began):.2f} of a core")
    report(
        "track",
        {"p50_s": late[len(late) // 2], "worker_cores": used / (ended - began), "shortest_interval_s": early},
        {
            "lateness of a poll, p99, s": (late[int(len(late) * 0.99)], "<", 2),
            "memory of the worker, MiB": (memory.peak / MIB, "<", 200),
            "polls in their time": (len(late) / (VIDEOS * (ended - began) / INTERVAL_S), ">=", 0.9),
        },
    )


def _stats(port: int) -> dict[str, list[float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=60) as answer:
        polls: dict[str, list[float]] = json.load(answer)["polls"]
        return polls


if __name__ == "__main__":
    main()

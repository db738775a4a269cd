"""2,000 watchers over 100 videos through two server processes, and as many clients that ask every second instead.

How late each event is at the last of its watchers, what a watcher costs, how often the provider is asked.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bench.harness import KEY, Gateway, gateway, post_json, processor_s, report, rss, video_model, video_server

VIDEOS = 100
WATCHERS = 2000
INTERVAL_S = 2.0
RENDER_S = 60.0
# Of the time that videos render, when everybody is connected and nothing ends yet.
SETTLED_S = 15.0
MEASURED_S = 30.0
CONNECTING = 64


@dataclass
class Seen:
    """When events of the videos came to their watchers, in ms after their time stamps."""

    late_ms: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    ended: int = 0


async def watch(port: int, video_id: str, seen: Seen, gate: asyncio.Semaphore) -> None:
    """Read one event stream to its end."""
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_get(f"/v1/videos/{video_id}/events"))
        await reader.readuntil(b"\r\n\r\n")
    while True:
        line = await reader.readline()
        if line.startswith(b"data: "):
            now = time.time()
            event = json.loads(line[6:])
            if event["type"] != "snapshot":
                seen.late_ms.setdefault((video_id, event["seq"]), []).append((now - event["time"]) * 1000)
            if event["type"] == "end":
                seen.ended += 1
                writer.close()
                return
        elif not line:
            raise RuntimeError("the stream broke")


async def ask(port: int, video_id: str, _seen: Seen, gate: asyncio.Semaphore) -> None:
    """Ask once a second until it is over, as SDKs do."""
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    status = ""
    while status not in ("completed", "failed"):
        began = time.monotonic()
        writer.write(_get(f"/v1/videos/{video_id}"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        status = json.loads(await reader.readexactly(length))["status"]
        await asyncio.sleep(max(0.0, 1 - (time.monotonic() - began)))
    writer.close()


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()


Client = Callable[[int, str, Seen, asyncio.Semaphore], Awaitable[None]]


async def run(running: Gateway, provider: int, client: Client) -> tuple[Seen, dict[str, Any]]:
    """All clients on new videos, from their creation to their end."""
    seen, gate = Seen(), asyncio.Semaphore(CONNECTING)
    ids = [post_json(running.port, "/v1/videos", {"model": "bench", "prompt": "bench"})["id"] for _ in range(VIDEOS)]
    api, edge, worker = running.api_pids(), running.envoy_pids(), running.pids_of("mediagate.app worker")
    server_bytes, edge_bytes = rss(api), rss(edge)
    clients = [
        asyncio.create_task(_awaited(client(running.port, ids[i % VIDEOS], seen, gate))) for i in range(WATCHERS)
    ]
    await asyncio.sleep(SETTLED_S)
    figures: dict[str, Any] = {
        "server_kib_each": (rss(api) - server_bytes) / WATCHERS / 1024,
        "edge_kib_each": (rss(edge) - edge_bytes) / WATCHERS / 1024,
    }
    used = [processor_s(pids) for pids in (api, edge, worker)]
    began = time.time()
    await asyncio.sleep(MEASURED_S)
    ended = time.time()
    for name, pids, before in zip(("server", "edge", "worker"), (api, edge, worker), used, strict=True):
        figures[f"{name}_processor_s"] = processor_s(pids) - before
    polls = await asyncio.to_thread(_polls, provider)
    inside = [moment for moments in polls.values() for moment in moments if began <= moment < ended]
    figures["polls_an_interval"] = len(inside) / (MEASURED_S / INTERVAL_S)
    await asyncio.gather(*clients)
    return seen, figures


async def _awaited(work: Awaitable[None]) -> None:
    await work


def _polls(port: int) -> dict[str, list[float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=30) as answer:
        polls: dict[str, list[float]] = json.load(answer)["polls"]
        return polls


def main() -> None:
    with video_server(RENDER_S) as provider:
        config = {
            "model_list": [video_model(provider)],
            "server": {"api_processes": 2},
            "videos": {"poll_interval_s": INTERVAL_S},
            "net": {"allowed_hosts": [f"127.0.0.1:{provider}"], "allow_http": True},
        }
        with gateway(config) as running:
            # What is made once is made before anything is measured.
            post_json(running.port, "/v1/videos", {"model": "bench", "prompt": "warm"})
            seen, watching = asyncio.run(run(running, provider, watch))
            _, asking = asyncio.run(run(running, provider, ask))
    each = WATCHERS // VIDEOS
    # Events from before everybody was connected are replayed into snapshots and reach only some.
    slowest = sorted(max(late) for late in seen.late_ms.values() if len(late) == each)
    middle = statistics.median(late for lates in seen.late_ms.values() for late in lates)
    print(f"{len(slowest)} events at {each} watchers each; median of all {middle:.1f} ms; {seen.ended} streams ended")
    for name, figures in (("watching", watching), ("asking every second", asking)):
        print(name, {key: round(value, 2) for key, value in figures.items()})
    report(
        "watch",
        {"watching": watching, "asking": asking, "median_ms": middle, "p99_ms": slowest[int(len(slowest) * 0.99)]},
        {
            "event at all its watchers, worst, ms": (slowest[-1], "<", 250),
            "memory of the server a watcher, KiB": (watching["server_kib_each"], "<", 64),
            "provider polls an interval": (watching["polls_an_interval"], "<", VIDEOS * 1.02),
            "processor of the server, watching by asking": (
                watching["server_processor_s"] / asking["server_processor_s"],
                "<",
                1.0,
            ),
        },
    )


if __name__ == "__main__":
    main()

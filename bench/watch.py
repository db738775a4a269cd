"""1,000 watchers on one video by SSE: how late each event is at the last of them, and what a watcher costs."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

from bench.harness import KEY, gateway, post_json, report, rss

WATCHERS = 1000
RENDER_S = 12


async def watch(port: int, video_id: str, arrivals: dict[int, list[float]], open_: asyncio.Semaphore) -> None:
    """Read one event stream to its end; how late each event was, in ms after its time stamp."""
    async with open_:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /v1/videos/{video_id}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
    while True:
        line = await reader.readline()
        if line.startswith(b"data: "):
            now = time.time()
            event = json.loads(line[6:])
            if event["type"] != "snapshot":
                arrivals.setdefault(event["seq"], []).append((now - event["time"]) * 1000)
            if event["type"] == "end":
                writer.close()
                return


async def run(port: int, api: list[int], envoy: list[int]) -> tuple[dict[int, list[float]], float, float, str]:
    """All watchers on one video; arrivals by event, bytes a watcher in the server and in Envoy, the video's id."""
    prompt = f"bench [mediagate:slow={RENDER_S}]"
    # The first watchers pay for what is made once.
    warm = post_json(port, "/v1/videos", {"prompt": "warm", "size": "320x180", "seconds": 1})
    open_ = asyncio.Semaphore(64)
    await asyncio.gather(*[watch(port, warm["id"], {}, open_) for _ in range(50)])
    server_before, envoy_before = rss(api), rss(envoy)
    video = post_json(port, "/v1/videos", {"prompt": prompt, "size": "320x180", "seconds": 1})
    arrivals: dict[int, list[float]] = {}
    watchers = [asyncio.create_task(watch(port, video["id"], arrivals, open_)) for _ in range(WATCHERS)]
    await asyncio.sleep(RENDER_S * 0.7)
    server = (rss(api) - server_before) / WATCHERS
    edge = (rss(envoy) - envoy_before) / WATCHERS
    await asyncio.gather(*watchers)
    return arrivals, server, edge, str(video["id"])


def main() -> None:
    with gateway(environment={"MEDIAGATE_LOG_LEVEL": "debug"}) as running:
        arrivals, server, edge, video_id = asyncio.run(run(running.port, running.api_pids(), running.envoy_pids()))
        polls = [
            json.loads(line)
            for line in (running.data_dir / "logs" / "worker.log").read_text().splitlines()
            if '"video_polled"' in line and video_id in line
        ]
    # Events from before everybody was connected are replayed into snapshots and reach only some.
    whole = {seq: late for seq, late in arrivals.items() if len(late) == WATCHERS}
    slowest = {seq: max(late) for seq, late in whole.items()}
    per_interval = len(polls) / (RENDER_S / 0.5)
    middle = statistics.median(late for arrived in whole.values() for late in arrived)
    print(f"{len(whole)} events at {WATCHERS} watchers; median of all {middle:.1f} ms")
    print(f"{edge / 1024:.1f} KiB a watcher in Envoy; {len(polls)} polls in about {RENDER_S} s at one every 0.5 s")
    report(
        "watch",
        {"slowest_ms": slowest, "envoy_kib": edge / 1024, "polls": len(polls)},
        {
            "event at all watchers, worst, ms": (max(slowest.values()), "<", 250),
            "memory of the server a watcher, KiB": (server / 1024, "<", 64),
            "provider polls an interval": (per_interval, "<", 1.2),
        },
    )


if __name__ == "__main__":
    main()

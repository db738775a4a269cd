"""Twice the requests that the gateway can answer: how late the admitted ones are, how soon the rest are refused.

GetFile, with a small `requests_in_flight_max` as an argument (16). The requests come by the clock, whether or not the
ones before them have been answered; what sustains is found first, with as many connections as may be in flight.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any

from bench.harness import KEY, gateway, load, report
from bench.requests import store_file

ROUNDS = 3
SECONDS = 3.0
HEALTH_EVERY_S = 0.1


class Arrivals:
    """Requests that come at a rate, over as many kept connections as it takes."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._head = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.late_ms: dict[bytes, list[float]] = {}

    async def run(self, rate: float, seconds: float) -> None:
        """Send for this long, and wait for the last answer."""
        began, tasks, sent = time.perf_counter(), set(), 0
        while (now := time.perf_counter() - began) < seconds:
            while sent < now * rate:
                tasks.add(asyncio.create_task(self._one()))
                sent += 1
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)
        for _, writer in self._free:
            writer.close()

    async def _one(self) -> None:
        reader, writer = (
            self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 16)
        )
        began = time.perf_counter()
        writer.write(self._head)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        status = answer[9:12]
        self.late_ms.setdefault(status, []).append((time.perf_counter() - began) * 1000)
        assert status == b"200" or b"retry-after: 1" in answer, answer
        self._free.append((reader, writer))


async def probe(port: int, stop: asyncio.Event) -> list[tuple[int, float]]:
    """Readiness every tenth of a second: status and ms."""
    seen = []
    while not stop.is_set():
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        seen.append((int(answer[9:12]), (time.perf_counter() - began) * 1000))
        await asyncio.sleep(HEALTH_EVERY_S)
    return seen


def high(values: list[float]) -> float:
    """The 99th hundredth."""
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


async def measure(port: int, path: str, in_flight: int) -> dict[str, Any]:
    """One round."""
    sustained = (await load(port, path, connections=in_flight, seconds=2))["requests_per_s"]
    unloaded = Arrivals(port, path)
    await unloaded.run(sustained / 2, SECONDS)
    loaded, stop = Arrivals(port, path), asyncio.Event()
    health = asyncio.create_task(probe(port, stop))
    await loaded.run(sustained * 2, SECONDS)
    stop.set()
    ready = await health
    admitted, refused = loaded.late_ms.get(b"200", []), loaded.late_ms.get(b"503", [])
    return {
        "sustained_per_s": sustained,
        "unloaded_p99_ms": high(unloaded.late_ms[b"200"]),
        "admitted": len(admitted),
        "admitted_p99_ms": high(admitted),
        "refused": len(refused),
        "refused_median_ms": statistics.median(refused) if refused else 0.0,
        "refused_p99_ms": high(refused),
        "ready": all(status == 200 for status, _ in ready),
        "ready_worst_ms": max(ms for _, ms in ready),
    }


def main() -> None:
    in_flight = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    with gateway({"limits": {"requests_in_flight_max": in_flight}}) as running:
        path = f"/v1/files/{store_file(running)}"
        asyncio.run(load(running.port, path, connections=min(in_flight, 16), seconds=1))
        rounds = [asyncio.run(measure(running.port, path, in_flight)) for _ in range(ROUNDS)]
    for figures in rounds:
        print({name: round(value, 1) for name, value in figures.items()})
    bars = {
        "p99 of the admitted at twice the load, against unloaded": (
            statistics.median(one["admitted_p99_ms"] / one["unloaded_p99_ms"] for one in rounds),
            "<",
            3.0,
        ),
        "p99 of refusals, ms": (statistics.median(one["refused_p99_ms"] for one in rounds), "<", 100.0),
        "readiness answers": (float(all(one["ready"] for one in rounds)), ">=", 1.0),
    }
    report("overload", {"in_flight_max": in_flight, "rounds": rounds}, bars)


if __name__ == "__main__":
    main()

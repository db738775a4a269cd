"""What the gateway adds to a chat: to the time to its first token, and in memory for each that is under way.

32 clients ask one question after the other, each answered by a stream of half a second: once straight at the model's
server, once through the gateway that passes the stream on, once through the gateway that translates it from the words
of Anthropic. Then 200 streams that have begun and go on are held open at once.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.harness import KEY, Gateway, gateway, report, rss

CONNECTIONS = 32
SECONDS = 8.0
ROUNDS = 3
STREAMS = 200
KIB = 1024


@contextmanager
def chat_server() -> Iterator[int]:
    """The port of a model's server."""
    process = subprocess.Popen([sys.executable, "-m", "bench.chat_server"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def config_of(port: int) -> dict[str, Any]:
    """Models behind that port, in both words; each of them is free, so that nothing is asked about budgets."""
    passed = {"model": "openai_compatible/bench", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none"}
    told = {"model": "anthropic/bench", "api_base": f"http://127.0.0.1:{port}", "api_key": "none"}
    held = {**passed, "model": "openai_compatible/bench-hold"}
    return {
        "limits": {"requests_in_flight_max": None},
        "model_list": [
            {"model_name": "passed", "litellm_params": passed},
            {"model_name": "told", "litellm_params": told},
            {"model_name": "held", "litellm_params": held},
        ],
    }


def question(path: str, model: str) -> bytes:
    """One request."""
    tree = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Say something. " * 20}]}
    body = json.dumps(tree).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(port: int, request: bytes, seconds: float) -> list[float]:
    """Milliseconds to the first words of each answer."""
    first_ms: list[float] = []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # Callers are not in step.
        await asyncio.sleep(0.6 * number / CONNECTIONS)
        while (began := time.perf_counter()) < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head, head
            await reader.readuntil(b"Well")
            first_ms.append((time.perf_counter() - began) * 1000)
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return first_ms


def percentile(values: list[float], share: float) -> float:
    """The value that a share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def hold(running: Gateway) -> tuple[float, float]:
    """KiB of the server and of Envoy for each of many streams under way."""
    request = question("/v1/chat/completions", "held")
    pids = (running.api_pids(), running.envoy_pids())

    async def open_many(count: int) -> list[asyncio.StreamWriter]:
        async def one() -> asyncio.StreamWriter:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(request)
            await reader.readuntil(b"Well")
            return writer

        return [await one() for _ in range(count)]

    # What the first streams bring with them is no stream's.
    warm = await open_many(20)
    before = [rss(found) for found in pids]
    held = await open_many(STREAMS)
    await asyncio.sleep(1)
    grown = [(rss(found) - was) / KIB / STREAMS for found, was in zip(pids, before, strict=True)]
    for writer in (*warm, *held):
        writer.close()
    return grown[0], grown[1]


def main() -> None:
    with chat_server() as port, gateway(config_of(port)) as running:
        ways = {
            "direct": (port, question("/v1/chat/completions", "x")),
            "passed": (running.port, question("/v1/chat/completions", "passed")),
            "direct messages": (port, question("/v1/messages", "x")),
            "told": (running.port, question("/v1/chat/completions", "told")),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS + 1):
            for name, (target, request) in ways.items():
                taken = asyncio.run(ask(target, request, SECONDS if number else 2.0))
                if number:
                    found[name] += taken
        server_kib, envoy_kib = asyncio.run(hold(running))
    added = {
        name: {share: percentile(found[name], share) - percentile(found[straight], share) for share in (0.5, 0.99)}
        for name, straight in (("passed", "direct"), ("told", "direct messages"))
    }
    for name, values in found.items():
        print(
            f"{name}: {len(values)} answers, first words after {statistics.median(values):.1f} ms, "
            f"p99 {percentile(values, 0.99):.1f} ms"
        )
    print(f"a stream under way: {server_kib:.1f} KiB of the server, {envoy_kib:.1f} KiB of Envoy")
    report(
        "chat",
        {"first_ms": {name: [round(value, 2) for value in values] for name, values in found.items()}},
        {
            "ms more to the first words of a stream that is passed on, p50": (added["passed"][0.5], "<", 10),
            "the same, p99": (added["passed"][0.99], "<", 40),
            "ms more to the first words of a stream that is translated, p50": (added["told"][0.5], "<", 10),
            "the same, p99 ": (added["told"][0.99], "<", 40),
            "KiB of the server for a stream under way": (server_kib, "<", 64),
        },
    )


if __name__ == "__main__":
    main()

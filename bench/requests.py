"""GetFile and GetVideo through Envoy, against an empty RPC through the same Envoy."""

from __future__ import annotations

import asyncio
import json
import statistics
from typing import Any

from bench.harness import Gateway, gateway, load, post_json, report, request

ROUNDS = 5
SECONDS = 3.0
CONNECTIONS = 32


def store_file(running: Gateway) -> str:
    """A small file to get."""
    boundary = "bench"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--{boundary}\r\n'
        f'Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\nhello\r\n--{boundary}--\r\n'
    ).encode()
    head = (
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"content-type: multipart/form-data; boundary={boundary}\r\n"
    )
    status, answer = request(running.port, head, body)
    assert status == 200, answer
    return str(json.loads(answer)["id"])


def main() -> None:
    with gateway() as running:
        file_id = store_file(running)
        video = post_json(
            running.port, "/v1/videos", {"prompt": "bench [mediagate:stuck]", "size": "320x180", "seconds": 1}
        )
        paths = {
            "empty": "/diagnostics/ping",
            "get_file": f"/v1/files/{file_id}",
            "get_video": f"/v1/videos/{video['id']}",
        }
        for path in paths.values():
            asyncio.run(load(running.port, path, connections=CONNECTIONS, seconds=1))
        rounds: list[dict[str, Any]] = [
            {
                name: asyncio.run(load(running.port, path, connections=CONNECTIONS, seconds=SECONDS))
                for name, path in paths.items()
            }
            for _ in range(ROUNDS)
        ]
    bars: dict[str, tuple[float, str, float]] = {}
    for name in ("get_file", "get_video"):
        ratio = statistics.median(r[name]["requests_per_s"] / r["empty"]["requests_per_s"] for r in rounds)
        bars[f"{name} requests/s against an empty RPC"] = (ratio, ">=", 0.5)
        bars[f"{name} p99 at {CONNECTIONS} connections, ms"] = (
            statistics.median(r[name]["p99_ms"] for r in rounds),
            "<",
            60,
        )
    for name in paths:
        print(f"{name}: {statistics.median(r[name]['requests_per_s'] for r in rounds):.0f} requests/s")
    report("requests", {"rounds": rounds}, bars)


if __name__ == "__main__":
    main()

"""A 1 GiB file back from the local provider through Envoy, against an RPC of the same server that streams zeros."""

from __future__ import annotations

import json
import socket
import statistics
import time

from bench.harness import GIB, KEY, MIB, PeakMemory, gateway, report
from bench.upload import upload

ROUNDS = 5


def download(port: int, path: str, size: int) -> tuple[float, float]:
    """GET `path`; MB/s and the time to the first byte of the body in ms."""
    buffer = bytearray(MIB)
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1 << 16)
        head, _, body = head.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert f"content-length: {size}".encode() in head.lower(), head
        got = len(body)
        first = time.perf_counter() if got else 0.0
        while received := connection.recv_into(buffer):
            first = first or time.perf_counter()
            got += received
    spent = time.perf_counter() - began
    assert got == size, (got, size)
    return size / MIB / spent, (first - began) * 1000


def main() -> None:
    with gateway() as running:
        _, answer = upload(running.port, "/v1/files", GIB)
        content = f"/v1/files/{json.loads(answer)['id']}/content"
        zeros = f"/diagnostics/zeros?bytes={GIB}"
        download(running.port, zeros, GIB)
        download(running.port, content, GIB)
        rounds, growths = [], []
        for _ in range(ROUNDS):
            yielded, _ = download(running.port, zeros, GIB)
            with PeakMemory(running.api_pids()) as memory:
                read, first_ms = download(running.port, content, GIB)
            growths.append(memory.growth)
            rounds.append({"zeros_mb_per_s": yielded, "file_mb_per_s": read, "first_byte_ms": first_ms})
    ratio = statistics.median(r["file_mb_per_s"] / r["zeros_mb_per_s"] for r in rounds)
    for name in ("zeros_mb_per_s", "file_mb_per_s"):
        print(f"{name}: {statistics.median(r[name] for r in rounds):.0f}")
    report(
        "download",
        {"rounds": rounds, "growth_mib": [g / MIB for g in growths]},
        {
            "1 GiB from disk against zeros": (ratio, ">=", 0.8),
            "first byte, ms": (statistics.median(r["first_byte_ms"] for r in rounds), "<", 50),
            "growth of the server's peak memory, MiB": (max(growths) / MIB, "<", 16),
        },
    )


if __name__ == "__main__":
    main()

"""A 1 GiB multipart upload through Envoy to the local provider, against an RPC of the same server that only counts."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.harness import GIB, KEY, MIB, PeakMemory, free_port, gateway, report, request

ROUNDS = 5
BOUNDARY = "0d9b7a1f6c2e4583b1a09f7e6d5c4b3a"
CHUNK = os.urandom(MIB)
EXTENSIONS = "type.googleapis.com/envoy.extensions"


def upload(port: int, path: str, size: int) -> tuple[float, bytes]:
    """Send a form with one file of `size` bytes; MB/s and the body of the answer."""
    opening = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--{BOUNDARY}\r\n'
        'Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    ).encode()
    closing = f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
        f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"content-length: {len(opening) + size + len(closing)}\r\n\r\n"
    ).encode()
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + opening)
        for _ in range(size // MIB):
            connection.sendall(CHUNK)
        connection.sendall(closing)
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
    spent = time.perf_counter() - began
    assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
    return size / MIB / spent, answer.partition(b"\r\n\r\n")[2]


def sink(listener: socket.socket) -> None:
    """A plain HTTP server that drops what it gets: what bare Envoy can pass."""
    buffer = bytearray(MIB)
    while True:
        connection, _ = listener.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1 << 16)
            head, _, body = head.partition(b"\r\n\r\n")
            left = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]) - len(body)
            while left > 0:
                got = connection.recv_into(buffer)
                if not got:
                    break
                left -= got
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def bare_envoy_mb_per_s() -> float:
    """The same bytes through an Envoy that only proxies to a sink."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=sink, args=(listener,), daemon=True).start()
    port = free_port()
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    target = {"socket_address": {"address": "127.0.0.1", "port_value": listener.getsockname()[1]}}
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "sink", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    config = {
        "static_resources": {
            "listeners": [
                {
                    "address": address,
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "sink",
                    "load_assignment": {
                        "cluster_name": "sink",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": target}}]}],
                    },
                }
            ],
        }
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        envoy = Path(sys.executable).parent / "envoy"
        process = subprocess.Popen(
            [envoy, "-c", file.name, "--disable-hot-restart", "--concurrency", "2", "-l", "off"],
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(2)
            upload(port, "/", 64 * MIB)
            return statistics.median(upload(port, "/", GIB)[0] for _ in range(3))
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    bare = bare_envoy_mb_per_s()
    with gateway() as running:
        upload(running.port, "/diagnostics/count", 64 * MIB)
        upload(running.port, "/v1/files", 64 * MIB)
        rounds = []
        growths = []
        for _ in range(ROUNDS):
            counted, _ = upload(running.port, "/diagnostics/count", GIB)
            with PeakMemory(running.api_pids()) as memory:
                stored, answer = upload(running.port, "/v1/files", GIB)
            growths.append(memory.growth)
            rounds.append({"count_mb_per_s": round(counted), "store_mb_per_s": round(stored)})
            file_id = json.loads(answer)["id"]
            request(running.port, f"DELETE /v1/files/{file_id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", b"")
        with PeakMemory(running.api_pids()) as many, ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: upload(running.port, "/v1/files", 64 * MIB), range(16)))
    ratio = statistics.median(r["store_mb_per_s"] / r["count_mb_per_s"] for r in rounds)
    counted = statistics.median(r["count_mb_per_s"] for r in rounds)
    stored = statistics.median(r["store_mb_per_s"] for r in rounds)
    print(f"bare Envoy to a sink {bare:.0f} MB/s, counting RPC {counted:.0f} MB/s, stored {stored:.0f} MB/s")
    report(
        "upload",
        {"bare_envoy_mb_per_s": round(bare), "rounds": rounds, "growth_mib": [g / MIB for g in growths]},
        {
            "1 GiB stored against only counted": (ratio, ">=", 0.75),
            "growth of the server's peak memory, MiB": (max(growths) / MIB, "<", 24),
            "16 uploads of 64 MiB at once, MiB each": (many.growth / MIB / 16, "<", 12),
        },
    )


if __name__ == "__main__":
    main()

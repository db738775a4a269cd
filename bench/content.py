"""Content that the edge fetches from an S3 server by a decision, against the same Envoy that only proxies the object.

Two origins: moto, and a server that does nothing but `sendfile`, because moto is slower than any edge.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from bench.download import download
from bench.harness import KEY, MIB, Gateway, PeakMemory, free_port, gateway, load, report
from bench.s3 import BUCKET, CHUNK, client_of, config_of, moto

ROUNDS = 12
SIZE = 256 * MIB
SMALL = 4096
BOUNDARY = "7d4b1f"


def upload(port: int, size: int) -> str:
    """A file for the provider `bedrock`; its id."""
    field = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="'
    opening = (
        f'{field}purpose"\r\n\r\nuser_data\r\n{field}custom_llm_provider"\r\n\r\nbedrock\r\n'
        f'{field}file"; filename="a.bin"\r\n\r\n'
    ).encode()
    closing = f"\r\n--{BOUNDARY}--\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
            f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n"
            f"content-length: {len(opening) + size + len(closing)}\r\n\r\n".encode()
        )
        connection.sendall(opening)
        for at in range(0, size, MIB):
            connection.sendall(CHUNK[: min(MIB, size - at)])
        connection.sendall(closing)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return str(json.loads(body)["id"])


@contextmanager
def plain_envoy(running: Gateway, origin_port: int) -> Iterator[tuple[int, int]]:
    """The gateway's Envoy program with nothing but a route to the origin; its port and process id."""
    program = Path(f"/proc/{running.envoy_pids()[0]}/exe").resolve()
    port = free_port()

    def address(at: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": at}}

    kind = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "plain",
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}}
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "plain",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "0s"}}],
                }
            ]
        },
    }
    chains = [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]
    endpoint = {"endpoint": {"address": address(origin_port)}}
    cluster = {
        "name": "origin",
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"address": address(port), "filter_chains": chains}
    config = json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    process = subprocess.Popen(
        [program, "--config-yaml", config, "--concurrency", "2", "--disable-hot-restart", "--log-level", "error"],
        # As the gateway starts its own: the kernel shares a busy machine out by session.
        start_new_session=True,
    )
    try:
        _wait(port)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def sendfile_origin(port: int, size: int) -> Iterator[None]:
    """Any path of `port` is `size` bytes, from a process of its own."""
    with tempfile.NamedTemporaryFile() as file:
        for at in range(0, size, MIB):
            file.write(CHUNK[: size - at])
        file.flush()
        with file_origin(port, file.name):
            yield


@contextmanager
def file_origin(port: int, path: str) -> Iterator[None]:
    """The same with the bytes of a file."""
    process = subprocess.Popen([sys.executable, "-m", "bench.content", str(port), path])
    try:
        _wait(port)
        yield
    finally:
        process.kill()
        process.wait()


def serve(port: int, path: str) -> None:
    """What that process runs."""

    async def content(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    app = web.Application()
    app.router.add_get("/{any:.*}", content)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("a server did not start")


def compare(running: Gateway, content: str, origin_port: int, signed: str, size: int = SIZE) -> dict[str, Any]:
    """Rounds of: the origin itself, plain Envoy, the gateway. MB/s, first bytes in ms, growth of the server in MiB, and
    Envoy's processor time for a download, which a busy machine changes little."""
    rounds = []
    with plain_envoy(running, origin_port) as (plain_port, plain_pid):
        envoys = {"plain": plain_pid, "ours": running.envoy_pids()[0]}
        ways = {"origin": (origin_port, signed), "plain": (plain_port, signed), "ours": (running.port, content)}
        for port, path in ways.values():
            download(port, path, size)
        used = {name: cpu_s(pid) for name, pid in envoys.items()}
        with PeakMemory(running.api_pids()) as memory:
            for number in range(ROUNDS):
                figures = {}
                # The order turns, so that nobody always comes behind the same one.
                for name in sorted(ways, key=lambda name: (list(ways).index(name) + number) % len(ways)):
                    # What the one before has left to the origin to clear away is not this one's.
                    time.sleep(0.3)
                    figures[f"{name}_mb_per_s"], figures[f"{name}_first_ms"] = download(*ways[name], size)
                rounds.append(figures)
        used = {name: (cpu_s(pid) - used[name]) / ROUNDS for name, pid in envoys.items()}
    median = {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}
    return {
        "rounds": rounds,
        "median": median,
        "ratio": statistics.median(figures["ours_mb_per_s"] / figures["plain_mb_per_s"] for figures in rounds),
        "first_byte_later_ms": statistics.median(f["ours_first_ms"] - f["origin_first_ms"] for f in rounds),
        "envoy_cpu_s": used,
        "growth_mib": memory.growth / MIB,
    }


def main() -> None:
    with ExitStack() as s3:
        url = s3.enter_context(moto())
        origin_port = urlsplit(url).port
        assert origin_port
        with gateway(config_of(url)) as running:
            large, small = upload(running.port, SIZE), upload(running.port, SMALL)
            content = f"/v1/files/{large}/content"
            client = client_of(url)
            objects = client.list_objects_v2(Bucket=BUCKET)["Contents"]
            key = next(item["Key"] for item in objects if item["Size"] == SIZE)
            signed = urlsplit(client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}))
            path = f"{signed.path}?{signed.query}"
            by_moto = compare(running, content, origin_port, path)
            # The same bytes at the same address from a server that is faster than the edge.
            s3.close()
            with sendfile_origin(origin_port, SIZE):
                by_sendfile = compare(running, content, origin_port, path)
            with sendfile_origin(origin_port, SMALL), plain_envoy(running, origin_port) as (plain_port, _):
                requests = {
                    name: asyncio.run(load(port, one, connections=16, seconds=5))
                    for name, port, one in (
                        ("plain", plain_port, path),
                        ("ours", running.port, f"/v1/files/{small}/content"),
                    )
                }
    for name, figures in (("moto", by_moto), ("sendfile", by_sendfile)):
        print(name, {key: round(value, 1) for key, value in figures["median"].items()}, figures["envoy_cpu_s"])
    print("small files", requests)
    bars = {}
    for name, figures in (("moto", by_moto), ("sendfile", by_sendfile)):
        bars[f"{name}: 256 MiB against Envoy alone"] = (figures["ratio"], ">=", 0.9)
        bars[f"{name}: first byte behind the origin's, ms"] = (figures["first_byte_later_ms"], "<", 50)
        bars[f"{name}: growth of the server's peak memory, MiB"] = (figures["growth_mib"], "<", 8)
    report("content", {"moto": by_moto, "sendfile": by_sendfile, "small_files": requests}, bars)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(int(sys.argv[1]), sys.argv[2])
    else:
        main()

"""What every benchmark needs: a gateway of its own, memory readings, a load generator, a report."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# An installed gateway has its bytecode; told to keep none, each process would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
MIB = 1 << 20
GIB = 1 << 30
KEY = "sk-bench"
DEV = (sys.executable, "-m", "mediagate.cli.main", "dev")
RESULTS = Path(__file__).parent / "results"
BASE_CONFIG: dict[str, Any] = {
    "general_settings": {"diagnostics": True},
    "limits": {"file_bytes_max": 4 * GIB},
}


@dataclass
class Gateway:
    """A running `mediagate dev`."""

    process: subprocess.Popen[bytes]
    port: int
    data_dir: Path
    ready_s: float
    extra: dict[str, Any] = field(default_factory=dict)

    def pids(self) -> dict[int, str]:
        """Every process of the gateway with its command line."""
        children: dict[int, list[int]] = {}
        names: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                    names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
        found, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop()
            found[pid] = names.get(pid, "")
            todo += children.get(pid, [])
        return found

    def pids_of(self, part: str) -> list[int]:
        """Processes whose command line holds `part`."""
        return [pid for pid, name in self.pids().items() if part in name]

    def api_pids(self) -> list[int]:
        """The gRPC server processes."""
        return self.pids_of("mediagate.app api")

    def envoy_pids(self) -> list[int]:
        """Envoy."""
        return self.pids_of("_bin/envoy")

    def stop(self) -> None:
        """End it and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(data_dir: Path, config: dict[str, Any] | None = None, environment: dict[str, str] | None = None) -> Gateway:
    """Start a gateway; `ready_s` is the time to the first 200 of `/readyz`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    config_path = data_dir.parent / "bench.yaml"
    config_path.write_text(yaml.safe_dump({**BASE_CONFIG, **(config or {})}))
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [*DEV, f"--port={port}", f"--data-dir={data_dir}", f"--config={config_path}"],
        env={**os.environ, "MEDIAGATE_MASTER_KEY": KEY, **(environment or {})},
        stdout=subprocess.DEVNULL,
    )
    while True:
        try:
            if simple_get(port, "/readyz", timeout_s=5)[0] == 200:
                break
        except OSError:
            pass
        if process.poll() is not None or time.perf_counter() - began > 90:
            raise RuntimeError("the gateway did not get ready")
        time.sleep(0.01)
    return Gateway(process, port, data_dir, time.perf_counter() - began)


@contextmanager
def gateway(config: dict[str, Any] | None = None, environment: dict[str, str] | None = None) -> Iterator[Gateway]:
    """A gateway on an empty data dir, gone behind the block."""
    with tempfile.TemporaryDirectory(prefix="mediagate-bench-") as folder:
        running = start(Path(folder) / "data", config, environment)
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def video_server(render_s: float) -> Iterator[int]:
    """The port of a server of videos that take so many seconds."""
    command = [sys.executable, "-m", "bench.video_server", f"--render-s={render_s}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def video_model(port: int, **options: Any) -> dict[str, Any]:
    """An entry of `model_list` for such a server."""
    return {
        "model_name": "bench",
        "litellm_params": {
            "model": "openai_compatible/bench",
            "api_base": f"http://127.0.0.1:{port}/v1",
            "api_key": "none",
            **options,
        },
        "model_info": {"mode": "video_generation"},
    }


def processor_s(pids: list[int]) -> float:
    """Seconds of processor time that processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def simple_get(port: int, path: str, *, timeout_s: float = 30) -> tuple[int, bytes]:
    """Status and body of one GET on a connection of its own."""
    return request(port, f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", b"", timeout_s=timeout_s)


def request(port: int, head: str, body: bytes, *, timeout_s: float = 60) -> tuple[int, bytes]:
    """Send one request with the key; return its status and body. The request must ask for `connection: close`."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        extra = f"content-length: {len(body)}\r\n" if body else ""
        connection.sendall(f"{head}authorization: Bearer {KEY}\r\n{extra}\r\n".encode() + body)
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head_bytes.lower():
        content = _unchunked(content)
    return int(answer.split(b" ", 2)[1]), content


def _unchunked(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        whole += rest[:length]
        data = rest[length + 2 :]
    return whole


def post_json(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST a JSON object; the JSON object that comes back."""
    data = json.dumps(body).encode()
    status, answer = request(
        port, f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n", data
    )
    assert status == 200, (status, answer)
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


def rss(pids: list[int]) -> int:
    """Resident bytes of processes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def pss(pids: list[int]) -> int:
    """Proportional bytes of processes: shared pages are counted once over all."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class PeakMemory:
    """The highest resident size that processes reach inside the block, sampled every 10 ms."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._done = threading.Event()
        self.before = rss(pids)
        self.peak = self.before

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._done.wait(0.01):
            self.peak = max(self.peak, rss(self._pids))

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        """Bytes over what it was."""
        return self.peak - self.before


async def load(port: int, path: str, *, connections: int, seconds: float, key: str = KEY) -> dict[str, float]:
    """GET `path` over keep-alive connections as fast as answers come: requests/s and latencies in ms."""
    head = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            writer.write(head)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            latencies.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*[one() for _ in range(connections)])
    spent = time.perf_counter() - began
    latencies.sort()
    return {
        "requests_per_s": round(len(latencies) / spent, 1),
        "p50_ms": round(statistics.median(latencies), 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)], 2),
    }


def machine() -> dict[str, Any]:
    """What the figures were reached on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    return {
        "cores": os.cpu_count(),
        "cpu": model,
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def report(name: str, figures: dict[str, Any], bars: dict[str, tuple[float, str, float]]) -> None:
    """Print each bar beside the figure reached, and write all as JSON. A bar is (reached, `>=` or `<`, asked)."""
    rows = {}
    for bar, (reached, sign, asked) in bars.items():
        held = reached >= asked if sign == ">=" else reached < asked
        rows[bar] = {"reached": round(reached, 3), "asked": f"{sign} {asked}", "held": held}
        print(f"{'held ' if held else 'MISSED'}  {bar}: {reached:.3f} (asked {sign} {asked})")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "bars": rows, "figures": figures}, indent=1) + "\n")
    print(f"written to {path}")

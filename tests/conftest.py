"""A whole gateway per test session: the real Envoy, PostgreSQL, server and worker, started as a user starts them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import openai
import pytest
import yaml

MASTER_KEY = "sk-test-master-key"
START_S = 60
DEV = (sys.executable, "-m", "mediagate.cli.main", "dev")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Gateway:
    """A running `mediagate dev`."""

    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]
    key: str = MASTER_KEY
    auth: dict[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {MASTER_KEY}"})

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def http(self, **options: Any) -> httpx.Client:
        """A client that sends the master key."""
        # No TLS here, and reading the certificates takes longer than most tests.
        return httpx.Client(base_url=self.url, headers=self.auth, timeout=60, verify=False, **options)

    def openai(self, **options: Any) -> openai.OpenAI:
        """The official client, unmodified."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, **options)

    def channel(self) -> grpc.Channel:
        """A gRPC channel through the edge."""
        return grpc.insecure_channel(f"127.0.0.1:{self.port}")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The master key for gRPC calls."""
        return (("authorization", f"Bearer {self.key}"),)

    @property
    def database_url(self) -> str:
        """The embedded database, for tests that look behind the API."""
        environment = Path(f"/proc/{self.child('api-0')}/environ").read_bytes().split(b"\0")
        return (
            next(line for line in environment if line.startswith(b"MEDIAGATE_DATABASE_URL=")).decode().partition("=")[2]
        )

    def child(self, name: str) -> int:
        """The process id of a child: `api-0`, `worker`, `envoy` or `postgres`."""
        needle = {"worker": "mediagate.app worker", "envoy": "_bin/envoy", "postgres": "postgres -D"}.get(name, name)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(parent) == self.process.pid and needle in command:
                return int(entry.name)
        raise LookupError(name)

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Return once `/readyz` answers 200."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"mediagate dev ended with {self.process.returncode}")
            time.sleep(0.05)
        raise TimeoutError("mediagate dev did not get ready")

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 40) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)


def start_gateway(data_dir: Path, config: dict[str, Any] | None = None, port: int | None = None) -> Gateway:
    """Start `mediagate dev` and wait until it is ready."""
    data_dir.mkdir(parents=True, exist_ok=True)
    config_path = data_dir.parent / f"{data_dir.name}.yaml"
    config_path.write_text(yaml.safe_dump(config or {}))
    port = port or free_port()
    with (data_dir.parent / f"{data_dir.name}.out").open("wb") as output:
        process = subprocess.Popen(
            [*DEV, f"--port={port}", f"--data-dir={data_dir}", f"--config={config_path}"],
            env={**os.environ, "MEDIAGATE_MASTER_KEY": MASTER_KEY},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    gateway = Gateway(port, data_dir, process)
    gateway.wait_ready()
    return gateway


MEDIA_PORT = free_port()
"""Where a test may serve what the gateway fetches."""

TEST_CONFIG: dict[str, Any] = {
    "model_list": [
        {"model_name": "local-video", "litellm_params": {"model": "local/local-video"}},
        {"model_name": "sora-2", "litellm_params": {"model": "local/local-video"}},
        {"model_name": "team/a:video", "litellm_params": {"model": "local/local-video"}},
    ],
    "general_settings": {"diagnostics": True, "cors_allowed_origins": ["https://app.example"]},
    "limits": {"file_bytes_max": 400 * 1024 * 1024, "part_bytes_max": 64 * 1024 * 1024},
    "videos": {"deadline_s": 30, "poll_interval_s": 0.2, "keepalive_s": 1.0},
    "local": {"parallel_renders": 2, "fsync": False},
    "net": {"allow_http": True, "allowed_hosts": [f"127.0.0.1:{MEDIA_PORT}"]},
}


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder for a data dir. Not pytest's: a second session would shut PostgreSQL's account out of that one."""
    with tempfile.TemporaryDirectory(prefix="mediagate-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """The gateway that most tests share. Tests make their own objects and count on no others."""
    with data_folder() as data_dir:
        running = start_gateway(data_dir, TEST_CONFIG)
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def own_gateway() -> Iterator[Callable[..., Gateway]]:
    """Starts gateways that a module may break; whatever still runs is stopped behind it."""
    started: list[Gateway] = []
    with ExitStack() as folders:

        def start(config: dict[str, Any] | None = None, data_dir: Path | None = None) -> Gateway:
            running = start_gateway(data_dir or folders.enter_context(data_folder()), config or TEST_CONFIG)
            started.append(running)
            return running

        yield start
        for running in started:
            if running.process.poll() is None:
                running.stop(signal.SIGTERM)


@pytest.fixture
def client(gateway: Gateway) -> openai.OpenAI:
    """The official client on the shared gateway."""
    return gateway.openai()


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    """A plain HTTP client on the shared gateway, with the master key."""
    with gateway.http() as plain:
        yield plain

"""A whole gateway per test session: the real Envoy, PostgreSQL, server and worker, started as a user starts them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import grpc
import httpx
import hypothesis
import openai
import pytest
import yaml

from tests import trouble
from tests.database_template import copy_of_database

MASTER_KEY = "sk-test-master-key"
# The machine may be a slow one with more to do: times are told by benchmarks, and only a hang fails a test.
START_S = 120
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
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
        return httpx.Client(base_url=self.url, headers=self.auth, timeout=120, verify=False, **options)

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

    @cached_property
    def database_url(self) -> str:
        """The embedded database, for tests that look behind the API."""
        while True:
            # One that has just been killed has no environment.
            with suppress(OSError, StopIteration):
                environment = Path(f"/proc/{self.child('api-0')}/environ").read_bytes().split(b"\0")
                line = next(line for line in environment if line.startswith(b"MEDIAGATE_DATABASE_URL="))
                return line.decode().partition("=")[2]

    def child(self, name: str, timeout_s: float = START_S) -> int:
        """The process id of a child: `api-0`, `worker`, `envoy` or `postgres`, once it runs. Raises `LookupError`."""
        end = time.monotonic() + timeout_s
        while (found := self._child(name)) is None:
            if time.monotonic() > end or self.process.poll() is not None:
                raise LookupError(name)
            time.sleep(0.02)
        return found

    def _child(self, name: str) -> int | None:
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
        return None

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a child, once it runs; returns its process id."""
        while True:
            pid = self.child(name)
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                return pid

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Return once `/readyz` answers 200."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"mediagate dev ended with {self.process.returncode}")
            time.sleep(0.05)
        raise TimeoutError("mediagate dev did not get ready")

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 120) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def end(self) -> None:
        """Stop it where it still runs, whatever it takes."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def start_gateway(data_dir: Path, config: dict[str, Any] | None = None, port: int | None = None) -> Gateway:
    """Start `mediagate dev` and wait until it is ready. In a `with` statement it ends with the block, however that
    ends. Where `data_dir` has no database yet, it gets a copy of one that was made before."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "postgres").exists():
        copy_of_database(data_dir / "postgres", _database)
    return _started(data_dir, config, port)


@contextmanager
def _database(data_dir: Path) -> Iterator[str]:
    """A gateway's database that is no copy, by its URL."""
    data_dir.mkdir()
    with _started(data_dir) as gateway:
        yield gateway.database_url


def _started(data_dir: Path, config: dict[str, Any] | None = None, port: int | None = None) -> Gateway:
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
    try:
        gateway.wait_ready()
    except BaseException:
        gateway.end()
        raise
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
    "videos": {"deadline_s": 150, "poll_interval_s": 0.2, "keepalive_s": 1.0},
    "local": {"parallel_renders": 2, "fsync": False},
    "net": {"allow_http": True, "allowed_hosts": [f"127.0.0.1:{MEDIA_PORT}"]},
}


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder for a data dir. Not pytest's: a second session would shut PostgreSQL's account out of that one."""
    with tempfile.TemporaryDirectory(prefix="mediagate-test-", ignore_cleanup_errors=True) as folder:
        data_dir, failed = Path(folder) / "data", True
        trouble.watch(data_dir)
        try:
            yield data_dir
            failed = False
        finally:
            trouble.forget(data_dir, failed=failed)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Note where the logs end, so that a report shows what came in its test."""
    trouble.begin_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the gateways' logs warn of beside a failure."""
    report = yield
    if report.failed:
        report.sections += trouble.told()
    return report


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """The gateway that most tests share. Tests make their own objects and count on no others."""
    with data_folder() as data_dir, start_gateway(data_dir, TEST_CONFIG) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def own_gateway() -> Iterator[Callable[..., Gateway]]:
    """Starts gateways that a module may break; whatever still runs is stopped behind it."""
    with ExitStack() as started:

        def start(config: dict[str, Any] | None = None, data_dir: Path | None = None) -> Gateway:
            folder = data_dir or started.enter_context(data_folder())
            return started.enter_context(start_gateway(folder, config or TEST_CONFIG))

        yield start


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The official client on the shared gateway."""
    with gateway.openai() as official:
        yield official


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    """A plain HTTP client on the shared gateway, with the master key."""
    with gateway.http() as plain:
        yield plain

"""A whole gateway per test session: the real Envoy, PostgreSQL, server and worker, started as a user starts them."""

from __future__ import annotations

import functools
import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

# Read as gRPC is imported. Its handlers of forks crash one in some hundred processes that are forked beside its
# threads, as those of another account are.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import botocore.loaders
import grpc
import httpx
import httpx2
import hypothesis
import openai
import pytest
import yaml

from tests import trouble
from tests.api_document import judge
from tests.database_template import copy_of_database
from tests.together import Together, end_what_was_shared, shared

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Told to keep no bytecode, every process of every gateway would compile all that it imports: three seconds of processor
# time each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def read_certificates_once(transports: Any) -> None:
    """Let all clients of an HTTP library share what they trust: each would read the certificates anew, 40 ms of
    processor time, more than most tests take."""
    make = transports.create_ssl_context

    @functools.cache
    def shared(trust_env: bool, *_: str | None) -> ssl.SSLContext:
        context: ssl.SSLContext = make(verify=True, trust_env=trust_env)
        return context

    def create(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is True and cert is None:
            return shared(trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        context: ssl.SSLContext = make(verify=verify, cert=cert, trust_env=trust_env)
        return context

    transports.create_ssl_context = create


read_certificates_once(httpx._transports.default)
read_certificates_once(httpx2._transports.default)
# For the same reason: each of Amazon's clients would read the models of its services anew.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)
MASTER_KEY = "sk-test-master-key"
# The machine may be a slow one with more to do: times are told by benchmarks, and only a hang fails a test.
START_S = 120
# What is drawn is the same in every run, so that a change is red for what it changed. `poe soak` draws anew.
hypothesis.settings.register_profile("drawn_once", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("drawn_anew", deadline=None)
hypothesis.settings.load_profile("drawn_once")
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
        """A client that sends the master key, and holds what is answered against the OpenAPI document."""
        return httpx.Client(
            base_url=self.url, headers=self.auth, timeout=120, event_hooks={"response": [judge]}, **options
        )

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
    with_database(data_dir)
    return _started(data_dir, config, port)


def with_database(data_dir: Path) -> None:
    """Copy a database that was made before, where the data dir has none yet."""
    if not (data_dir / "postgres").exists():
        copy_of_database(data_dir / "postgres", _database)


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    """Where files are spread over workers, keep those together that share a gateway."""
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without collecting garbage: modules and tests stay for good, and walking them again and again is a
    quarter of what their collection takes, in every worker."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure() -> None:
    """Let Ctrl-C end what tests start: a job in a shell's background ignores it, and what it starts inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Note where the logs end, so that a report shows what came in its test."""
    trouble.begin_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Behind the last test of a group, end what its files share."""
    try:
        return (yield)
    finally:
        end_what_was_shared(item, nextitem)


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
def pair() -> Gateway:
    """A gateway with two server processes, of which a test may kill one."""
    return shared.of("pair", _two_servers)


@contextmanager
def _two_servers() -> Iterator[Gateway]:
    config = {
        **TEST_CONFIG,
        "server": {"api_processes": 2, "shutdown_s": 60},
        "handles": {"public_url": "https://a.example/"},
    }
    with data_folder() as data_dir, start_gateway(data_dir, config) as running:
        yield running


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. For a module: as long as it is there, Playwright has an event loop in this thread, in which
    no asynchronous test can run."""
    from tests.chromium.browser import chromium

    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may show no error."""
    from tests.chromium.browser import quiet_page

    with quiet_page(browser) as shown:
        yield shown


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    """A plain HTTP client on the shared gateway, with the master key."""
    with gateway.http() as plain:
        yield plain

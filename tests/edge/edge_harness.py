"""A real Envoy in front of scripted gRPC servers, and the clients that look at it from outside."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from mediagate.envoy.render import EdgeSettings, envoy_arguments, render_config

HERE = Path(__file__).resolve().parent
ORIGIN = "https://app.example"
CONNECTION_REFUSED = 7
PARTIAL_FILE = 18
HTTP2_STREAM_ERROR = 92


def envoy_program() -> str:
    """The binary inside the wheel; its console script is a parent process that a signal does not reach through."""
    spec = importlib.util.find_spec("envoy")
    assert spec is not None
    assert spec.submodule_search_locations
    return str(Path(spec.submodule_search_locations[0]) / "_bin" / "envoy")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(done: Callable[[], bool], what: str, within_s: float = 40.0) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


def script(**members: Any) -> dict[str, str]:
    """The request header that tells the stub what to do."""
    return {"x-stub": json.dumps(members)}


def failing(code: str, message: str = "", **trailing: str) -> dict[str, Any]:
    """An abort for a script; underscores in the names of trailing metadata become hyphens."""
    return {"code": code, "message": message, "trailing": {k.replace("_", "-"): v for k, v in trailing.items()}}


def call_seen(headers: Any) -> dict[str, Any]:
    """What the stub says it was asked."""
    return dict(json.loads(headers["x-stub-call"]))


@dataclass
class Reply:
    """What curl or a raw socket got."""

    exit_code: int
    status: int
    headers: dict[str, str]
    body: bytes

    def error(self) -> dict[str, Any]:
        """The envelope, which must be complete."""
        return envelope(self.body)


def envelope(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    assert set(document) == {"error"}
    error = document["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return dict(error)


def parse_reply(exit_code: int, data: bytes) -> Reply:
    """The last response in `data`: one behind an interim 100 counts."""
    status, headers, body = 0, {}, data
    while body.startswith(b"HTTP/"):
        head, _, body = body.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if status >= 200:
            break
    return Reply(exit_code, status, headers, body)


@dataclass
class Stub:
    """One scripted server."""

    target: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.stop()
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "stub_server.py"), self.target], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def drain(self) -> None:
        """Begin to shut down; the process goes when its calls are done."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)


@dataclass
class Edge:
    """Envoy with its stubs in a folder of its own."""

    servers: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A short path: a unix socket's may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="edge-"))
        self.port = free_port()
        self.stubs = [Stub(f"unix:{self.folder}/api-{number}.sock") for number in range(self.servers)]
        self.settings = EdgeSettings(
            listen_host="127.0.0.1",
            listen_port=self.port,
            api_targets=[stub.target for stub in self.stubs],
            admin_socket=f"{self.folder}/admin.sock",
            **{"cors_allowed_origins": [ORIGIN], "access_log_min_status": 0, **self.options},
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "envoy.log").read_text()

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def start(self) -> None:
        for stub in self.stubs:
            stub.start()
        self.start_envoy()
        eventually(lambda: self.get("/readyz").status == 200, "ready")

    def start_envoy(self) -> None:
        config = self.folder / "envoy.yaml"
        config.write_text(render_config(self.settings))
        with (self.folder / "envoy.log").open("ab") as log:
            self.process = subprocess.Popen(
                [envoy_program(), *envoy_arguments(self.settings, str(config))], stdout=log, stderr=log
            )
        eventually(self.listens, "Envoy listens")

    def listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        for stub in self.stubs:
            stub.stop()
        shutil.rmtree(self.folder)

    def rss_mib(self) -> float:
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def connections(self, stub: Stub) -> int:
        """How many Envoy holds to a server, or takes itself to hold."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=self.settings.admin_socket)) as admin:
            lines = admin.get("http://envoy/clusters").text.splitlines()
        path = stub.target.removeprefix("unix:")
        return sum(int(line.rpartition("::")[2]) for line in lines if f"{path}::cx_active::" in line)

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=10, **options)

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def get(self, path: str, headers: dict[str, str] | None = None, *more: str) -> Reply:
        return self.curl(path, *more, headers=headers)

    def curl(self, path: str, *arguments: str, headers: dict[str, str] | None = None, timeout_s: float = 10) -> Reply:
        """curl's view; --path-as-is, so that it changes nothing."""
        command = ["curl", "--silent", "--include", "--path-as-is", "--max-time", str(timeout_s), *arguments]
        for name, value in (headers or {}).items():
            command += ["--header", f"{name}: {value}"]
        done = subprocess.run([*command, self.url + path], capture_output=True, check=False)
        return parse_reply(done.returncode, done.stdout)

    def raw(self, data: bytes, timeout_s: float = 5.0) -> Reply:
        """Send bytes on a connection and read one response with a content-length."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(data)
            received = b""
            while piece := connection.recv(1 << 16):
                received += piece
                reply = parse_reply(0, received)
                if len(reply.body) == int(reply.headers.get("content-length", -1)):
                    break
        return parse_reply(0, received)

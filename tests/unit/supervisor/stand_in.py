"""Stand-ins for the server's programs, for the supervisor's tests: `python stand_in.py ROLE ARGUMENTS`."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def wait_for_sigterm(then_s: float = 0.0) -> None:
    """Sleep until SIGTERM, go on for `then_s`, exit with 0."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("up", flush=True)
    while not ended.wait(0.05):
        pass
    time.sleep(then_s)
    sys.exit(0)


def api(listen: str, drain_s: str = "0") -> None:
    """Listen on a unix socket, then finish `drain_s` seconds after SIGTERM."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(listen.removeprefix("unix:"))
    listener.listen()
    wait_for_sigterm(float(drain_s))


def edge(port: str) -> None:
    """Answer every GET with 200; SIGTERM ends it at once, as it ends Envoy."""

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Ready)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


def migrate() -> None:
    """Prove that the database is there."""
    import psycopg

    with psycopg.connect(os.environ["MEDIAGATE_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO kept DEFAULT VALUES")


def say(sentence: str, code: str) -> None:
    """Say something on stderr and exit."""
    print(sentence, file=sys.stderr)
    sys.exit(int(code))


def stubborn() -> None:
    """Ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    while True:
        time.sleep(1)


def parent(pid_file: str) -> None:
    """Start a process of one's own, then wait for SIGTERM."""
    child = subprocess.Popen(["sleep", "600"])
    Path(pid_file).write_text(str(child.pid))
    wait_for_sigterm()


def tell_environment(file: str) -> None:
    """Write down the environment, then wait for SIGTERM."""
    Path(file).write_text(json.dumps(dict(os.environ)))
    wait_for_sigterm()


ROLES: dict[str, Callable[..., None]] = {
    "api": api,
    "edge": edge,
    "migrate": migrate,
    "parent": parent,
    "say": say,
    "stubborn": stubborn,
    "tell_environment": tell_environment,
    "worker": wait_for_sigterm,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])

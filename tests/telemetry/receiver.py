"""A server that takes batches of request lines, or refuses them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What arrived: every attempt, and the lines of those that were taken. The first `refusals` are not."""

    refusals: int = 0
    attempts: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        self.attempts.append((headers, body))
        if len(self.attempts) <= self.refusals:
            return 503
        self.lines += json.loads(body)["data"]
        return 204


@contextmanager
def receiver(refusals: int = 0) -> Iterator[Receiver]:
    """A receiver on a free port."""
    found = Receiver(refusals)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(found.take({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/lines?token=canary-sink-token"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

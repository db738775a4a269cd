"""A provider that fails in every way, and says secrets in each of them."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUSES = (500, 401, 429, 404, 503, 403, 200, 0, 422, 302)
"""One after the other; 0 breaks the connection, 200 is no JSON."""


@contextmanager
def indiscreet_provider(secret: str) -> Iterator[str]:
    """Its base URL. `secret` is in the body and in the headers of every answer."""
    turns = itertools.cycle(STATUSES)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            status = next(turns)
            if status == 0:
                self.close_connection = True
                return
            # What it says of a refusal is told to the caller, who may know the reason, so there it says nothing.
            said = "no" if status == 422 else f"the key {secret} failed, see https://x.test/log?sig={secret}"
            body = json.dumps({"error": {"message": said}}).encode() if status != 200 else secret.encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-debug", secret)
            if status == 302:
                self.send_header("location", f"http://{self.headers['host']}/elsewhere?signature={secret}")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _answer

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A server that takes webhooks, and says what each test tells it to say."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import openai

from tests.conftest import TEST_CONFIG, free_port

Json = dict[str, Any]
RECEIVER_PORT, LATE_PORT, FORBIDDEN_PORT = free_port(), free_port(), free_port()
TIMEOUT_S = 2.0
CONFIG: Json = {
    **TEST_CONFIG,
    "net": {
        "allow_http": True,
        "allowed_hosts": [f"127.0.0.1:{RECEIVER_PORT}", f"127.0.0.1:{LATE_PORT}"],
    },
    "webhooks": {"retry_wait_s": 0.3, "retry_wait_s_max": 2, "timeout_s": TIMEOUT_S, "endpoints_max": 75},
}


@dataclass(frozen=True)
class Answer:
    """What the receiver says. `stalls_s` passes before the head, `endless` is a body that does not end."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    stalls_s: float = 0.0
    endless: bool = False


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> Json:
        """The event in it."""
        tree: Json = json.loads(self.body)
        return tree


class Receiver:
    """Listens on a port. Every path has its own answers: one for each request, the last for all that follow."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[Received] = []
        self.busiest: dict[str, int] = {}
        self._busy: dict[str, int] = {}
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self.closing = threading.Event()

    def new_url(self, *answers: Answer | int) -> str:
        """A path that nobody else has."""
        path = f"/hooks/{next(self._numbers)}"
        self.say(path, *answers)
        return f"http://127.0.0.1:{self.port}{path}"

    def say(self, url: str, *answers: Answer | int) -> None:
        """Answer requests to a path so from now on."""
        path = url.removeprefix(f"http://127.0.0.1:{self.port}")
        with self._lock:
            self._answers[path] = [Answer(one) if isinstance(one, int) else one for one in answers] or [Answer()]

    def to(self, url: str, data_id: str | None = None) -> list[Received]:
        """What came to a path, about one object where it is named."""
        path = url.removeprefix(f"http://127.0.0.1:{self.port}")
        with self._lock:
            found = [one for one in self.requests if one.path == path]
        return [one for one in found if data_id is None or one.event["data"]["id"] == data_id]

    def wait_for(self, url: str, count: int = 1, data_id: str | None = None, timeout_s: float = 15) -> list[Received]:
        """What came to a path, once that are `count` requests at least."""
        wait_until(lambda: len(self.to(url, data_id)) >= count, timeout_s, f"{count} requests to {url}")
        return self.to(url, data_id)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        path = handler.path
        with self._lock:
            self.requests.append(
                Received(path, {k.lower(): v for k, v in handler.headers.items()}, body, time.monotonic())
            )
            answers = self._answers.get(path, [Answer(404)])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self._busy[path] = self._busy.get(path, 0) + 1
            self.busiest[path] = max(self.busiest.get(path, 0), self._busy[path])
        try:
            self.closing.wait(answer.stalls_s)
            with contextlib.suppress(OSError):
                _answer(handler, answer, self.closing)
        finally:
            with self._lock:
                self._busy[path] -= 1

    def give(self, handler: BaseHTTPRequestHandler) -> None:
        """Content that is shorter than it says."""
        with contextlib.suppress(OSError):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b"not so much")

    @contextlib.contextmanager
    def serving(self) -> Iterator[Receiver]:
        """Serve until the block ends."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self)

            def do_GET(self) -> None:
                receiver.give(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                """A client that goes away is no error here."""

        with Server(("127.0.0.1", self.port), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,)).start()
            try:
                yield self
            finally:
                self.closing.set()
                server.shutdown()


def _answer(handler: BaseHTTPRequestHandler, answer: Answer, closing: threading.Event) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if not answer.endless:
        handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    handler.wfile.write(answer.body)
    while answer.endless and not closing.is_set():
        handler.wfile.write(b"y" * 65536)


def wait_until(holds: Callable[[], object], timeout_s: float, what: str) -> None:
    """Return once it holds."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


def deliveries(http: httpx.Client, endpoint_id: str, **query: Any) -> list[Json]:
    """The log of an endpoint, newest first."""
    response = http.get(f"/v1/webhook_endpoints/{endpoint_id}/deliveries", params=query)
    assert response.status_code == 200, response.text
    data: list[Json] = response.json()["data"]
    return data


def delivery(http: httpx.Client, endpoint_id: str, state: str, timeout_s: float = 15) -> Json:
    """The one delivery of an endpoint, once it is in a state."""
    wait_until(lambda: [one["state"] for one in deliveries(http, endpoint_id)] == [state], timeout_s, state)
    return deliveries(http, endpoint_id)[0]


def upload(sdk: openai.OpenAI, content: bytes = b"hello") -> str:
    """A new file."""
    return sdk.files.create(file=("a.txt", content), purpose="user_data").id


def subscribe(sdk: openai.OpenAI, url: str, *types: str, **more: Any) -> Any:
    """A new endpoint, by the official client; types of ours are not in its types."""
    wanted: Any = list(types)
    return sdk.webhooks.create(name="test", url=url, event_types=wanted, extra_body=more or None)


def verified(sdk: openai.OpenAI, request: Received, secret: str) -> Any:
    """The event, as the official client unwraps it. Raises what it raises for a wrong signature."""
    return sdk.webhooks.unwrap(request.body, request.headers, secret=secret)

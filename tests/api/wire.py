"""What tests of the API share: forms and requests byte by byte, replies as they came, and a look behind the API."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import procrastinate
import psycopg

from tests.conftest import Gateway

BOUNDARY = "7MA4YWxkTrZu0gW"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
CLOSING = f"--{BOUNDARY}--\r\n".encode()
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
NOBODYS_FILE = "file-01jd0000000000000000000000"
NOBODYS_UPLOAD = "upload_01jd0000000000000000000000"
NOBODYS_PART = "part_01jd0000000000000000000000"

# What must never be in a body: tracebacks, classes of exceptions, SQL, paths of the machine, sockets and hosts.
LEAKS = re.compile(
    rb"Traceback|File \\?\"|\.py\b|line \d+, in|[a-z]+(?:Error|Exception)\b(?!\"?,)|<class |psycopg|sqlalchemy|"
    rb"asyncpg|procrastinate|\bSELECT\b|\bINSERT\b|\bUPDATE .* SET\b|/tmp/|/home/|/usr/|/root/|\.venv|\.sock|unix:|"
    rb"127\.0\.0\.1|localhost|0\.0\.0\.0|upstream|envoy|grpc|postgres",
    re.IGNORECASE,
)


def field(name: str, value: str | bytes, content_type: str = "") -> bytes:
    """A part of a form without a file name."""
    return _part(f'name="{name}"', value if isinstance(value, bytes) else value.encode(), content_type)


def file_part(
    data: bytes, filename: str | bytes = "a.txt", name: str = "file", content_type: str = "application/octet-stream"
) -> bytes:
    """A part of a form with a file name, which stands in the header exactly as given."""
    quoted = filename if isinstance(filename, bytes) else filename.encode()
    return _part(f'name="{name}"; filename="'.encode() + quoted + b'"', data, content_type)


def _part(disposition: str | bytes, data: bytes, content_type: str) -> bytes:
    said = disposition if isinstance(disposition, bytes) else disposition.encode()
    header = b"--" + BOUNDARY.encode() + b"\r\nContent-Disposition: form-data; " + said + b"\r\n"
    if content_type:
        header += f"Content-Type: {content_type}\r\n".encode()
    return header + b"\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + CLOSING


def post_form(
    http: httpx.Client, *parts: bytes, path: str = "/v1/files", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send a form of these parts."""
    return http.post(path, content=form(*parts), headers={"content-type": FORM_TYPE, **(headers or {})})


@dataclass(frozen=True)
class Reply:
    """An HTTP/1.1 reply as it came off the socket; `whole` tells whether it ended as its headers promised."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool

    def json(self) -> Any:
        return json.loads(self.body)


def request_head(gateway: Gateway, method: str, path: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The head of a request with the master key, ready for more bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: gateway.test", f"authorization: Bearer {gateway.key}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextlib.contextmanager
def connected(gateway: Gateway, timeout_s: float = 60) -> Iterator[socket.socket]:
    """A TCP connection to the edge."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def reset(connection: socket.socket) -> None:
    """Close with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def exchange(gateway: Gateway, data: bytes, *, half_close: bool = False) -> Reply | None:
    """Send bytes and read one reply; None where the connection ends without one."""
    with connected(gateway) as connection:
        # An early refusal may close the connection while bytes are still on their way.
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return read_reply(connection)


def read_reply(connection: socket.socket) -> Reply | None:
    """Read one reply, past any `100 Continue`; None where there is none."""
    head = body = b""
    while not head or head.startswith(b"HTTP/1.1 100"):
        received = body
        with contextlib.suppress(ConnectionError):
            while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
                received += data
        head, separator, body = received.partition(b"\r\n\r\n")
        if not separator:
            return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    with contextlib.suppress(ConnectionError):
        while len(body) < length and (data := connection.recv(65536)):
            body += data
    return Reply(int(first.split()[1]), headers, body, whole=len(body) == length)


def assert_failure(
    response: httpx.Response | Reply,
    status: int,
    *,
    code: str | None = None,
    kind: str = "invalid_request_error",
    param: str | None = None,
    retry: str | None = "false",
) -> str:
    """Check everything that every failure promises; returns its message."""
    status_code = response.status if isinstance(response, Reply) else response.status_code
    content = response.body if isinstance(response, Reply) else response.content
    assert status_code == status, content[:500]
    tree = json.loads(content)
    assert list(tree) == ["error"]
    assert set(tree["error"]) == {"message", "type", "param", "code"}
    error = tree["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, param), error
    assert len(content) < 2048, "a failure is short, whatever was sent"
    assert not LEAKS.search(content), LEAKS.findall(content)
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["content-length"]) == len(content)
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-request-id"])
    assert re.fullmatch(r"\d+", response.headers["openai-processing-ms"])
    assert response.headers.get("x-should-retry") == retry
    assert not [name for name in response.headers if name.startswith(("grpc-", "x-envoy", "x-openai-error", "x-edge"))]
    return str(error["message"])


def eventually(done: Callable[[], object], what: str, timeout_s: float = 60) -> None:
    """Wait until `done()` is true."""
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def stored(gateway: Gateway) -> set[Path]:
    """Every file below the store's folder, temporary ones among them."""
    found = set()
    for path in (gateway.data_dir / "files").rglob("*"):
        if path.is_file():
            found.add(path)
    return found


def sql(gateway: Gateway, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run one statement behind the API's back."""
    with psycopg.connect(gateway.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def sweep(gateway: Gateway) -> None:
    """Have the worker sweep now; by itself it does so every ten seconds."""
    queue = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=gateway.database_url))
    with queue.open(), contextlib.suppress(procrastinate.exceptions.AlreadyEnqueued):
        queue.configure_task("maintenance.sweep", queueing_lock="sweep", lock="sweep").defer(timestamp=0)


def unfinished(gateway: Gateway) -> list[tuple[Any, ...]]:
    """Rows of files that are still being received."""
    return sql(gateway, "SELECT id, state FROM file WHERE state NOT IN ('processed', 'deleting')")


LATE_S = 0.3


@contextlib.contextmanager
def leaving_nothing(gateway: Gateway) -> Iterator[None]:
    """Whatever is done in this block leaves no byte in the store, no file in the list and no open row."""
    bytes_before, rows_before = stored(gateway), _rows(gateway)
    yield

    def left() -> set[object]:
        return (stored(gateway) - bytes_before) | (_rows(gateway) - rows_before) | set(unfinished(gateway))

    eventually(lambda: not left(), "nothing is left")
    # The server may hear of a connection that was cut only now.
    time.sleep(LATE_S)
    eventually(lambda: not left(), "nothing is left")


def _rows(gateway: Gateway) -> set[object]:
    return set(sql(gateway, "SELECT id FROM file WHERE state = 'processed' UNION ALL SELECT id FROM upload_part"))

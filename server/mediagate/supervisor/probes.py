"""Small questions to running servers, asked over plain sockets so that the supervisor stays small."""

from __future__ import annotations

import re
import socket
from typing import Final

ANSWER_BYTES_MAX: Final = 1024 * 1024
_ACTIVE: Final = re.compile(rb"^http\.(?!admin\.)[^\s:]*\.downstream_rq_active: (\d+)", re.MULTILINE)


def answers_ready(host: str, port: int) -> bool:
    """Whether GET /readyz answers 200."""
    try:
        with socket.create_connection((reachable(host), port), timeout=1.0) as connection:
            return _get(connection, "/readyz", b"\r\n").split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


def takes_connections(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((reachable(host), port), timeout=1.0).close()
    except OSError:
        return False
    return True


def active_requests(admin_socket: str) -> int:
    """Requests that Envoy is still carrying. An Envoy that does not answer carries none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(admin_socket)
            answer = _get(connection, "/stats?filter=downstream_rq_active", b"\r\n0\r\n\r\n")
    except OSError:
        return 0
    return sum(int(count) for count in _ACTIVE.findall(answer))


def reachable(host: str) -> str:
    """An address to reach a server at that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _get(connection: socket.socket, path: str, end: bytes) -> bytes:
    """The answer up to `end`. Envoy closes a connection a second after its answer, so waiting for that is too slow."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = b""
    while end not in answer and len(answer) < ANSWER_BYTES_MAX and (piece := connection.recv(65536)):
        answer += piece
    return answer

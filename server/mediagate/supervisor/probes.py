"""Small questions to running servers, asked over plain sockets so that the supervisor stays small."""

from __future__ import annotations

import re
import socket
from typing import Final

ANSWER_BYTES_MAX: Final = 1024 * 1024
# A request counts as done while its last bytes still wait for a slow reader, hence the second gauge.
_BUSY: Final = re.compile(
    rb"^http\.(?!admin\.)[^\s:]*\.downstream_(?:rq_active|cx_tx_bytes_buffered): ([1-9]\d*)", re.MULTILINE
)
_BUSY_PATH: Final = "/stats?filter=downstream_%28rq_active%7Ccx_tx_bytes_buffered%29"


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


def carries_anything(admin_socket: str) -> bool:
    """Whether Envoy has a request or bytes of an answer under way. One that is gone has none; one that takes its time
    over this question may."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(admin_socket)
            answer = _get(connection, _BUSY_PATH, b"\r\n0\r\n\r\n")
    except TimeoutError:
        return True
    except OSError:
        return False
    return _BUSY.search(answer) is not None


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

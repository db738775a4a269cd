"""Memory does not grow with the size of what passes through."""

from __future__ import annotations

import concurrent.futures
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.wire import FORM_TYPE, connected, field, file_part, form, request_head
from tests.conftest import TEST_CONFIG, Gateway

MIB = 1 << 20
PIECE = os.urandom(MIB)
LARGE = 300
PARALLEL = 16


@pytest.fixture(scope="module")
def stack(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that only this module uses, and that has done everything once."""
    gateway = own_gateway(TEST_CONFIG)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for file_id in pool.map(lambda _: upload(gateway, 4), range(4)):
            assert download(gateway, file_id) == 4 * MIB
    return gateway


class Growth:
    """By how many MiB a process has grown at its highest."""

    mib = 0.0


@contextmanager
def growth_of(pid: int) -> Iterator[Growth]:
    """Measure what happens in this block."""
    grown = Growth()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = memory_kib(pid, "VmRSS")
    yield grown
    grown.mib = (memory_kib(pid, "VmHWM") - before) / 1024


def memory_kib(pid: int, name: str) -> int:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def upload(gateway: Gateway, size_mib: int) -> str:
    """Send a file of so many MiB as fast as it goes; returns its id."""
    head, _, tail = form(field("purpose", "user_data"), file_part(b"HERE")).partition(b"HERE")

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(size_mib):
            yield PIECE
        yield tail

    headers = {"content-type": FORM_TYPE, "content-length": str(len(head) + size_mib * MIB + len(tail))}
    with gateway.http() as http:
        reply = http.post("/v1/files", content=body(), headers=headers)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def download(gateway: Gateway, file_id: str) -> int:
    """Read a file and throw it away; returns its size."""
    with gateway.http() as http, http.stream("GET", f"/v1/files/{file_id}/content") as reply:
        assert reply.status_code == 200
        return sum(len(piece) for piece in reply.iter_raw(MIB))


def test_a_large_file_passes_in_and_out_in_small_pieces(stack: Gateway) -> None:
    with growth_of(stack.child("api-0")) as grown:
        file_id = upload(stack, LARGE)
    assert grown.mib < 48
    with growth_of(stack.child("api-0")) as grown:
        assert download(stack, file_id) == LARGE * MIB
    assert grown.mib < 48


def test_uploads_at_once_need_little_memory_each(stack: Gateway) -> None:
    with growth_of(stack.child("api-0")) as grown, concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        assert len(set(pool.map(lambda _: upload(stack, 16), range(PARALLEL)))) == PARALLEL
    assert grown.mib < 12 * PARALLEL + 32


def test_readers_that_stand_still_are_not_read_ahead_for(stack: Gateway) -> None:
    """Each has room for some KiB; the file is larger than all that may be held for all of them."""
    file_id = upload(stack, LARGE)
    idle: list[socket.socket] = []
    try:
        with growth_of(stack.child("api-0")) as grown:
            for _ in range(PARALLEL):
                connection = socket.socket()
                idle.append(connection)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", stack.port))
                connection.sendall(request_head(stack, "GET", f"/v1/files/{file_id}/content"))
            for connection in idle:
                connection.settimeout(20)
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
            # While they stand still, others are served.
            for _ in range(20):
                assert httpx.get(f"{stack.url}/v1/files/{file_id}", headers=stack.auth).status_code == 200
            assert download(stack, file_id) == LARGE * MIB
        assert grown.mib < 12 * PARALLEL + 32
    finally:
        for connection in idle:
            connection.close()


def test_a_sender_that_stands_still_holds_little(stack: Gateway) -> None:
    """An upload that announces much and sends a little takes what it sent, not what it announced."""
    head = [("content-type", FORM_TYPE), ("content-length", str(LARGE * MIB))]
    start = form(field("purpose", "user_data"), file_part(b"HERE")).partition(b"HERE")[0]
    with growth_of(stack.child("api-0")) as grown, concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:

        def begin(_: int) -> None:
            with connected(stack) as connection:
                connection.sendall(request_head(stack, "POST", "/v1/files", head) + start + PIECE)

        list(pool.map(begin, range(PARALLEL)))
    assert grown.mib < 12 * PARALLEL + 32

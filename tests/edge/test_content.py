"""Bytes on their way out: lengths, ranges, validators, broken downloads, server-sent events."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx
import pytest
from edge_harness import HTTP2_STREAM_ERROR, PARTIAL_FILE, Edge, script

PROTOCOLS = ["--http1.1", "--http2-prior-knowledge"]
FILE = "/v1/files/file-1/content"
POISON = "poison"


def content(size: int, sent: list[int], **members: Any) -> dict[str, str]:
    return script(initial={"x-content-length": str(size)}, chunks=[{"zeros": count} for count in sent], **members)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("sizes", [[0], [1], [0, 3_000_000], [1_000_000, 1_500_000, 7]])
def test_a_download_has_its_length(edge: Edge, sizes: list[int], protocol: str) -> None:
    reply = edge.curl(FILE, protocol, headers=content(sum(sizes), sizes, content_type="video/mp4"))
    assert (reply.exit_code, reply.status, len(reply.body)) == (0, 200, sum(sizes))
    assert {"content-length": str(sum(sizes)), "content-type": "video/mp4"}.items() <= reply.headers.items()
    assert "transfer-encoding" not in reply.headers
    assert "connection" not in reply.headers


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("sizes", "known_length"), [([100_000], True), ([1_000_000, 500_000], False), ([0], False)])
def test_a_poisoned_download_is_broken_for_the_client(
    edge: Edge, sizes: list[int], known_length: bool, protocol: str
) -> None:
    headers = content(2_000_000, sizes, then=POISON)
    if not known_length:
        headers = script(chunks=[{"zeros": count} for count in sizes], then=POISON)
    reply = edge.curl(FILE, protocol, headers=headers)
    broken = {"--http1.1": PARTIAL_FILE, "--http2-prior-knowledge": HTTP2_STREAM_ERROR}[protocol]
    assert reply.exit_code == broken


def test_a_poisoned_download_is_broken_for_httpx(edge: Edge) -> None:
    with edge.client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(FILE, headers=content(2_000_000, [1_000_000], then=POISON))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_poison_before_the_first_byte_is_no_success(edge: Edge, protocol: str) -> None:
    reply = edge.curl(FILE, protocol, headers=content(9, [], then=POISON))
    assert reply.exit_code != 0
    assert reply.status == 0


def test_downloads_keep_the_connection(edge: Edge) -> None:
    """To close behind each download would also show a failure, at the cost of a new connection for each."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        for _ in range(3):
            stub = content(3, [3])["x-stub"]
            connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\nx-stub: {stub}\r\n\r\n".encode())
            received = b""
            while not received.endswith(b"\0\0\0"):
                piece = connection.recv(1 << 16)
                assert piece
                received += piece


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_partial_content(edge: Edge, protocol: str) -> None:
    initial = {
        "x-content-length": "3",
        "x-http-status": "206",
        "content-range": "bytes 1-3/10",
        "etag": '"abc"',
        "accept-ranges": "bytes",
        "content-disposition": 'attachment; filename="a.mp4"',
        "cache-control": "private, no-cache",
    }
    reply = edge.curl(
        FILE, protocol, headers=script(initial=initial, chunks=[{"text": "bcd"}], content_type="video/mp4")
    )
    assert (reply.status, reply.body) == (206, b"bcd")
    expected = {name: value for name, value in initial.items() if not name.startswith("x-")} | {"content-length": "3"}
    assert expected.items() <= reply.headers.items()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("chunks", [[], [{"text": ""}]])
def test_not_modified_has_no_body(edge: Edge, chunks: list[dict[str, str]], protocol: str) -> None:
    initial = {"x-http-status": "304", "etag": '"abc"', "x-content-length": "10"}
    reply = edge.curl(FILE, protocol, headers=script(initial=initial, chunks=chunks))
    assert (reply.exit_code, reply.status, reply.body) == (0, 304, b"")
    assert reply.headers["etag"] == '"abc"'
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("path", [FILE, "/videos/video_1/content"])
def test_head_tells_the_length(edge: Edge, path: str, protocol: str) -> None:
    initial = {"x-content-length": "8589934592", "accept-ranges": "bytes", "etag": '"abc"'}
    reply = edge.curl(path, protocol, "--head", headers=script(initial=initial, content_type="video/mp4"))
    assert (reply.exit_code, reply.status, reply.body) == (0, 200, b"")
    expected = {"content-length": "8589934592", "content-type": "video/mp4", "accept-ranges": "bytes"}
    assert expected.items() <= reply.headers.items()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_failure_before_the_first_byte_has_its_own_status(edge: Edge, protocol: str) -> None:
    failure = {"code": "OUT_OF_RANGE", "trailing": {"x-http-status": "416", "content-range": "bytes */10"}}
    reply = edge.curl(FILE, protocol, headers=script(abort=failure))
    assert (reply.exit_code, reply.status, reply.headers["content-range"]) == (0, 416, "bytes */10")
    assert reply.error()["type"] == "invalid_request_error"


def test_a_late_failure_says_nothing_in_http2_trailers(edge: Edge) -> None:
    failure = {"code": "INTERNAL", "message": "secret", "trailing": {"x-openai-error": "secret"}}
    reply = edge.curl(FILE, "--http2-prior-knowledge", headers=script(chunks=[{"text": "ab"}], then=failure))
    assert reply.body == b"ab"


def test_events_arrive_as_they_are_written(edge: Edge) -> None:
    waits = [0.0, 1.5, 1.5]
    chunks = [
        {"text": "", "wait": 0.2},
        *({"text": f"id: {n}\ndata: {{}}\n\n", "wait": w} for n, w in enumerate(waits)),
    ]
    members = {"initial": {"cache-control": "no-cache"}, "chunks": chunks, "content_type": "text/event-stream"}
    asked = time.monotonic()
    with edge.client() as client, client.stream("GET", "/v1/videos/v/events", headers=script(**members)) as reply:
        headers_after = time.monotonic() - asked
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.headers["cache-control"] == "no-cache"
        assert "content-length" not in reply.headers
        arrivals = [time.monotonic() - asked for piece in reply.iter_raw() if piece.startswith(b"id")]
    # The empty first message sends the headers before there is an event.
    assert 0.2 <= headers_after < 1.7
    written = [0.2, 1.7, 3.2]
    assert all(at <= arrival < at + 1.5 for at, arrival in zip(written, arrivals, strict=True))


def test_a_client_that_goes_ends_the_call(edge: Edge) -> None:
    """And leaves the edge as it was."""
    with edge.client() as client, client.stream("GET", "/diagnostics/zeros?bytes=17179869184") as reply:
        next(reply.iter_raw())
    before = edge.rss_mib()
    assert edge.get("/livez").status == 200
    assert edge.rss_mib() < before + 32


def test_clients_that_do_not_read_stop_nobody_else(edge: Edge) -> None:
    """Their bytes are more than a connection's usual 16 MiB window to the server would hold."""
    idle = []
    try:
        for _ in range(48):
            connection = socket.create_connection(("127.0.0.1", edge.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /diagnostics/zeros?bytes=1073741824 HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.append(connection)
        time.sleep(0.7)
        before = time.monotonic()
        for _ in range(20):
            assert edge.get("/v1/files/file-1").status == 200
        assert time.monotonic() - before < 16
    finally:
        for connection in idle:
            connection.close()

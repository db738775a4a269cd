"""Bytes on their way in: early refusals, limits, time-outs, and what the edge holds meanwhile."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from edge_harness import Edge, call_seen, failing, parse_reply, script

MIB = 1 << 20


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 100 MiB that takes no room."""
    path: Path = tmp_path_factory.mktemp("large") / "zeros"
    with path.open("wb") as file:
        file.truncate(100 * MIB)
    return str(path)


BODY_KINDS = {
    "length": ("--upload-file", "Expect:"),
    "expect": ("--upload-file", "Expect: 100-continue"),
    "chunked": ("--upload-file", "Transfer-Encoding: chunked"),
}


def post(edge: Edge, path: str, file: str, kind: str = "length", **options: Any) -> Any:
    option, header = BODY_KINDS[kind]
    return edge.curl(path, "--request", "POST", option, file, "--header", header, **options)


@pytest.mark.parametrize("kind", list(BODY_KINDS))
def test_an_upload_of_any_kind_arrives_whole(edge: Edge, large: str, kind: str) -> None:
    reply = post(edge, "/diagnostics/count", large, kind)
    assert json.loads(reply.body) == {"bytes": 100 * MIB}


@pytest.mark.parametrize("kind", list(BODY_KINDS))
def test_a_refusal_before_the_body_is_read_arrives(edge: Edge, large: str, kind: str) -> None:
    refusal = failing("RESOURCE_EXHAUSTED", x_openai_error='{"error":{"code":"quota"}}', retry_after="9")
    reply = post(edge, "/v1/files", large, kind, headers=script(abort=refusal))
    assert (reply.exit_code, reply.status, reply.headers["retry-after"]) == (0, 429, "9")
    assert json.loads(reply.body) == {"error": {"code": "quota"}}


@pytest.mark.parametrize("kind", list(BODY_KINDS))
def test_a_refusal_in_the_middle_of_the_body_arrives(edge: Edge, large: str, kind: str) -> None:
    refusal = failing("INVALID_ARGUMENT", x_openai_error='{"error":{"code":"big"}}', x_http_status="413")
    reply = post(edge, "/v1/videos", large, kind, headers=script(read={"limit": 20 * MIB}, then=refusal))
    assert (reply.exit_code, reply.status, json.loads(reply.body)) == (0, 413, {"error": {"code": "big"}})


@pytest.mark.parametrize("kind", list(BODY_KINDS))
@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/files/x", 405), ("/v1/uploads", 413)])
def test_the_edges_own_refusal_of_a_large_body_arrives(
    edge: Edge, large: str, path: str, status: int, kind: str
) -> None:
    before = time.monotonic()
    reply = post(edge, path, large, kind)
    assert (reply.exit_code, reply.status) == (0, status)
    assert reply.error()["type"] == "invalid_request_error"
    assert time.monotonic() - before < 30


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_method_takes_a_large_body_by_the_back_door(edge: Edge, large: str, method: str) -> None:
    reply = edge.curl("/v1/files/x", "--request", method, "--upload-file", large)
    assert (reply.status, reply.error()["code"]) == (413, "payload_too_large")


def test_a_declared_length_over_the_limit_is_refused_unread(edge: Edge) -> None:
    for path in ("/v1/files", "/v1/videos", "/v1/uploads/u/parts"):
        reply = edge.raw(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000001\r\n\r\n".encode())
        assert (reply.status, reply.error()["code"]) == (413, "payload_too_large")


def test_a_json_body_may_have_its_limit_and_no_byte_more(edge: Edge, tmp_path: Path) -> None:
    body = tmp_path / "body"
    limit = edge.settings.json_request_max_bytes
    text = '{"filename":"%s"}'
    body.write_text(text % ("a" * (limit - len(text) + 2)))
    reply = edge.curl("/v1/uploads", "--data-binary", f"@{body}")
    assert (reply.status, call_seen(reply.headers)["method"]) == (200, "CreateUpload")
    body.write_text(text % ("a" * (limit - len(text) + 3)))
    assert edge.curl("/v1/uploads", "--data-binary", f"@{body}").status == 413


def test_an_upload_that_pauses_too_long_is_408(edge: Edge) -> None:
    before = time.monotonic()
    reply = edge.raw(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    assert (reply.status, reply.error()["code"]) == (408, "request_timeout")
    assert 0.9 < time.monotonic() - before < 60


def test_a_slow_but_steady_upload_goes_through(edge: Edge) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        connection.sendall(b"POST /diagnostics/count HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            time.sleep(0.4)
            connection.sendall(b"x")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_a_small_body_cannot_drip_for_ever(edge: Edge) -> None:
    """Each byte would put off an idle time-out."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        connection.settimeout(0.4)
        received = b""
        for _ in range(10):
            connection.sendall(b" ")
            try:
                received = connection.recv(1 << 16)
                break
            except TimeoutError:
                continue
    reply = parse_reply(0, received)
    assert (reply.status, reply.error()["code"]) == (408, "request_timeout")


def test_that_limit_ends_with_the_body(edge: Edge) -> None:
    assert edge.get("/v1/videos/v?wait=60", script(wait=1.4)).status == 200
    reply = edge.get("/v1/videos/v/events", script(chunks=[{"text": "a"}, {"text": "b", "wait": 1.4}]))
    assert (reply.exit_code, reply.body) == (0, b"ab")


@pytest.mark.parametrize(("path", "status"), [("/nowhere", b"404"), ("/v1/files", b"401")])
def test_over_http2_a_refusal_is_whole_and_then_the_body_is_stopped(edge: Edge, path: str, status: bytes) -> None:
    """With NO_ERROR, as RFC 9113 says. curl before 8 throws the reply away all the same (exit 92)."""
    h2 = pytest.importorskip("h2.connection")
    stub = script(abort=failing("UNAUTHENTICATED"))["x-stub"]
    headers = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"), ("x-stub", stub)]
    client = h2.H2Connection()
    client.initiate_connection()
    client.send_headers(1, [*headers, ("content-length", "5000000")])
    client.send_data(1, bytes(16_000))
    seen: dict[str, Any] = {}
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        connection.sendall(client.data_to_send())
        while "StreamReset" not in seen:
            for event in client.receive_data(connection.recv(1 << 16)):
                seen[type(event).__name__] = event
    assert dict(seen["ResponseReceived"].headers)[b":status"] == status
    assert json.loads(seen["DataReceived"].data)["error"]["message"]
    assert "StreamEnded" in seen
    assert seen["StreamReset"].error_code == 0


def test_slow_servers_do_not_fill_the_edge(edge: Edge) -> None:
    """4 uploads to servers that take 1 MiB every 0.2 s; at most 24 MiB for each is the promise."""
    piece = bytes(MIB)
    slow = script(read={"wait": 0.2})["x-stub"].encode()
    before = edge.rss_mib()
    connections = []
    try:
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", edge.port))
            head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\nx-stub: " + slow + b"\r\n\r\n"
            connection.sendall(head)
            connection.setblocking(False)
            connections.append(connection)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            for connection in connections:
                try:
                    connection.send(piece)
                except BlockingIOError:
                    time.sleep(0.002)
        assert edge.rss_mib() - before < 4 * 24
    finally:
        for connection in connections:
            connection.close()

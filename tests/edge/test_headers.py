"""Which headers cross the edge, and in which direction."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from edge_harness import ORIGIN, Edge, call_seen, eventually, failing, script

PROTOCOLS = ["--http1.1", "--http2-prior-knowledge"]
REPLIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ok": ("/v1/files/file-1", {}),
    "failed": ("/v1/files/file-1", {"abort": failing("NOT_FOUND", "secret", x_openai_error='{"error":{}}')}),
    "content": ("/v1/files/file-1/content", {"initial": {"x-content-length": "2"}, "chunks": [{"text": "ab"}]}),
    "unknown": ("/nowhere", {}),
    "alive": ("/livez", {}),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", list(REPLIES))
def test_every_reply_is_tidy(edge: Edge, name: str, protocol: str) -> None:
    path, members = REPLIES[name]
    reply = edge.curl(path, protocol, headers=script(**members))
    assert uuid.UUID(reply.headers["x-request-id"])
    assert reply.headers["openai-processing-ms"].isdecimal()
    assert "date" in reply.headers
    forbidden = (
        "grpc-",
        "x-envoy",
        "x-edge",
        "x-http-status",
        "x-content-length",
        "x-openai-error",
        "server",
        "trailer",
    )
    assert not [header for header in reply.headers if header.startswith(forbidden)]
    # HTTP/2 trailers would follow the body in curl's output.
    assert b"grpc-status" not in reply.body


def test_processing_time_is_the_servers_time(edge: Edge) -> None:
    reply = edge.get("/v1/files/file-1", script(wait=0.2))
    assert 190 <= int(reply.headers["openai-processing-ms"]) < 1000


def test_initial_metadata_become_headers(edge: Edge) -> None:
    initial = {"openai-poll-after-ms": "1500", "etag": '"a"', "x-ratelimit-remaining-requests": "9"}
    reply = edge.get("/v1/videos/video_1", script(initial={**initial, "openai-processing-ms": "77"}))
    assert {**initial, "openai-processing-ms": "77"}.items() <= reply.headers.items()


def test_clients_do_not_choose_what_the_edge_decides(edge: Edge) -> None:
    chosen = {
        "x-request-id": "chosen-by-client",
        "x-openai-error": '{"error":{}}',
        "x-http-status": "418",
        "x-content-length": "3",
        "x-edge": "1 UH GET x",
        "x-envoy-original-path": "/admin",
        "x-envoy-original-method": "HEAD",
        "x-envoy-external-address": "10.9.9.9",
        "x-envoy-internal": "true",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-retry-on": "5xx",
        "x_envoy_under": "score",
    }
    reply = edge.get("/v1/files/file-1", {**chosen, **script(wait=0.05)})
    assert reply.status == 200
    metadata = call_seen(reply.headers)["metadata"]
    assert not {"x-openai-error", "x-http-status", "x-content-length", "x_envoy_under"} & set(metadata)
    assert not {"x-envoy-internal", "x-envoy-upstream-rq-timeout-ms", "x-envoy-retry-on"} & set(metadata)
    assert metadata["x-envoy-external-address"] == "127.0.0.1"
    assert metadata["x-envoy-original-path"] == "/v1/files/file-1"
    assert metadata["x-envoy-original-method"] == "GET"
    assert uuid.UUID(metadata["x-request-id"])
    assert reply.headers["x-request-id"] == metadata["x-request-id"]


def test_a_refusal_has_the_request_id_of_the_access_log(edge: Edge) -> None:
    reply = edge.curl("/v1/uploads", "--data-binary", "{", headers={"x-request-id": "mine"})
    request_id = reply.headers["x-request-id"]
    eventually(lambda: request_id in edge.log, "logged")
    entry = next(entry for entry in edge.access_log() if entry["request_id"] == request_id)
    call = "/mediagate.v1.UploadService/CreateUpload"
    assert {"status": 400, "method": "POST", "path": call}.items() <= entry.items()


def test_the_access_log_has_no_query_and_no_headers(edge: Edge) -> None:
    reply = edge.get("/v1/files?after=canary-query", {"authorization": "Bearer canary-key"})
    eventually(lambda: reply.headers["x-request-id"] in edge.log, "logged")
    assert "canary" not in edge.log


@pytest.mark.parametrize("hops", ["1.2.3.4", "1.2.3.4, 5.6.7.8"])
def test_nobody_is_believed_about_x_forwarded_for(edge: Edge, hops: str) -> None:
    reply = edge.get("/v1/files/file-1", {"x-forwarded-for": hops, "x-forwarded-proto": "https"})
    metadata = call_seen(reply.headers)["metadata"]
    assert metadata["x-envoy-external-address"] == "127.0.0.1"
    assert metadata["x-forwarded-proto"] == "http"


def test_request_headers_that_the_server_needs_arrive(edge: Edge) -> None:
    sent = {
        "authorization": "Bearer sk-1",
        "api-key": "k",
        "idempotency-key": "i",
        "range": "bytes=0-1",
        "if-range": '"a"',
        "if-none-match": '"b"',
        "last-event-id": "4",
        "x-stainless-poll-helper": "true",
    }
    assert sent.items() <= call_seen(edge.get("/v1/files/file-1/content", sent).headers)["metadata"].items()


def test_cors_preflight(edge: Edge) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }
    reply = edge.curl("/v1/files", "--request", "OPTIONS", headers=asked)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in reply.headers["access-control-allow-methods"]
    allowed = reply.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "api-key", "content-type", "range", "x-stainless-lang"} <= set(allowed)
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("path", ["/v1/files", "/nowhere", "/v1/files/%ff"])
def test_cors_headers_are_on_replies_and_on_errors(edge: Edge, path: str) -> None:
    reply = edge.get(path, {"origin": ORIGIN})
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    exposed = set(reply.headers["access-control-expose-headers"].split(", "))
    assert {"x-request-id", "openai-processing-ms", "content-range", "etag", "retry-after"} <= exposed


def test_other_origins_get_no_cors_headers(edge: Edge) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for reply in (
        edge.get("/v1/files", asked),
        edge.curl("/v1/files", "--request", "OPTIONS", headers=asked),
        edge.get("/v1/files", {"origin": f"{ORIGIN}.evil.example"}),
    ):
        assert not [header for header in reply.headers if header.startswith("access-control-")]


def test_options_without_cors_is_a_wrong_method(edge: Edge) -> None:
    reply = edge.curl("/v1/files", "--request", "OPTIONS")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST, PUT")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_declared_length_of_a_body_reaches_the_server(edge: Edge, protocol: str) -> None:
    """The transcoder drops `content-length`, and the server must know when a body was cut."""
    sent = edge.curl("/v1/files", protocol, "-X", "POST", "-H", "content-type: text/plain", "--data-binary", "x" * 5)
    assert call_seen(sent.headers)["metadata"]["x-content-length"] == "5"
    chunked = ["-H", "content-type: text/plain", "-H", "content-length:", "-H", "transfer-encoding: chunked"]
    if protocol == "--http1.1":
        stream = edge.curl("/v1/files", protocol, "-X", "POST", *chunked, "--data-binary", "x" * 5)
        assert "x-content-length" not in call_seen(stream.headers)["metadata"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a'b", "x"),
        ("x!#$%&*+^`|~", "x"),
        ("x-trace-bin", "not base64!"),
        ("grpc-encoding", "gzip"),
        ("grpc-previous-rpc-attempts", "x"),
    ],
)
def test_a_header_that_grpc_has_no_place_for_is_left_behind(edge: Edge, name: str, value: str) -> None:
    reply = edge.get("/v1/files/file-1", {name: value, "x-other": "y"})
    assert reply.status == 200
    metadata = call_seen(reply.headers)["metadata"]
    assert name not in metadata
    assert metadata["x-other"] == "y"

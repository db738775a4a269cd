"""Every failure is the same envelope with the right status, whoever it comes from."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from edge_harness import Edge, failing, script

INVALID = "invalid_request_error"
SECRET = "secret=1 /var/lib/x ValueError"

GRPC_STATUSES = [
    ("INVALID_ARGUMENT", 400, INVALID, "invalid_request"),
    ("FAILED_PRECONDITION", 400, INVALID, "invalid_request"),
    ("OUT_OF_RANGE", 400, INVALID, "invalid_request"),
    ("UNAUTHENTICATED", 401, "authentication_error", "invalid_api_key"),
    ("PERMISSION_DENIED", 403, "permission_error", "permission_denied"),
    ("NOT_FOUND", 404, INVALID, "not_found"),
    ("ALREADY_EXISTS", 409, INVALID, "conflict"),
    ("ABORTED", 409, INVALID, "conflict"),
    ("RESOURCE_EXHAUSTED", 429, "rate_limit_error", "rate_limited"),
    ("CANCELLED", 499, INVALID, "cancelled"),
    ("UNKNOWN", 500, "server_error", "internal"),
    ("INTERNAL", 500, "server_error", "internal"),
    ("DATA_LOSS", 500, "server_error", "internal"),
    ("UNIMPLEMENTED", 501, INVALID, "unsupported"),
    ("UNAVAILABLE", 503, "server_error", "unavailable"),
    ("DEADLINE_EXCEEDED", 504, "server_error", "timeout"),
]


@pytest.mark.parametrize(("code", "status", "kind", "name"), GRPC_STATUSES)
def test_a_failure_without_an_envelope_gets_one_and_keeps_its_text_inside(
    edge: Edge, code: str, status: int, kind: str, name: str
) -> None:
    reply = edge.get("/v1/files/file-1", script(abort=failing(code, SECRET)))
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert {"type": kind, "code": name, "param": None}.items() <= reply.error().items()
    assert b"secret" not in reply.body
    retried = status in {408, 409, 429} or (status >= 500 and status != 501)
    assert reply.headers.get("x-should-retry") == (None if retried else "false")
    assert reply.headers.get("retry-after") == ("1" if status == 503 else None)


def test_an_exception_in_the_server_says_nothing(edge: Edge) -> None:
    reply = edge.get("/v1/files/file-1", script(**{"raise": SECRET}))
    assert (reply.status, reply.error()["type"]) == (500, "server_error")
    assert b"secret" not in reply.body
    assert b"ValueError" not in reply.body


@pytest.mark.parametrize("status", [402, 413, 415, 416, 422, 429, 501, 503])
@pytest.mark.parametrize("path", ["/v1/files/file-1", "/v1/files/file-1/content", "/v1/videos/video_1/events"])
def test_the_servers_envelope_status_and_headers_arrive(edge: Edge, path: str, status: int) -> None:
    body = {"error": {"message": 'no: "quotes"\nü\u2028\U0001f600', "type": INVALID, "param": "file", "code": "x"}}
    trailing = {"x-openai-error": json.dumps(body), "x-http-status": str(status), "retry-after": "7"}
    trailing |= {"content-range": "bytes */10", "openai-processing-ms": "12", "x-should-retry": "true"}
    reply = edge.get(path, script(abort={"code": "INVALID_ARGUMENT", "message": SECRET, "trailing": trailing}))
    assert reply.status == status
    assert json.loads(reply.body) == body
    assert int(reply.headers["content-length"]) == len(reply.body)
    expected = {"content-type": "application/json", "retry-after": "7", "content-range": "bytes */10"}
    expected |= {"openai-processing-ms": "12", "x-should-retry": "true"}
    assert expected.items() <= reply.headers.items()
    assert not {"x-openai-error", "x-http-status", "grpc-status", "grpc-message"} & set(reply.headers)


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "param"),
    [
        ("POST", "/v1/uploads", '{"bytes": "x}', "invalid_json", None),
        ("POST", "/v1/uploads", "not json", "invalid_json", None),
        ("POST", "/v1/uploads", "[1]", "invalid_json", None),
        ("POST", "/v1/uploads", '{"bytes": "abc"}', "invalid_value", "bytes"),
        ("POST", "/v1/uploads", '{"expires_after": {"seconds": "ü\\"<>"}}', "invalid_value", "expires_after.seconds"),
        ("POST", "/v1/uploads", '{"filename": "' + "a" * 5000, "invalid_json", None),
        ("POST", "/v1/uploads", '{"bytes": "' + "a" * 5000 + '"}', "invalid_json", None),
        ("GET", "/v1/files?limit=abc", None, "invalid_value", "limit"),
    ],
)
def test_a_wrong_body_is_explained(
    edge: Edge, method: str, path: str, body: str | None, code: str, param: str | None
) -> None:
    arguments = ["--request", method, *(("--data-binary", body) if body else ())]
    reply = edge.curl(path, *arguments, headers={"content-type": "application/json"})
    assert reply.status == 400
    assert {"type": INVALID, "code": code, "param": param}.items() <= reply.error().items()
    assert len(reply.body) < 1200
    assert reply.headers["x-should-retry"] == "false"


def nested(depth: int) -> str:
    return '{"expires_after":' * depth + "1" + "}" * depth


def test_deep_json_is_a_plain_400(edge: Edge) -> None:
    reply = edge.curl("/v1/uploads", "--data-binary", nested(5000))
    assert (reply.status, reply.error()["type"]) == (400, INVALID)


HOST = b"Host: x\r\n"
RAW: list[tuple[str, bytes, int, str]] = [
    ("garbage", b"garbage\r\n\r\n", 400, "invalid_request"),
    ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_request"),
    ("no host", b"GET /livez HTTP/1.1\r\n\r\n", 400, "invalid_request"),
    ("header without colon", b"GET /livez HTTP/1.1\r\n" + HOST + b"bad header\r\n\r\n", 400, "invalid_request"),
    ("unknown method", b"FOO /v1/files HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    ("raw bytes in the path", b"GET /v1/files/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    (
        "negative length",
        b"POST /v1/uploads HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\n",
        400,
        "invalid_request",
    ),
    (
        "length and chunked",
        b"POST /v1/uploads HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "invalid_request",
    ),
    (
        "bad chunk",
        b"POST /v1/uploads HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        400,
        "invalid_request",
    ),
    ("HTTP/1.0", b"GET /livez HTTP/1.0\r\n\r\n", 426, "http_version"),
    (
        "large header",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 70_000 + b"\r\n\r\n",
        431,
        "headers_too_large",
    ),
    (
        "many headers",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"".join(b"A%d: 1\r\n" % n for n in range(120)) + b"\r\n",
        431,
        "headers_too_large",
    ),
    (
        "upgrade",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        403,
        "permission_denied",
    ),
    ("proxy", b"CONNECT foo:443 HTTP/1.1\r\n" + HOST + b"\r\n", 404, "unknown_url"),
    ("asterisk", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "unknown_url"),
    ("climbing", b"GET /v1/../../etc HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 404, "unknown_url"),
]


@pytest.mark.parametrize(("data", "status", "code"), [case[1:] for case in RAW], ids=[case[0] for case in RAW])
def test_what_is_not_http_gets_the_envelope_too(edge: Edge, data: bytes, status: int, code: str) -> None:
    reply = edge.raw(data)
    assert (reply.status, reply.error()["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert len(reply.headers["x-request-id"]) == 36
    assert reply.headers["openai-processing-ms"].isdecimal()
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    "path",
    ["%ff", "%C0%80", "%ed%a0%80", "%f4%90%80%80", "%zz", "%", "%4", "a%00b", "x?after=%ff", "x?after=%zz", "x?a=%00"],
)
@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
def test_broken_escapes_are_400(edge: Edge, path: str, protocol: str) -> None:
    reply = edge.curl(f"/v1/files/{path}", protocol)
    assert (reply.status, reply.error()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
@pytest.mark.parametrize("path", ["/mediagate.v1.FileService/GetFile", "/grpc.health.v1.Health/Check", "/no.Such/Call"])
def test_a_grpc_path_without_grpc_is_nothing(edge: Edge, path: str, content_type: str | None) -> None:
    arguments = ["--request", "POST", "--data-binary", "{}"]
    reply = edge.curl(path, *arguments, headers={"content-type": content_type} if content_type else {"accept": "*/*"})
    assert (reply.status, reply.error()["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("path", ["/v1/files/file-1/content", "/v1/files", "/nowhere", "/v1/files/%ff"])
def test_a_failed_head_has_no_body(edge: Edge, path: str, protocol: str) -> None:
    reply = edge.curl(path, "--head", protocol, headers=script(abort=failing("NOT_FOUND")))
    assert reply.exit_code == 0
    assert reply.status in {400, 404, 405}
    assert reply.body == b""


def test_a_request_that_never_ends_its_headers_is_408(edge: Edge) -> None:
    reply = edge.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
    assert (reply.status, reply.error()["code"]) == (408, "request_timeout")
    assert int(reply.headers["openai-processing-ms"]) >= 900


NODE = """
const answers = [];
for (const [path, size] of [["/nowhere", 5e6], ["/nowhere", 50e6], ["/v1/files", 5e6], ["/v1/uploads", 5e6]]) {
  const reply = await fetch(process.argv[1] + path, {
    method: "POST", body: new Uint8Array(size), headers: {"x-stub": process.argv[2]},
  });
  answers.push([reply.status, await reply.json()]);
}
console.log(JSON.stringify(answers));
"""


def test_node_reads_an_early_refusal_of_a_large_body(edge: Edge) -> None:
    stub = script(abort=failing("UNAUTHENTICATED"))["x-stub"]
    command = ["node", "--input-type=module", "--eval", NODE, edge.url, stub]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    answers: list[Any] = json.loads(done.stdout)
    assert [answer[0] for answer in answers] == [404, 404, 401, 413]
    assert all(set(answer[1]["error"]) == {"message", "type", "param", "code"} for answer in answers)

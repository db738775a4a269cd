"""gRPC and gRPC-Web through the same port: nothing of what REST gets, everything the server sent."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from edge_harness import ORIGIN, Edge, failing, script
from google.api import httpbody_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc, system_pb2_grpc, uploads_pb2, videos_pb2_grpc

file_service: Any = files_pb2_grpc.FileServiceStub
video_service: Any = videos_pb2_grpc.VideoServiceStub
diagnostics_service: Any = system_pb2_grpc.DiagnosticsServiceStub
ENVELOPE = '{"error":{"message":"m","type":"t","param":null,"code":"c"}}'


@pytest.fixture(scope="module")
def channel(edge: Edge) -> Iterator[grpc.Channel]:
    with edge.channel() as opened:
        yield opened


def told(**members: Any) -> tuple[tuple[str, str], ...]:
    return tuple(script(**members).items())


def metadata_of(pairs: Any) -> dict[str, Any]:
    return {pair.key if hasattr(pair, "key") else pair[0]: pair[1] for pair in pairs or ()}


def test_a_unary_call(channel: grpc.Channel) -> None:
    reply, call = file_service(channel).GetFile.with_call(
        files_pb2.GetFileRequest(file_id="file-1"), metadata=told(reply={"id": "file-1"}), timeout=60
    )
    assert reply.id == "file-1"
    seen = json.loads(metadata_of(call.initial_metadata())["x-stub-call"])
    assert "x-envoy-original-path" not in seen["metadata"]
    assert "x-request-id" in metadata_of(call.initial_metadata())


@pytest.mark.parametrize("initial", [False, True])
def test_a_failure_keeps_status_message_details_and_metadata(channel: grpc.Channel, initial: bool) -> None:
    info = error_details_pb2.ErrorInfo(reason="PAYLOAD_TOO_LARGE", domain="mediagate", metadata={"limit": "5"})
    status = status_pb2.Status(code=3, message="zu groß: 100%\n")
    status.details.add().Pack(info)
    trailing = {
        "grpc-status-details-bin": status.SerializeToString().decode("latin-1"),
        "x-openai-error": ENVELOPE,
        "x-http-status": "413",
        "retry-after": "7",
    }
    members: dict[str, Any] = {"initial": {"x-a": "b"}} if initial else {}
    abort = {"code": "INVALID_ARGUMENT", "message": "zu groß: 100%\n", "trailing": trailing}
    with pytest.raises(grpc.RpcError) as failure:
        file_service(channel).GetFile(
            files_pb2.GetFileRequest(file_id="x"), metadata=told(abort=abort, **members), timeout=60
        )
    error: Any = failure.value
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "zu groß: 100%\n")
    got = metadata_of(error.trailing_metadata())
    assert status_pb2.Status.FromString(got["grpc-status-details-bin"]) == status
    assert (got["retry-after"], got["x-openai-error"]) == ("7", ENVELOPE)


def test_a_server_stream_keeps_its_late_status(channel: grpc.Channel) -> None:
    call = video_service(channel).WatchVideo(
        uploads_pb2.CancelUploadRequest(upload_id="v"), metadata=told(then=failing("ABORTED", "late")), timeout=60
    )
    next(call)
    with pytest.raises(grpc.RpcError) as failure:
        next(call)
    error: Any = failure.value
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "late")


def test_a_client_stream_of_large_messages(channel: grpc.Channel) -> None:
    piece = httpbody_pb2.HttpBody(data=bytes(4_000_000))
    reply = diagnostics_service(channel).CountBytes((piece for _ in range(25)), timeout=20)
    assert reply.bytes == 100_000_000


def test_health_is_answered_by_the_server(channel: grpc.Channel) -> None:
    reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", ["/no.such.Service/Call", "/mediagate.v1.FileService/NoSuchMethod", "/grpc.no/Such"])
def test_unknown_methods_are_unimplemented(channel: grpc.Channel, method: str) -> None:
    call: Any = channel.unary_unary(method)
    with pytest.raises(grpc.RpcError) as failure:
        call(b"", timeout=20)
    error: Any = failure.value
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "{" not in error.details()


def frame(message: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(message)) + message


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        found.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


GET_FILE = "/mediagate.v1.FileService/GetFile"
WEB = {"x-grpc-web": "1", "origin": ORIGIN}


@pytest.mark.parametrize("text", [False, True])
def test_grpc_web(edge: Edge, text: bool) -> None:
    kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
    body = frame(files_pb2.GetFileRequest(file_id="file-1").SerializeToString())
    with edge.client() as client:
        reply = client.post(
            GET_FILE,
            content=base64.b64encode(body) if text else body,
            headers={"content-type": kind, "accept": kind, **WEB, **script(reply={"id": "file-1"})},
        )
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("application/grpc-web")
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    data, trailers = frames(b"".join(base64_parts(reply.content)) if text else reply.content)
    assert files_pb2.File.FromString(data[1]).id == "file-1"
    assert trailers[0] == 0x80
    assert b"grpc-status:0" in trailers[1].replace(b" ", b"")


def base64_parts(content: bytes) -> Iterator[bytes]:
    """Each flush is padded on its own."""
    for start in range(0, len(content), 4):
        yield base64.b64decode(content[start : start + 4])


def test_grpc_web_failures_keep_their_status(edge: Edge) -> None:
    headers = {"content-type": "application/grpc-web+proto", **WEB}
    abort = failing("NOT_FOUND", "gone", x_openai_error=ENVELOPE, x_http_status="404")
    with edge.client() as client:
        reply = client.post(GET_FILE, content=frame(b""), headers={**headers, **script(abort=abort)})
        unknown = client.post("/no.such.Service/Call", content=frame(b""), headers=headers)
    assert (reply.status_code, reply.headers["grpc-status"], reply.headers["grpc-message"]) == (200, "5", "gone")
    assert unknown.headers["grpc-status"] == "12"
    assert "{" not in unknown.headers["grpc-message"]
    assert reply.content == b""


@pytest.mark.parametrize("path", ["/v1/files", "/nowhere", "/v1/files/%ff"])
def test_grpc_on_a_rest_path_is_unimplemented(edge: Edge, path: str) -> None:
    reply = edge.curl(
        path, "--http2-prior-knowledge", "--request", "POST", headers={"content-type": "application/grpc"}
    )
    assert reply.status == 200
    assert reply.headers["grpc-status"] == "12"
    assert b"{" not in reply.body

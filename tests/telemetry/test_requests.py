"""One line for every call, with what happened and nothing of what was in it."""

from __future__ import annotations

import re

import grpc
import httpx

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from tests.api.access_kit import issue_key
from tests.api.wire import NOBODYS_FILE, eventually, field, file_part, post_form
from tests.conftest import Gateway
from tests.telemetry.kit import line_of, lines

FIELDS = {
    *("ts", "level", "event", "process", "request_id", "trace_id", "project_id", "key_id", "rpc", "code"),
    *("http_status", "duration_ms", "bytes_in", "bytes_out", "backend"),
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_call_that_goes_well_leaves_one_line(gateway: Gateway, http: httpx.Client) -> None:
    data = b"x" * 100_000
    made = post_form(http, field("purpose", "user_data"), file_part(data, "confidential-name.txt"))
    line = line_of(gateway, made)
    assert set(line) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert line["rpc"] == "FileService/CreateFileHttp"
    assert (line["level"], line["code"], line["http_status"]) == ("info", "OK", 200)
    assert line["project_id"] == "master"
    assert line["key_id"] is None
    assert 100_000 < line["bytes_in"] < 101_000
    assert 100 < line["bytes_out"] < 2_000
    assert line["duration_ms"] > 0
    assert line["backend"] == "local"
    read = http.get(f"/v1/files/{made.json()['id']}/content", headers={"range": "bytes=0-9"})
    assert read.status_code == 206
    got = line_of(gateway, read)
    assert (got["rpc"], got["http_status"], got["backend"]) == ("FileService/GetFileContentHttp", 206, "local")
    assert not [line for line in lines(gateway) if "confidential-name" in str(line)]


def test_the_line_says_who_called_and_in_which_trace(gateway: Gateway) -> None:
    key = issue_key(gateway)
    reply = httpx.get(
        f"{gateway.url}/v1/files", headers={**key.headers, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    )
    line = line_of(gateway, reply)
    assert line["key_id"] == key.id
    assert line["project_id"] not in (None, "", "master")
    assert line["trace_id"] == TRACE
    reply = httpx.get(f"{gateway.url}/v1/files", headers={**key.headers, "traceparent": 'x"}{'})
    assert line_of(gateway, reply)["trace_id"] is None


def test_failures_are_told_by_their_code(gateway: Gateway, http: httpx.Client) -> None:
    line = line_of(gateway, http.get(f"/v1/files/{NOBODYS_FILE}"))
    assert (line["code"], line["http_status"], line["level"]) == ("NOT_FOUND", 404, "info")
    assert line["error"]
    nobody = line_of(gateway, httpx.get(f"{gateway.url}/v1/files", headers={"authorization": "Bearer sk-wrong-key-1"}))
    assert (nobody["code"], nobody["http_status"]) == ("UNAUTHENTICATED", 401)
    assert nobody["project_id"] is None
    large = line_of(gateway, http.get("/v1/files", params={"limit": 99_999}))
    assert (large["code"], large["http_status"]) == ("INVALID_ARGUMENT", 400)


def test_a_native_call_has_no_http_status(gateway: Gateway) -> None:
    with gateway.channel() as channel:
        stub = files_pb2_grpc.FileServiceStub(channel)
        trace = TRACE[::-1]
        metadata = (*gateway.metadata, ("traceparent", f"00-{trace}-00f067aa0ba902b7-01"))
        stub.ListFiles(files_pb2.ListFilesRequest(), metadata=metadata)
        call = stub.DownloadFile(files_pb2.DownloadFileRequest(file_id=NOBODYS_FILE), metadata=metadata)
        try:
            list(call)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    found = lambda: [line for line in lines(gateway) if line.get("trace_id") == trace]  # noqa: E731
    eventually(lambda: len(found()) == 2, "both lines are written")
    assert {line["rpc"]: (line["code"], line["http_status"]) for line in found()} == {
        "FileService/ListFiles": ("OK", None),
        "FileService/DownloadFile": ("NOT_FOUND", None),
    }


def test_a_caller_who_goes_away_is_a_cancelled_call(gateway: Gateway, http: httpx.Client) -> None:
    with http.stream("GET", "/diagnostics/zeros", params={"bytes": 1 << 33}) as reply:
        request_id = reply.headers["x-request-id"]
        next(reply.iter_raw())

    def found() -> list[dict[str, object]]:
        return [line for line in lines(gateway) if line.get("request_id") == request_id]

    eventually(found, "the line is written")
    assert [line["code"] for line in found()] == ["CANCELLED"]


def test_a_video_is_named_by_its_model(gateway: Gateway, http: httpx.Client) -> None:
    made = http.post(
        "/v1/videos", json={"model": "sora-2", "prompt": "a canary in a mine", "size": "320x180", "seconds": "1"}
    )
    assert made.status_code == 200, made.text
    line = line_of(gateway, made)
    assert (line["model"], line["backend"]) == ("sora-2", "local")
    unknown = http.post("/v1/videos", json={"model": "no-such-model", "prompt": "x"})
    assert "model" not in line_of(gateway, unknown)
    assert not [line for line in lines(gateway, "*") if "canary in a mine" in str(line)]


def test_health_checks_leave_no_line(gateway: Gateway, http: httpx.Client) -> None:
    checks = [http.get("/readyz"), http.get("/metrics")]
    line_of(gateway, http.get("/v1/models"))
    ids = {reply.headers["x-request-id"] for reply in checks}
    assert not [line for line in lines(gateway) if line.get("request_id") in ids]

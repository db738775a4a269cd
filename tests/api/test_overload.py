"""Too much at once: what is refused, how fast, and what still works."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import openai
import pytest
from google.rpc import error_details_pb2, status_pb2

from mediagate._gen.mediagate.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    files_pb2,
    files_pb2_grpc,
    system_pb2,
    system_pb2_grpc,
)
from tests.api.access_kit import issue_key
from tests.api.wire import (
    FORM_TYPE,
    assert_failure,
    connected,
    eventually,
    field,
    file_part,
    form,
    read_reply,
    request_head,
)
from tests.conftest import TEST_CONFIG, Gateway

CALLS_MAX = 6
BODY = form(field("purpose", "user_data"), file_part(bytes(200_000)))
LIMITS = {**TEST_CONFIG["limits"], "requests_in_flight_max": CALLS_MAX}


@pytest.fixture(scope="module")
def small(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that takes six calls at a time."""
    return own_gateway({**TEST_CONFIG, "limits": LIMITS})


def begin_upload(gateway: Gateway, open_: contextlib.ExitStack) -> socket.socket:
    """An upload of which most has been sent."""
    connection = open_.enter_context(connected(gateway))
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-type: {FORM_TYPE}\r\ncontent-length: {len(BODY)}\r\n\r\n"
    )
    connection.sendall(head.encode() + BODY[:150_000])
    return connection


@contextlib.contextmanager
def saturated(gateway: Gateway, http: httpx.Client) -> Iterator[list[socket.socket]]:
    """As many uploads as the gateway takes have begun and do not go on."""
    with contextlib.ExitStack() as open_:
        sockets: list[socket.socket] = []

        def full() -> bool:
            # Those that came while the calls of the test before were ending have been refused.
            refused, _, _ = select.select(sockets, [], [], 0)
            sockets[:] = [one for one in sockets if one not in refused]
            while len(sockets) < CALLS_MAX:
                sockets.append(begin_upload(gateway, open_))
            time.sleep(0.2)
            return http.get("/v1/models").status_code == 503 and not select.select(sockets, [], [], 0)[0]

        eventually(full, "it is full")
        yield sockets


def test_what_is_more_is_refused_at_once_and_what_must_work_does(small: Gateway) -> None:
    with small.http() as http, saturated(small, http) as sockets:
        for path in ("/v1/models", "/v1/files/file-01jd0000000000000000000000", "/v1/files"):
            began = time.monotonic()
            reply = http.get(path)
            # The bar is a tenth of a second, which bench/overload.py measures; this machine may be busy.
            assert time.monotonic() - began < 20
            assert_failure(reply, 503, code="overloaded", kind="server_error", retry=None)
            assert reply.headers["retry-after"] == "1"
        assert http.post("/v1/files", content=BODY, headers={"content-type": FORM_TYPE}).status_code == 503
        assert http.get("/readyz").status_code == 200
        assert http.get("/livez").status_code == 200
        assert http.get("/key/list").status_code == 200
        for connection in sockets:
            connection.sendall(BODY[150_000:])
            reply_ = read_reply(connection)
            assert reply_ is not None
            assert reply_.status == 200
    with small.http() as http:
        eventually(lambda: http.get("/v1/models").status_code == 200, "it takes calls again")


def test_uploads_that_are_left_make_room(small: Gateway) -> None:
    with small.http() as http:
        with saturated(small, http):
            pass
        eventually(lambda: http.get("/v1/models").status_code == 200, "it takes calls again")


def test_watchers_and_long_polls_are_no_load(small: Gateway) -> None:
    with small.http() as http, contextlib.ExitStack() as open_:
        body = {"prompt": "a [mediagate:stuck]", "model": "local-video", "seconds": "1", "size": "320x180"}
        video_id = http.post("/v1/videos", json=body).json()["id"]
        for _ in range(CALLS_MAX):
            events = open_.enter_context(http.stream("GET", f"/v1/videos/{video_id}/events"))
            next(events.iter_lines())
            poll = open_.enter_context(connected(small))
            poll.sendall(request_head(small, "GET", f"/v1/videos/{video_id}?wait=20s"))
        time.sleep(0.5)
        assert http.get("/v1/models").status_code == 200
        http.delete(f"/v1/videos/{video_id}")


def test_openais_client_tries_again_until_there_is_room(small: Gateway) -> None:
    with small.http() as http:
        with saturated(small, http), small.openai() as hasty:
            with pytest.raises(openai.InternalServerError) as refused:
                hasty.models.list()
            assert refused.value.code == "overloaded"
        with openai.OpenAI(base_url=f"{small.url}/v1", api_key=small.key, max_retries=5) as patient:
            assert patient.models.list().data


def test_a_native_caller_is_told_when_to_come_back(small: Gateway) -> None:
    with small.http() as http, saturated(small, http), small.channel() as channel:
        with pytest.raises(grpc.RpcError) as refused:
            files_pb2_grpc.FileServiceStub(channel).ListFiles(files_pb2.ListFilesRequest(), metadata=small.metadata)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        trailing = dict(refused.value.trailing_metadata())
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert any(detail.Unpack(info) for detail in status.details)
        assert (retry.retry_delay.seconds, info.reason) == (1, "OVERLOADED")
        ready = system_pb2_grpc.SystemServiceStub(channel).GetReadiness(system_pb2.GetReadinessRequest())
        assert ready.status == "ready"


def test_a_refused_call_takes_nothing_from_its_key(small: Gateway) -> None:
    key = issue_key(small, requests_per_minute=5, parallel_requests=5)
    with small.http() as http:
        with saturated(small, http):
            for _ in range(10):
                assert http.get("/v1/models", headers=key.headers).status_code == 503
        eventually(lambda: http.get("/v1/models").status_code == 200, "it takes calls again")
        assert http.get("/v1/models", headers=key.headers).headers["x-ratelimit-remaining-requests"] == "4"


def test_the_server_counts_too_whatever_edge_a_call_comes_by(small: Gateway) -> None:
    command = Path(f"/proc/{small.child('api-0')}/cmdline").read_bytes().decode()
    address = next(part for part in command.split("\0") if part.startswith("unix:"))
    with small.http() as http, saturated(small, http), grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            files_pb2_grpc.FileServiceStub(channel).ListFiles(files_pb2.ListFilesRequest(), metadata=small.metadata)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert dict(refused.value.trailing_metadata())["retry-after"] == "1"
        assert admin_pb2_grpc.AdminServiceStub(channel).ListKeys(admin_pb2.ListKeysRequest(), metadata=small.metadata)

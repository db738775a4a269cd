"""`limits.request_s`: what it ends, what it leaves alone, and what a caller may do then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import psycopg
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from tests.api.wire import (
    CLOSING,
    FORM_TYPE,
    assert_failure,
    connected,
    field,
    file_part,
    form,
    post_form,
    read_reply,
    request_head,
    sql,
)
from tests.conftest import TEST_CONFIG, Gateway

# Far more than a call takes on a busy machine.
LIMIT_S = 1.5
PURPOSE = field("purpose", "user_data")


@pytest.fixture(scope="module")
def hurried(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway whose calls have little time."""
    return own_gateway({**TEST_CONFIG, "limits": {**TEST_CONFIG["limits"], "request_s": LIMIT_S}})


@pytest.fixture
def http(hurried: Gateway) -> Iterator[httpx.Client]:
    with hurried.http() as client:
        yield client


@contextmanager
def held(gateway: Gateway, statement: str, *values: object) -> Iterator[Callable[[], None]]:
    """Locks rows as another call would; gives the way to let them go before the block ends."""
    with psycopg.connect(gateway.database_url) as connection:
        connection.execute(statement.encode(), values)
        yield connection.rollback


def stored_file(http: httpx.Client) -> str:
    reply = post_form(http, PURPOSE, file_part(b"hello"))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def lock_of(file_id: str) -> tuple[str, str]:
    return "SELECT 1 FROM file WHERE id = %s FOR UPDATE", file_id


def test_a_read_that_takes_too_long_may_be_sent_again(hurried: Gateway, http: httpx.Client) -> None:
    file_id = stored_file(http)
    with held(hurried, "LOCK TABLE file IN ACCESS EXCLUSIVE MODE"):
        began = time.monotonic()
        reply = http.get(f"/v1/files/{file_id}")
        spent = time.monotonic() - began
        assert_failure(reply, 504, code="request_timeout", kind="server_error", retry="true")
        assert reply.headers["retry-after"] == "1"
        assert LIMIT_S <= spent < LIMIT_S + 20
    assert http.get(f"/v1/files/{file_id}").status_code == 200


def test_a_change_that_takes_too_long_is_not_repeated_blindly(hurried: Gateway, http: httpx.Client) -> None:
    file_id = stored_file(http)
    with held(hurried, *lock_of(file_id)):
        message = assert_failure(
            http.delete(f"/v1/files/{file_id}"), 504, code="request_timeout", kind="server_error", retry="false"
        )
        assert "Look whether it took effect" in message
        with hurried.channel() as channel:
            stub = files_pb2_grpc.FileServiceStub(channel)  # type: ignore[no-untyped-call]
            with pytest.raises(grpc.RpcError) as refused:
                stub.DeleteFile(files_pb2.DeleteFileRequest(file_id=file_id), metadata=hurried.metadata)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # It was ended, and does not take effect behind the caller's back.
    assert sql(hurried, "SELECT state FROM file WHERE id = %s", file_id) == [("processed",)]
    assert http.delete(f"/v1/files/{file_id}").status_code == 200


def test_with_a_key_it_may_be_repeated(hurried: Gateway, http: httpx.Client) -> None:
    file_id = stored_file(http)
    key = {"idempotency-key": file_id}
    with held(hurried, *lock_of(file_id)):
        reply = http.delete(f"/v1/files/{file_id}", headers=key)
        assert_failure(reply, 504, code="request_timeout", kind="server_error", retry="true")
    again = http.delete(f"/v1/files/{file_id}", headers=key)
    assert (again.status_code, again.json()["deleted"]) == (200, True)


class TestLeftAlone:
    """What takes long by its nature."""

    def test_an_upload(self, hurried: Gateway) -> None:
        body = form(PURPOSE, file_part(b"slow" * 1000))
        headers = [("content-type", FORM_TYPE), ("content-length", str(len(body)))]
        with connected(hurried) as connection:
            connection.sendall(request_head(hurried, "POST", "/v1/files", headers) + body[:1000])
            time.sleep(LIMIT_S * 3)
            connection.sendall(body[1000:])
            reply = read_reply(connection)
        assert body.endswith(CLOSING)
        assert reply is not None
        assert reply.status == 200

    def test_a_copy_and_the_joining_of_parts(self, hurried: Gateway, http: httpx.Client) -> None:
        made = http.post(
            "/v1/uploads",
            json={"bytes": 5, "filename": "a.bin", "mime_type": "application/octet-stream", "purpose": "user_data"},
        ).json()
        part = post_form(http, file_part(b"parts", name="data"), path=f"/v1/uploads/{made['id']}/parts").json()
        source = stored_file(http)
        calls: dict[str, dict[str, Any]] = {
            f"/v1/uploads/{made['id']}/complete": {"part_ids": [part["id"]]},
            "/v1/files": {"source": source, "purpose": "user_data"},
        }
        for path, body in calls.items():
            # Inserts wait, look-ups do not.
            with held(hurried, "LOCK TABLE file_replica IN SHARE MODE") as let_go:
                opening = threading.Timer(LIMIT_S * 3, let_go)
                opening.start()
                began = time.monotonic()
                reply = http.post(path, json=body)
                spent = time.monotonic() - began
                opening.join()
            assert reply.status_code == 200, reply.text
            assert spent > LIMIT_S * 2

    def test_a_long_poll(self, http: httpx.Client) -> None:
        video = http.post("/v1/videos", json={"model": "local-video", "prompt": "[mediagate:stuck]"}).json()
        began = time.monotonic()
        reply = http.get(f"/v1/videos/{video['id']}", params={"wait": f"{LIMIT_S * 2.5}s", "after_seq": 9999})
        assert reply.status_code == 200, reply.text
        assert time.monotonic() - began > LIMIT_S * 2
        http.post(f"/v1/videos/{video['id']}/cancel")

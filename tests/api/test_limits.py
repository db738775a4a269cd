"""Limits of keys and teams through the real gateway, with two server processes that share them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Iterator

import grpc
import httpx
import openai
import pytest
from google.rpc import error_details_pb2, status_pb2

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from mediagate.core.access import Policy
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.wire import (
    FORM_TYPE,
    assert_failure,
    connected,
    eventually,
    field,
    file_part,
    form,
    read_reply,
    sql,
    sweep,
)
from tests.conftest import Gateway

MIB = 1 << 20
HEADERS = ("limit", "remaining", "reset")


def hammer(gateway: Gateway, headers: dict[str, str], count: int, path: str = "/v1/models") -> list[httpx.Response]:
    """`count` requests at once over as many connections as it takes."""

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60, verify=False) as http:
            return await asyncio.gather(*[http.get(path) for _ in range(count)])

    return asyncio.run(run())


def left(reply: httpx.Response, what: str) -> dict[str, str]:
    return {name: reply.headers[f"x-ratelimit-{name}-{what}"] for name in HEADERS}


def store(http: httpx.Client, key: Issued, data: bytes = b"hello") -> httpx.Response:
    files = {"file": ("a.txt", data)}
    return http.post("/v1/files", headers=key.headers, files=files, data={"purpose": "user_data"})


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_exactly_the_limit_passes_through_two_processes(pair: Gateway, limit: int) -> None:
    key = issue_key(pair, requests_per_minute=limit)
    replies = hammer(pair, key.headers, 3 * limit)
    assert sorted(reply.status_code for reply in replies) == [200] * limit + [429] * 2 * limit
    passed = [reply for reply in replies if reply.status_code == 200]
    # Those that came together are told what they left together.
    assert {0} <= {int(left(reply, "requests")["remaining"]) for reply in passed} <= set(range(limit))
    for reply in replies:
        assert left(reply, "requests")["limit"] == str(limit)
        assert re.fullmatch(r"1m0s|1m1s|\d+s", left(reply, "requests")["reset"])
        if reply.status_code == 429:
            message = assert_failure(reply, 429, code="rate_limit_exceeded", kind="rate_limit_error", retry="true")
            assert re.fullmatch(
                rf"Rate limit reached for requests per minute of this key: Limit {limit} / min\. Try again in .*s\.",
                message,
            )
            assert left(reply, "requests")["remaining"] == "0"
            assert 40 < int(reply.headers["retry-after"]) <= 61
            assert int(reply.headers["retry-after-ms"]) <= int(reply.headers["retry-after"]) * 1000


def test_a_team_shares_its_limit_over_keys_and_processes(pair: Gateway) -> None:
    team = add_holder(pair, "team", "team-shared", Policy(requests_per_minute=20))
    keys = [issue_key(pair, team_id=team) for _ in range(4)]
    passed = 0
    for key in keys:
        passed += sum(reply.status_code == 200 for reply in hammer(pair, key.headers, 10))
    assert passed == 20
    reply = hammer(pair, keys[0].headers, 1)[0]
    assert "of this team" in reply.json()["error"]["message"]


def test_who_has_no_limit_is_told_of_none(pair: Gateway) -> None:
    for headers in (pair.auth, issue_key(pair).headers):
        reply = hammer(pair, headers, 1)[0]
        assert reply.status_code == 200
        assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


def test_what_is_refused_or_fails_says_what_is_left(pair: Gateway) -> None:
    key = issue_key(pair, requests_per_minute=50)
    missing = hammer(pair, key.headers, 1, "/v1/files/file-01jd0000000000000000000000")[0]
    assert missing.status_code == 404
    assert left(missing, "requests") == {"limit": "50", "remaining": "49", "reset": "1m0s"}


def test_openais_client_reads_the_headers_and_waits_as_told(pair: Gateway) -> None:
    key = issue_key(pair, requests_per_minute=2)
    with openai.OpenAI(base_url=f"{pair.url}/v1", api_key=key.key, max_retries=0) as client:
        raw = client.models.with_raw_response.list()
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        assert raw.headers["x-ratelimit-remaining-requests"] == "1"
        client.models.list()
        with pytest.raises(openai.RateLimitError) as refused:
            client.models.list()
        assert refused.value.code == "rate_limit_exceeded"
    # Until the minute is nearly over, by the row that has what was taken.
    began = time.monotonic()
    sql(
        pair,
        "UPDATE limit_state SET version = version + 1, state = jsonb_build_object('at', state->'at', 'pieces',"
        " jsonb_build_array(jsonb_build_array(extract(epoch FROM clock_timestamp()) + 2.5, 2))) WHERE scope = %s",
        f"key:{key.id}",
    )
    time.sleep(0.3)
    with openai.OpenAI(base_url=f"{pair.url}/v1", api_key=key.key, max_retries=1) as client:
        client.models.list()
    assert 2.4 < time.monotonic() - began < 20


def test_uploads_and_bytes_have_limits_of_their_own(pair: Gateway) -> None:
    key = issue_key(pair, uploads_per_minute=2)
    with pair.http() as http:
        first = store(http, key)
        assert left(first, "uploads") == {"limit": "2", "remaining": "1", "reset": "1m0s"}
        assert http.get(f"/v1/files/{first.json()['id']}", headers=key.headers).status_code == 200
        assert store(http, key).status_code == 200
        assert "uploads per minute" in assert_failure(
            store(http, key), 429, code="rate_limit_exceeded", kind="rate_limit_error", retry="true"
        )
        assert http.get(f"/v1/files/{first.json()['id']}", headers=key.headers).status_code == 200

        key = issue_key(pair, bytes_per_minute=MIB)
        first = store(http, key, bytes(MIB // 2))
        assert 0 < int(left(first, "bytes")["remaining"]) <= MIB // 2
        path = f"/v1/files/{first.json()['id']}/content"
        # More than is left passes while something is left; then nothing does but what moves no content.
        assert len(http.get(path, headers=key.headers).content) == MIB // 2
        eventually(lambda: http.get(path, headers=key.headers).status_code == 429, "the bytes are counted")
        assert store(http, key).status_code == 429
        assert http.get(f"/v1/files/{first.json()['id']}", headers=key.headers).status_code == 200


def test_bytes_of_a_download_count_by_what_is_asked_for(pair: Gateway) -> None:
    key = issue_key(pair, bytes_per_minute=4 * MIB)
    with pair.http() as http:
        file_id = store(http, key, bytes(2 * MIB)).json()["id"]
        for _ in range(20):
            part = http.get(f"/v1/files/{file_id}/content", headers={**key.headers, "range": "bytes=0-9"})
            assert part.status_code == 206
        remaining = int(left(http.get(f"/v1/files/{file_id}/content", headers=key.headers), "bytes")["remaining"])
        assert remaining < 2 * MIB
        path = f"/v1/files/{file_id}/content"
        eventually(lambda: http.get(path, headers=key.headers).status_code == 429, "the bytes are counted")


@contextlib.contextmanager
def slow_uploads(gateway: Gateway, key: str, count: int) -> Iterator[list[socket.socket]]:
    """Uploads that have begun and do not go on."""
    with contextlib.ExitStack() as open_:
        sockets = []
        for _ in range(count):
            connection = open_.enter_context(connected(gateway))
            body = form(field("purpose", "user_data"), file_part(bytes(200_000)))
            head = (
                f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
                f"content-type: {FORM_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body[:150_000])
            sockets.append(connection)
        yield sockets


def held(gateway: Gateway, key: Issued) -> int:
    """Slots that the database knows."""
    found = sql(
        gateway, "SELECT state FROM limit_state WHERE scope = %s AND measure LIKE 'parallel%%'", f"key:{key.id}"
    )
    return sum(sum(state["held"].values()) for (state,) in found)


def test_slots_are_shared_and_come_back_when_clients_go_away(pair: Gateway) -> None:
    key = issue_key(pair, parallel_uploads=3)
    with pair.http() as http, slow_uploads(pair, key.key, 3):
        eventually(lambda: held(pair, key) == 3, "all have a slot")
        refused = store(http, key)
        message = assert_failure(refused, 429, code="rate_limit_exceeded", kind="rate_limit_error", retry="true")
        assert message.startswith("Rate limit reached for parallel uploads of this key: Limit 3 at once.")
        assert refused.headers["retry-after"] == "1"
        assert http.get("/v1/files", headers=key.headers).status_code == 200
    eventually(lambda: held(pair, key) == 0, "their slots are free", timeout_s=20)
    with pair.http() as http:
        assert store(http, key).status_code == 200


def test_a_download_that_is_left_gives_its_slot_back(pair: Gateway) -> None:
    key = issue_key(pair, parallel_requests=1)
    with pair.http() as http:
        file_id = store(http, key, bytes(64 * MIB)).json()["id"]
        with connected(pair) as connection:
            head = f"GET /v1/files/{file_id}/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.key}\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            assert http.get("/v1/models", headers=key.headers).status_code == 429
        eventually(lambda: http.get("/v1/models", headers=key.headers).status_code == 200, "the slot is free", 20)


def test_calls_one_after_the_other_never_meet(pair: Gateway) -> None:
    key = issue_key(pair, parallel_requests=1)
    # A connection each, so that both processes have their turn.
    for _ in range(25):
        assert httpx.get(f"{pair.url}/v1/models", headers=key.headers, verify=False, timeout=60).status_code == 200


def test_who_watches_still_works(pair: Gateway) -> None:
    key = issue_key(pair, parallel_requests=1)
    with pair.http() as http:
        body = {"prompt": "a [mediagate:stuck]", "model": "local-video", "seconds": "1", "size": "320x180"}
        video = http.post("/v1/videos", json=body, headers=key.headers).json()
        with http.stream("GET", f"/v1/videos/{video['id']}/events", headers=key.headers) as events:
            assert events.status_code == 200
            next(events.iter_lines())
            assert http.get("/v1/models", headers=key.headers).status_code == 200
        http.delete(f"/v1/videos/{video['id']}", headers=key.headers)


def test_a_native_caller_gets_the_time_to_wait(pair: Gateway) -> None:
    key = issue_key(pair, requests_per_minute=1)
    with pair.channel() as channel:
        stub = files_pb2_grpc.FileServiceStub(channel)
        metadata = (("authorization", f"Bearer {key.key}"),)
        stub.ListFiles(files_pb2.ListFilesRequest(), metadata=metadata)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ListFiles(files_pb2.ListFilesRequest(), metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailing = dict(refused.value.trailing_metadata())
    assert trailing["x-ratelimit-remaining-requests"] == "0"
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert any(detail.Unpack(info) for detail in status.details)
    assert 40 < retry.retry_delay.seconds <= 61
    assert (info.reason, info.metadata["measure"], info.metadata["scope"]) == (
        "RATE_LIMITED",
        "requests_per_minute",
        "key",
    )


def test_an_upload_goes_on_where_its_key_is_blocked_meanwhile(pair: Gateway) -> None:
    key = issue_key(pair, parallel_uploads=1, bytes_per_minute=100 * MIB)
    body = form(field("purpose", "user_data"), file_part(bytes(200_000)))
    with slow_uploads(pair, key.key, 1) as (connection,), pair.http() as http:
        eventually(lambda: held(pair, key) == 1, "it has a slot")
        sql(pair, "UPDATE api_key SET is_blocked = true WHERE id = %s", key.id)
        sql(pair, "SELECT pg_notify('mediagate_access', %s)", f"key {key.id}")
        eventually(lambda: http.get("/v1/files", headers=key.headers).status_code == 403, "it is blocked")
        connection.sendall(body[150_000:])
        reply = read_reply(connection)
        assert reply is not None
        assert reply.status == 200
    eventually(lambda: held(pair, key) == 0, "its slot is free")


def test_idempotent_replays_count_and_tell_what_is_left_now(pair: Gateway) -> None:
    key = issue_key(pair, requests_per_minute=10)
    with pair.http() as http:
        headers = {**key.headers, "idempotency-key": "limits-1"}
        body = {"bytes": 3, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}
        first, again = (http.post("/v1/uploads", json=body, headers=headers) for _ in range(2))
        assert (first.json()["id"], again.headers["idempotent-replayed"]) == (again.json()["id"], "true")
        assert [left(reply, "requests")["remaining"] for reply in (first, again)] == ["9", "8"]


def test_what_nobody_used_for_a_day_is_forgotten(pair: Gateway) -> None:
    key, other = (issue_key(pair, requests_per_minute=10) for _ in range(2))
    hammer(pair, key.headers, 1)
    hammer(pair, other.headers, 1)
    count = "SELECT count(*) FROM limit_state WHERE scope = %s"
    sql(pair, "UPDATE limit_state SET updated_at = now() - interval '2 days' WHERE scope = %s", f"key:{key.id}")
    sql(pair, "INSERT INTO limit_holder (id, expires_at) VALUES ('gone', now() - interval '2 days')")
    sweep(pair)
    eventually(lambda: sql(pair, count, f"key:{key.id}") == [(0,)], "it is forgotten")
    assert sql(pair, count, f"key:{other.id}") == [(1,)]
    assert sql(pair, "SELECT count(*) FROM limit_holder WHERE id = 'gone'") == [(0,)]
    # Whether a process remembers what was there or not.
    assert [reply.status_code for reply in hammer(pair, key.headers, 20)].count(200) in (9, 10)


# The last of this module, since it kills.
def test_slots_of_a_killed_process_come_back_within_seconds(pair: Gateway) -> None:
    key = issue_key(pair, parallel_uploads=4)
    with slow_uploads(pair, key.key, 4), pair.http() as http:
        eventually(lambda: held(pair, key) == 4, "all have a slot")
        began = time.monotonic()
        pair.kill("api-0")
        pair.kill("api-1")
        pair.wait_ready()

        def stores() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return store(http, key).status_code == 200
            return False

        eventually(stores, "the slots are free", timeout_s=60)
        assert time.monotonic() - began < 40

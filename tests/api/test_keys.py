"""Virtual keys: whom a key stands for, and what a change of it does to calls."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.access_kit import add_holder, issue_key
from tests.api.wire import FORM_TYPE, eventually, field, file_part, form, sql
from tests.conftest import Gateway


def test_keys_of_a_team_share_and_others_see_nothing(gateway: Gateway) -> None:
    team = add_holder(gateway, "team", "team-a")
    first, second, other = issue_key(gateway, team_id=team), issue_key(gateway, team_id=team), issue_key(gateway)
    with gateway.http() as http:
        made = http.post(
            "/v1/files", headers=first.headers, files={"file": ("a.txt", b"abc")}, data={"purpose": "user_data"}
        ).json()
        path = f"/v1/files/{made['id']}/content"
        assert http.get(path, headers=second.headers).content == b"abc"
        assert http.get(path, headers=other.headers).status_code == 404
        assert http.get(path).status_code == 404


def test_a_key_that_is_blocked_or_over_is_refused(gateway: Gateway) -> None:
    issued = issue_key(gateway)
    with gateway.http() as http:
        assert http.get("/v1/files", headers=issued.headers).status_code == 200
        for change, status, code in (
            ("is_blocked = true", 403, "key_blocked"),
            ("is_blocked = false, expires_at = now() - interval '1 s'", 401, "key_expired"),
        ):
            sql(gateway, f"UPDATE api_key SET {change} WHERE id = %s", issued.id)
            sql(gateway, "SELECT pg_notify('mediagate_access', %s)", f"key {issued.id}")

            def heard(status: int = status) -> bool:
                return http.get("/v1/files", headers=issued.headers).status_code == status

            eventually(heard, "the change is heard")
            assert http.get("/v1/files", headers=issued.headers).json()["error"]["code"] == code


@pytest.mark.parametrize("table", ["team", "access_user"])
def test_a_key_that_was_made_while_its_holder_was_deleted_opens_nothing(gateway: Gateway, table: str) -> None:
    holder = add_holder(gateway, table, f"late-{table}")
    sql(gateway, f"UPDATE {table} SET deleted_at = now() WHERE id = %s", holder)
    issued = issue_key(gateway, **{"team_id" if table == "team" else "user_id": holder})
    with gateway.http() as http:
        assert http.get("/v1/files", headers=issued.headers).status_code == 401


HOSTILE = {
    "empty": "",
    "no token": "Bearer",
    "another scheme": "Basic c2stMTox",
    "two words": "Bearer a b",
    "long": "Bearer " + "a" * 50_000,
    "latin": "Bearer sk-\xe4\xff",
    "injection": "Bearer ' OR 1=1 --",
    "an id": "Bearer key_01jd0000000000000000000000",
    "template": "Bearer ${jndi:ldap://a}",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_key_is_refused_like_any_wrong_one(gateway: Gateway, value: str) -> None:
    with httpx.Client(base_url=gateway.url) as http:
        for headers in ({"authorization": value.encode("latin-1")}, {"api-key": value.encode("latin-1")}):
            answer = http.get("/v1/files", headers=headers)
            assert answer.status_code == 401, (headers, answer.text)
            assert answer.json()["error"]["type"] == "authentication_error"


def raw(gateway: Gateway, authorization: bytes) -> bytes:
    """The first bytes of the answer to a request with a header that no client would send."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(b"GET /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: " + authorization + b"\r\n\r\n")
        return connection.recv(64)


@pytest.mark.parametrize(
    ("authorization", "statuses"),
    [(b"Bearer a\x00b", {b"400"}), (b"Bearer " + b"a" * (1 << 20), {b"431"})],
    ids=["NUL", "a megabyte"],
)
def test_what_is_no_header_gets_no_further_than_the_edge(
    gateway: Gateway, authorization: bytes, statuses: set[bytes]
) -> None:
    try:
        said = raw(gateway, authorization)
    except ConnectionError:
        # It hangs up on a client that goes on sending.
        said = b"HTTP/1.1 431"
    assert said.split(b" ")[1] in statuses
    with gateway.http() as http:
        assert http.get("/v1/files").status_code == 200


class TestTwoServers:
    def test_a_deleted_key_is_refused_by_both_at_once(self, pair: Gateway) -> None:
        with pair.http() as admin:
            for _ in range(3):
                key = admin.post("/key/generate", json={}).json()["key"]
                headers = {"authorization": f"Bearer {key}"}

                def answers(headers: dict[str, str] = headers) -> set[int]:
                    # A new connection each time: the edge gives it to either process.
                    return {httpx.get(f"{pair.url}/v1/files", headers=headers).status_code for _ in range(12)}

                assert answers() == {200}
                admin.post("/key/delete", json={"keys": [key]})
                eventually(lambda: answers() == {401}, "both refuse it", timeout_s=10)
                assert answers() == {401}

    def test_an_upload_of_a_key_that_is_deleted_meanwhile_ends_as_it_would(self, pair: Gateway) -> None:
        begun, deleted = threading.Event(), threading.Event()
        with pair.http() as admin:
            key = admin.post("/key/generate", json={"user_id": "uploader"}).json()["key"]
            whole = form(field("purpose", "user_data"), file_part(b"a" * 100_000, name="file"))

            def slowly() -> Iterator[bytes]:
                yield whole[:50_000]
                begun.set()
                assert deleted.wait(120)
                yield whole[50_000:]

            headers = {"authorization": f"Bearer {key}", "content-type": FORM_TYPE}
            with ThreadPoolExecutor(1) as pool:
                sent = pool.submit(httpx.post, f"{pair.url}/v1/files", content=slowly(), headers=headers, timeout=60)
                assert begun.wait(30)
                receiving = "SELECT 1 FROM file WHERE state = 'receiving' AND user_id = 'uploader'"
                eventually(lambda: sql(pair, receiving), "the key was taken")
                admin.post("/key/delete", json={"keys": [key]})
                deleted.set()
                answer = sent.result()
            assert answer.status_code == 200, answer.text
            eventually(lambda: httpx.get(f"{pair.url}/v1/files", headers=headers).status_code == 401, "refused")
            # Its user has another key, and finds what was stored.
            again = admin.post("/key/generate", json={"user_id": "uploader"}).json()["key"]
            found = httpx.get(
                f"{pair.url}/v1/files/{answer.json()['id']}", headers={"authorization": f"Bearer {again}"}
            )
            assert found.status_code == 200

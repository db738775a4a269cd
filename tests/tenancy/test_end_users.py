"""End users of one owner: what each makes is its own, and the owner sees all of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from tests.api.access_kit import Issued, issue_key
from tests.api.wire import assert_failure
from tests.conftest import Gateway

USER = "x-mediagate-user"
SMALL = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}
UNICODE = "Zoë 株式会社 🎬 %41"


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> Issued:
    return issue_key(gateway, uses_providers=True)


@pytest.fixture(scope="module")
def of_key(gateway: Gateway, key: Issued) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers=key.headers, timeout=120, verify=False) as http:
        yield http


def named(name: str, header: str = USER) -> dict[str, bytes]:
    return {header: name.encode()}


def upload(http: httpx.Client, headers: dict[str, Any] | None = None, **fields: str) -> httpx.Response:
    return http.post(
        "/v1/files",
        files={"file": ("a.txt", b"abc")},
        data={"purpose": "user_data", **fields},
        headers=headers,  # type: ignore[arg-type]
    )


def ids_of(response: httpx.Response) -> set[str]:
    assert response.status_code == 200, response.text
    return {one["id"] for one in response.json()["data"]}


@pytest.mark.parametrize("header", ["x-mediagate-user", "x-litellm-end-user-id", "x-litellm-customer-id"])
def test_a_call_for_an_end_user_makes_and_sees_his_own_alone(of_key: httpx.Client, header: str) -> None:
    alice, bob = named(f"alice {header}", header), named(f"bob {header}", header)
    hers, his = upload(of_key, alice).json(), upload(of_key, bob).json()
    owners = upload(of_key).json()
    assert hers["mediagate"]["user"] == f"alice {header}"
    assert "user" not in owners["mediagate"]
    assert ids_of(of_key.get("/v1/files", headers=alice)) == {hers["id"]}
    for foreign in (his["id"], owners["id"]):
        for path in (f"/v1/files/{foreign}", f"/v1/files/{foreign}/content"):
            assert of_key.get(path, headers=alice).status_code == 404
        assert of_key.delete(f"/v1/files/{foreign}", headers=alice).status_code == 404
    assert ids_of(of_key.get("/v1/files")) >= {hers["id"], his["id"], owners["id"]}
    assert of_key.get(f"/v1/files/{hers['id']}/content").content == b"abc"
    assert ids_of(of_key.get("/v1/files", params={"user": f"bob {header}"})) == {his["id"]}


def test_the_field_says_whose_it_is_and_hides_nothing_from_the_key(of_key: httpx.Client) -> None:
    made = upload(of_key, user="carol").json()
    behind = of_key.post(
        "/v1/files",
        content=b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n'
        b'--B\r\nContent-Disposition: form-data; name="user"\r\n\r\ncarol\r\n'
        b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--B--\r\n',
        headers={"content-type": "multipart/form-data; boundary=B"},
    ).json()
    copied = of_key.post("/v1/files", json={"source": made["id"], "user": "carol"}).json()
    announced = of_key.post(
        "/v1/uploads", json={"bytes": 0, "filename": "a", "mime_type": "b", "purpose": "user_data", "user": "carol"}
    ).json()
    assert announced["user"] == "carol"
    # The key completes what belongs to its end user.
    joined = of_key.post(f"/v1/uploads/{announced['id']}/complete", json={"part_ids": []}).json()["file"]
    everything = [made, behind, copied, joined]
    assert [one["mediagate"]["user"] for one in everything] == ["carol"] * 4
    assert ids_of(of_key.get("/v1/files", headers=named("carol"))) == {one["id"] for one in everything}
    assert of_key.get(f"/v1/files/{made['id']}").status_code == 200
    assert of_key.post(f"/v1/uploads/{announced['id']}/cancel", headers=named("dave")).status_code == 404


def test_any_unicode_names_the_same_end_user_in_header_field_and_query(gateway: Gateway, of_key: httpx.Client) -> None:
    by_header, by_field = upload(of_key, named(UNICODE)), upload(of_key, user=UNICODE)
    assert by_header.json()["mediagate"]["user"] == UNICODE, by_header.text
    expected = {by_header.json()["id"], by_field.json()["id"]}
    assert ids_of(of_key.get(f"/v1/files?user={quote(UNICODE)}")) == expected
    assert ids_of(of_key.get("/v1/files", headers=named(UNICODE))) == expected


def test_natively_the_same_metadata_counts(gateway: Gateway, key: Issued, of_key: httpx.Client) -> None:
    made = upload(of_key, user="native").json()["id"]
    with gateway.channel() as channel:
        stub = files_pb2_grpc.FileServiceStub(channel)  # type: ignore[no-untyped-call]
        metadata = (*key.headers.items(), (USER, "native"))
        listed = stub.ListFiles(files_pb2.ListFilesRequest(), metadata=metadata)
        assert [file.id for file in listed.data] == [made]
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetFile(files_pb2.GetFileRequest(file_id=made), metadata=(*key.headers.items(), (USER, "other")))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["", "x" * 257, "a\tb", "a\x85b", "line\u2028break"])
def test_a_name_that_is_none_is_refused(of_key: httpx.Client, name: str) -> None:
    if name:
        assert upload(of_key, user=name).json()["error"]["param"] == "user"
    if name not in ("", "a\tb"):
        assert_failure(of_key.get("/v1/files", headers=named(name)), 400, code="invalid_field", param=USER)


def test_a_header_and_a_field_that_differ_are_refused(of_key: httpx.Client) -> None:
    alice = named("alice")
    assert upload(of_key, alice, user="alice").status_code == 200
    answers = [
        upload(of_key, alice, user="bob"),
        of_key.get("/v1/files?user=bob", headers=alice),
        of_key.get("/v1/videos?user=bob", headers=alice),
        of_key.get("/v1/videos/events?user=bob", headers=alice),
        of_key.post("/v1/videos", json={**SMALL, "user": "bob"}, headers=alice),
        of_key.post("/v1/files", json={"source": "file-01jd0000000000000000000000", "user": "bob"}, headers=alice),
        of_key.post(
            "/v1/uploads",
            json={"bytes": 0, "filename": "a", "mime_type": "b", "purpose": "user_data", "user": "bob"},
            headers=alice,
        ),
    ]
    for answer in answers:
        assert_failure(answer, 400, code="invalid_field", param="user")
    both = of_key.get("/v1/files", headers={**alice, **named("bob", "x-litellm-end-user-id")})
    assert_failure(both, 400, code="invalid_field", param="x-litellm-end-user-id")
    same = of_key.get("/v1/files", headers={**alice, **named("alice", "x-litellm-end-user-id")})
    assert same.status_code == 200


def test_what_is_the_owners_alone_is_refused(of_key: httpx.Client) -> None:
    alice = named("alice")
    for verb, path in (
        ("GET", "/v1/webhook_endpoints"),
        ("GET", "/v1/webhook_endpoints/we_01jd0000000000000000000000"),
    ):
        assert_failure(of_key.request(verb, path, headers=alice), 403, code="owner_only", kind="permission_error")
    named_provider = of_key.get("/v1/files/abc?custom_llm_provider=local", headers=alice)
    assert_failure(named_provider, 403, code="permission_denied", kind="permission_error", param="custom_llm_provider")


def test_the_master_key_for_an_end_user_is_no_admin(gateway: Gateway, http: httpx.Client) -> None:
    refused = http.get("/v1/webhook_endpoints", headers=named("alice"))
    assert_failure(refused, 403, code="owner_only", kind="permission_error")


def test_two_end_users_may_use_the_same_idempotency_key(of_key: httpx.Client) -> None:
    repeated = {"idempotency-key": "one-for-all"}
    first = upload(of_key, {**named("kim"), **repeated})
    again = upload(of_key, {**named("kim"), **repeated})
    other = upload(of_key, {**named("lee"), **repeated})
    owners = upload(of_key, repeated)
    assert again.json()["id"] == first.json()["id"]
    assert len({one.json()["id"] for one in (first, other, owners)}) == 3


def test_videos_of_an_end_user(of_key: httpx.Client) -> None:
    alice, bob = named("film alice"), named("film bob")
    hers = of_key.post("/v1/videos", json=SMALL, headers=alice).json()
    his = of_key.post("/v1/videos", json={**SMALL, "user": "film bob"}).json()
    assert (hers["mediagate"]["user"], his["mediagate"]["user"]) == ("film alice", "film bob")
    assert ids_of(of_key.get("/v1/videos", headers=alice)) == {hers["id"]}
    assert ids_of(of_key.get("/v1/videos?user=film+bob")) == {his["id"]}
    assert of_key.get(f"/v1/videos/{his['id']}?wait=30s", headers=alice).status_code == 404
    done = of_key.get(f"/v1/videos/{hers['id']}?wait=30s&after_seq=1000", headers=alice).json()
    assert done["status"] == "completed", done
    assert of_key.get(f"/v1/videos/{hers['id']}/content", headers=alice).status_code == 200
    assert of_key.get(f"/v1/videos/{hers['id']}/content", headers=bob).status_code == 404
    remix = of_key.post(f"/v1/videos/{hers['id']}/remix", json={"prompt": "Night"}, headers=bob)
    assert remix.status_code == 404
    film = of_key.post("/v1/files", json={"source": hers["id"]}, headers=alice).json()
    body = {"name": "Ada", "video": {"file_id": film["id"]}}
    assert of_key.post("/v1/videos/characters", json=body, headers=bob).status_code == 404
    character = of_key.post("/v1/videos/characters", json=body, headers=alice).json()
    path = f"/v1/videos/characters/{character['id']}"
    assert [of_key.get(path, headers=who).status_code for who in (alice, bob, {})] == [200, 404, 200]  # type: ignore[arg-type]
    for one, who in ((hers, alice), (his, bob)):
        assert of_key.delete(f"/v1/videos/{one['id']}", headers=who).status_code == 200


def test_a_watch_of_all_shows_an_end_user_his_own_alone(of_key: httpx.Client) -> None:
    alice, bob = named("watch alice"), named("watch bob")
    seen: list[dict[str, Any]] = []
    with of_key.stream("GET", "/v1/videos/events", headers=alice) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        his = of_key.post("/v1/videos", json=SMALL, headers=bob).json()["id"]
        of_key.delete(f"/v1/videos/{his}", headers=bob)
        owners = of_key.post("/v1/videos", json=SMALL).json()["id"]
        of_key.delete(f"/v1/videos/{owners}")
        hers = of_key.post("/v1/videos", json=SMALL, headers=alice).json()["id"]
        for line in lines:
            if line.startswith("data:"):
                with contextlib.suppress(json.JSONDecodeError):
                    seen.append(json.loads(line[5:]))
            if seen and seen[-1].get("type") == "end":
                break
    assert {event["video_id"] for event in seen} == {hers}

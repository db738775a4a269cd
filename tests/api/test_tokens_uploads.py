"""Tokens for one upload each, as their makers settled it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import httpx
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from tests.api.access_kit import issue_key
from tests.api.token_kit import bearer, claims, make, race
from tests.api.wire import FORM_TYPE, assert_failure, connected, eventually, field, file_part, form, sql
from tests.conftest import Gateway


@pytest.fixture(scope="module")
def owner(gateway: Gateway) -> Iterator[httpx.Client]:
    """The server that has the key."""
    key = issue_key(gateway, uses_providers=True)
    with httpx.Client(base_url=gateway.url, headers=key.headers, timeout=120, verify=False) as http:
        yield http


@pytest.fixture(scope="module")
def browser(gateway: Gateway) -> Iterator[httpx.Client]:
    """What has no key."""
    with httpx.Client(base_url=gateway.url, timeout=120, verify=False) as http:
        yield http


def test_a_form(owner: httpx.Client, browser: httpx.Client) -> None:
    wish = {"bytes_max": 10, "purpose": "vision", "filename": "chosen.png", "on_partial": "keep"}
    expiry = {"anchor": "created_at", "seconds": 3600}
    made = make(owner, "upload", user="ivan", upload={**wish, "expires_after": expiry, "custom_llm_provider": "local"})
    assert made["upload"] == {**wish, "expires_after": expiry, "custom_llm_provider": ["local"]}
    assert made["url"] == f"/v1/files?token={made['token']}"
    stored = browser.post(made["url"], files={"file": ("evil.exe", b"0123456789")})
    assert stored.status_code == 200, stored.text
    file = stored.json()
    assert (file["purpose"], file["filename"], file["bytes"]) == ("vision", "chosen.png", 10)
    assert file["expires_at"] - file["created_at"] == 3600
    assert file["mediagate"]["user"] == "ivan"
    after = owner.get(f"/v1/tokens/{made['id']}").json()
    assert (after["status"], after["file_id"]) == ("used", file["id"])
    again = browser.post(made["url"], files={"file": ("a", b"x")})
    assert file["id"] in assert_failure(again, 403, code="token_used", kind="permission_error")
    assert browser.get(f"/v1/files/{file['id']}", headers=bearer(made["token"])).status_code == 403


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "video/mp4", None])
def test_raw_bytes(owner: httpx.Client, browser: httpx.Client, content_type: str | None) -> None:
    made = make(owner, "upload")
    headers = {"content-type": content_type} if content_type else {}
    stored = browser.put(f"{made['url']}&filename=na%C3%AFve+name.txt", content=b"{not json", headers=headers)
    assert stored.status_code == 200, stored.text
    file = stored.json()
    assert (file["filename"], file["purpose"]) == ("naïve name.txt", "user_data")
    assert owner.get(f"/v1/files/{file['id']}/content").content == b"{not json"


def test_natively(gateway: Gateway, owner: httpx.Client) -> None:
    made = make(owner, "upload", upload={"purpose": "vision"})

    def messages(purpose: str) -> Iterator[files_pb2.UploadFileRequest]:
        metadata = files_pb2.UploadFileMetadata(filename="a", purpose=purpose, size_bytes=3)
        yield files_pb2.UploadFileRequest(metadata=metadata)
        yield files_pb2.UploadFileRequest(chunk=b"abc")

    with gateway.channel() as channel:
        stub = files_pb2_grpc.FileServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError):
            stub.UploadFile(messages("evals"), metadata=tuple(bearer(made["token"]).items()))
        stored = stub.UploadFile(messages("vision"), metadata=tuple(bearer(made["token"]).items()))
    assert stored.purpose == "vision"


def test_with_a_key_raw_bytes_need_a_purpose(owner: httpx.Client) -> None:
    assert owner.put("/v1/files", content=b"a").json()["error"]["param"] == "purpose"
    assert owner.put("/files?purpose=user_data", content=b"").json()["bytes"] == 0
    form_ = owner.put("/v1/files?purpose=user_data", content=form(file_part(b"a")), headers={"content-type": FORM_TYPE})
    assert form_.status_code == 415

    def chunks() -> Iterator[bytes]:
        yield b"abc"

    refused = owner.put("/v1/files?purpose=user_data", content=chunks())
    assert_failure(refused, 400, code="length_required")
    assert owner.request("PUT", "/v1/videos", content=b"").status_code == 405


def test_nothing_that_is_settled_can_be_changed_and_a_refusal_uses_nothing_up(
    owner: httpx.Client, browser: httpx.Client
) -> None:
    made = make(owner, "upload", upload={"bytes_max": 1000})
    for name, value in (
        ("purpose", "vision"),
        ("custom_llm_provider", "local"),
        ("target_model_names", "local-video"),
        ("on_partial", "keep"),
        ("expires_after[seconds]", "3600"),
        ("user", "mallory"),
    ):
        for parts in ((field(name, value), file_part(b"a")), (file_part(b"a"), field(name, value))):
            answer = browser.post(made["url"], content=form(*parts), headers={"content-type": FORM_TYPE})
            assert_failure(answer, 400, code="settled", param=name.partition("[")[0])
    elsewhere = browser.post(f"/local{made['url']}", content=form(file_part(b"a")), headers={"content-type": FORM_TYPE})
    assert_failure(elsewhere, 400, code="settled", param="custom_llm_provider")
    copied = browser.post(made["url"], json={"source": "https://example.com/a"})
    assert_failure(copied, 403, code="token_kind", kind="permission_error")
    for data in (b"x" * 1001, b"x" * 5_000_000):
        too_large = browser.put(made["url"], content=data)
        assert_failure(too_large, 413, code="payload_too_large", param="file")
    assert owner.get(f"/v1/tokens/{made['id']}").json()["status"] == "active"
    same = browser.post(
        made["url"],
        content=form(field("purpose", "user_data"), file_part(b"x" * 1000)),
        headers={"content-type": FORM_TYPE},
    )
    assert same.status_code == 200, same.text


def test_an_upload_that_was_cut_leaves_the_token(gateway: Gateway, owner: httpx.Client, browser: httpx.Client) -> None:
    made = make(owner, "upload")
    head = f"PUT {made['url']} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n".encode()
    with connected(gateway) as connection:
        connection.sendall(head + b"x" * 300_000)
        eventually(lambda: claims(gateway, made["id"]) == [(True,)], "the upload has begun")
        in_use = browser.put(made["url"], content=b"second")
        assert_failure(in_use, 409, code="token_in_use", retry="true")
        assert in_use.headers["retry-after"] == "5"
    eventually(lambda: claims(gateway, made["id"]) == [(False,)], "the token is given back")
    assert browser.put(made["url"], content=b"second").status_code == 200


def test_a_token_that_is_revoked_while_bytes_come_makes_no_file(gateway: Gateway, owner: httpx.Client) -> None:
    made = make(owner, "upload")
    with connected(gateway) as connection:
        connection.sendall(f"PUT {made['url']} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345".encode())
        eventually(lambda: claims(gateway, made["id"]) == [(True,)], "the upload has begun")
        owner.delete(f"/v1/tokens/{made['id']}")
        connection.sendall(b"67890")
        assert connection.recv(100).startswith(b"HTTP/1.1 403")
    assert "file_id" not in owner.get(f"/v1/tokens/{made['id']}").json()


def test_a_repeated_call_with_an_idempotency_key_has_its_answer(owner: httpx.Client, browser: httpx.Client) -> None:
    made, other = make(owner, "upload"), make(owner, "upload")
    headers = {"idempotency-key": "upload-once"}
    answers = [browser.put(one["url"], content=b"abc", headers=headers) for one in (made, made, other)]
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[0].json()["id"] == answers[1].json()["id"] != answers[2].json()["id"]


def test_a_kept_claim_of_a_dead_process_runs_out(gateway: Gateway, owner: httpx.Client, browser: httpx.Client) -> None:
    made = make(owner, "upload")
    lease = "UPDATE access_token SET claim = 'dead', claimed_until = now() + interval '%s s' WHERE id = %%s"
    sql(gateway, lease % 60, made["id"])
    assert browser.put(made["url"], content=b"a").status_code == 409
    sql(gateway, lease % -1, made["id"])
    assert browser.put(made["url"], content=b"a").status_code == 200


def test_room_is_reserved_for_as_long_as_the_token_waits(gateway: Gateway, browser: httpx.Client) -> None:
    small = issue_key(gateway, storage_bytes_max=1000)
    with httpx.Client(base_url=gateway.url, headers=small.headers, timeout=60, verify=False) as owner:

        def fits(size: int) -> bool:
            answer = owner.put("/v1/files?purpose=user_data", content=b"x" * size)
            if answer.status_code == 200:
                owner.delete(f"/v1/files/{answer.json()['id']}")
            return answer.status_code == 200

        made = make(owner, "upload", upload={"bytes_max": 900})
        full = owner.post("/v1/tokens", json={"kind": "upload", "upload": {"bytes_max": 200}})
        assert full.json()["error"]["code"] == "storage_quota_exceeded", full.text
        assert not fits(200)
        # A refused upload gives token and room back.
        assert browser.put(made["url"], content=b"x" * 901).status_code == 413
        assert not fits(200)
        assert browser.put(made["url"], content=b"x" * 900).status_code == 200
        assert not fits(200)
        assert fits(100)
        file_id = owner.get(f"/v1/tokens/{made['id']}").json()["file_id"]
        owner.delete(f"/v1/files/{file_id}")
        assert fits(1000)
        revoked = make(owner, "upload", upload={"bytes_max": 900})
        assert not fits(200)
        owner.delete(f"/v1/tokens/{revoked['id']}")
        assert fits(1000)
        forgotten = make(owner, "upload", upload={"bytes_max": 900})
        sql(gateway, "DELETE FROM access_token WHERE id = %s", forgotten["id"])
        assert fits(1000)


def test_cors_lets_a_browser_put(gateway: Gateway, owner: httpx.Client, browser: httpx.Client) -> None:
    made = make(owner, "upload")
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "content-type",
    }
    allowed = browser.options(made["url"], headers=asked)
    assert allowed.status_code == 200
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    put = browser.put(made["url"], content=b"a", headers={"origin": "https://app.example"})
    assert put.headers["access-control-allow-origin"] == "https://app.example"


def test_one_of_many_browsers_stores_a_file(owner: httpx.Client, browser: httpx.Client) -> None:
    for _ in range(3):
        race(owner, browser, make(owner, "upload"))

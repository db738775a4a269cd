"""Quotas of bytes and the report of what is stored, through the real gateway."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from mediagate.core.access import Policy
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.storage_kit import assert_exact, issue_team_key
from tests.api.wire import FORM_TYPE, assert_failure, eventually, field, file_part, form, sql
from tests.conftest import Gateway

MIB = 1 << 20
KIB = 1 << 10


def send(http: httpx.Client, issued: Issued, data: bytes, **fields: str) -> httpx.Response:
    """A form whose length is known."""
    parts = [field("purpose", "user_data"), *(field(name, value) for name, value in fields.items()), file_part(data)]
    return http.post("/v1/files", content=form(*parts), headers={"content-type": FORM_TYPE, **issued.headers})


def send_chunked(http: httpx.Client, issued: Issued, data: bytes) -> httpx.Response:
    """The same without a length."""
    body = form(field("purpose", "user_data"), file_part(data))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 256 * KIB):
            yield body[start : start + 256 * KIB]

    return http.post("/v1/files", content=pieces(), headers={"content-type": FORM_TYPE, **issued.headers})


def usage(http: httpx.Client, issued: Issued, **query: str) -> dict[str, Any]:
    reply = http.get("/v1/usage/storage", params=query, headers=issued.headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


def scope(report: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(one for one in report["data"] if one["kind"] == kind)


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


@pytest.mark.parametrize("whose", ["key", "user", "team"])
@pytest.mark.parametrize("sender", [send, send_chunked])
def test_each_scope_with_a_quota_must_have_room(gateway: Gateway, http: httpx.Client, whose: str, sender: Any) -> None:
    bound: Any = {"storage_bytes_max": 3 * MIB}
    issued = issue_team_key(gateway, **{whose: bound if whose == "key" else Policy(**bound)})
    first = sender(http, issued, bytes(2 * MIB))
    assert first.status_code == 200, first.text
    refused = sender(http, issued, bytes(2 * MIB))
    message = assert_failure(refused, 403, code="storage_quota_exceeded", kind="insufficient_quota")
    assert f"the {whose} '" in message
    assert str(3 * MIB) in message
    assert str(2 * MIB) in message
    # What fits exactly is taken, and nothing beyond it.
    assert sender(http, issued, bytes(MIB)).status_code == 200
    assert_failure(sender(http, issued, b"x"), 403, code="storage_quota_exceeded", kind="insufficient_quota")
    assert sender(http, issued, b"").status_code == 200
    assert http.delete(f"/v1/files/{first.json()['id']}", headers=issued.headers).status_code == 200
    assert sender(http, issued, bytes(2 * MIB)).status_code == 200
    report = scope(usage(http, issued), whose)
    assert (report["bytes"], report["files"], report["quota_bytes"]) == (3 * MIB, 3, 3 * MIB)
    assert_exact(gateway)


def test_sdks_do_not_repeat_what_is_over_the_quota(gateway: Gateway) -> None:
    issued = issue_key(gateway, storage_bytes_max=10)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=issued.key, max_retries=3) as client:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.files.create(file=("a.txt", b"more than ten bytes"), purpose="user_data")
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert refused.value.code == "storage_quota_exceeded"
        with pytest.raises(openai.PermissionDeniedError):
            client.uploads.create(bytes=11, filename="a.txt", mime_type="text/plain", purpose="user_data")


def test_an_upload_in_parts_reserves_its_size(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_key(gateway, storage_bytes_max=MIB)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=issued.key, max_retries=0) as client:
        upload = client.uploads.create(
            bytes=MIB // 2, filename="a.bin", mime_type="application/octet-stream", purpose="user_data"
        )
        other = client.uploads.create(
            bytes=MIB // 2, filename="b.bin", mime_type="application/octet-stream", purpose="user_data"
        )
        report = scope(usage(http, issued), "key")
        assert (report["bytes"], report["reserved_bytes"]) == (0, MIB)
        assert send(http, issued, b"x").status_code == 403
        client.uploads.cancel(other.id)
        part = client.uploads.parts.create(upload.id, data=bytes(MIB // 2))
        client.uploads.complete(upload.id, part_ids=[part.id])
    report = scope(usage(http, issued), "key")
    assert (report["bytes"], report["reserved_bytes"], report["files"]) == (MIB // 2, 0, 1)
    assert send(http, issued, bytes(MIB // 2)).status_code == 200
    assert_exact(gateway)


def test_an_upload_that_expires_gives_its_room_back(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_key(gateway, storage_bytes_max=MIB)
    body = {"bytes": MIB, "filename": "a.bin", "mime_type": "text/plain", "purpose": "user_data"}
    made = http.post("/v1/uploads", json=body, headers=issued.headers).json()
    assert send(http, issued, b"x").status_code == 403
    sql(gateway, "UPDATE upload SET expires_at = now() WHERE id = %s", made["id"])
    eventually(lambda: send(http, issued, b"x").status_code == 200, "the room is given back")
    assert_exact(gateway)


def test_many_at_once_never_pass_the_quota(gateway: Gateway, http: httpx.Client) -> None:
    """With and without a length, and in parts, from two keys of one team."""
    most = 10 * MIB
    team = add_holder(gateway, "team", "team-of-many", Policy(storage_bytes_max=most))
    keys = [issue_key(gateway, team_id=team) for _ in range(2)]

    def one(number: int) -> int:
        sender = send_chunked if number % 3 == 0 else send
        return sender(http, keys[number % 2], bytes(MIB)).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(24)))
    assert set(found) == {200, 403}
    report = scope(usage(http, keys[0]), "team")
    assert report["bytes"] == found.count(200) * MIB <= most
    assert report["reserved_bytes"] == 0
    # Those without a length hold more than they need for a moment; what is left over is there for the next.
    while send(http, keys[0], bytes(MIB)).status_code == 200:
        pass
    assert scope(usage(http, keys[0]), "team")["bytes"] == most
    assert_exact(gateway)


def test_what_fails_gives_its_room_back(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_key(gateway, storage_bytes_max=MIB)
    cut = form(field("purpose", "user_data"), file_part(bytes(MIB // 2)))[:-30]
    headers = {"content-type": FORM_TYPE, **issued.headers}
    assert http.post("/v1/files", content=cut, headers=headers).status_code == 400
    assert_failure(
        send_chunked(http, issued, bytes(2 * MIB)), 403, code="storage_quota_exceeded", kind="insufficient_quota"
    )
    assert sql(gateway, "SELECT count(*) FROM file WHERE key_id = %s AND state <> 'deleting'", issued.id) == [(0,)]
    report = scope(usage(http, issued), "key")
    assert (report["bytes"], report["reserved_bytes"]) == (0, 0)
    assert send(http, issued, bytes(MIB)).status_code == 200
    assert_exact(gateway)


def test_copies_and_inputs_of_videos_need_room(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_key(gateway, storage_bytes_max=3 * KIB)
    made = send(http, issued, bytes(2 * KIB)).json()
    copy = http.post("/v1/files", json={"source": made["id"], "purpose": "user_data"}, headers=issued.headers)
    assert_failure(copy, 403, code="storage_quota_exceeded", kind="insufficient_quota")
    parts = [field("prompt", "A boat"), file_part(b"\x89PNG\r\n\x1a\n" + bytes(2 * KIB), "a.png", "input_reference")]
    video = http.post("/v1/videos", content=form(*parts), headers={"content-type": FORM_TYPE, **issued.headers})
    assert_failure(video, 403, code="storage_quota_exceeded", kind="insufficient_quota")
    report = scope(usage(http, issued), "key")
    assert (report["bytes"], report["reserved_bytes"], report["files"]) == (2 * KIB, 0, 1)
    assert_exact(gateway)


def test_the_report_tells_purposes_and_accounts(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_key(gateway)
    send(http, issued, b"12345")
    body = form(field("purpose", "vision"), file_part(b"123"))
    http.post("/v1/files", content=body, headers={"content-type": FORM_TYPE, **issued.headers})
    for path in ("/v1/usage/storage", "/usage/storage"):
        report = http.get(path, headers=issued.headers).json()
        assert report["object"] == "storage.usage"
        assert (report["bytes"], report["files"], report["reserved_bytes"]) == (8, 2, 0)
        assert report["by_purpose"] == [
            {"purpose": "user_data", "bytes": 5, "files": 1},
            {"purpose": "vision", "bytes": 3, "files": 1},
        ]
        assert report["by_account"] == [{"account": "local", "provider": "local", "bytes": 8, "copies": 2}]
        assert [one["kind"] for one in report["data"]] == ["key"]
        assert "quota_bytes" not in report["data"][0]


def test_an_admin_sees_everything_and_others_only_their_own(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_team_key(gateway, team=Policy(storage_bytes_max=MIB))
    other = issue_key(gateway)
    send(http, issued, bytes(1000))
    everything = http.get("/v1/usage/storage", params={"limit": 1000}).json()
    teams = {one["id"]: one for one in everything["data"] if one["kind"] == "team"}
    assert teams[issued.team_id]["bytes"] == 1000
    assert teams[issued.team_id]["quota_bytes"] == MIB
    local = next(one for one in everything["by_account"] if one["account"] == "local")
    assert local["bytes"] >= 1000
    one_team = http.get("/v1/usage/storage", params={"team_id": issued.team_id}).json()
    assert (one_team["bytes"], one_team["data"]) == (1000, [teams[issued.team_id]])
    unknown = http.get("/v1/usage/storage", params={"key_id": "key_unknown"}).json()
    assert (unknown["bytes"], unknown["files"]) == (0, 0)
    assert usage(http, issued, team_id=issued.team_id or "")["bytes"] == 1000
    replies = [
        http.get("/v1/usage/storage", params={"team_id": team}, headers=other.headers)
        for team in (issued.team_id, "no-such-team")
    ]
    assert [reply.status_code for reply in replies] == [403, 403]
    assert replies[0].json() == replies[1].json()
    assert usage(http, other)["bytes"] == 0


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "-1"}, {"team_id": "x" * 300}])
def test_a_wrong_filter_is_refused(http: httpx.Client, query: dict[str, str]) -> None:
    assert http.get("/v1/usage/storage", params=query).status_code == 400


def test_policies_bound_how_long_files_are_kept(gateway: Gateway, http: httpx.Client) -> None:
    day = 86_400
    issued = issue_team_key(
        gateway, team=Policy(retention_days={"*": 10, "vision": 3}), key={"retention_days": {"user_data": 20}}
    )

    def life(purpose: str, **expiry: str) -> int | None:
        parts = [field("purpose", purpose), *(field(name, value) for name, value in expiry.items())]
        name = "a.jsonl" if purpose == "batch" else "a.txt"
        body = form(*parts, file_part(b"{}", name))
        reply = http.post("/v1/files", content=body, headers={"content-type": FORM_TYPE, **issued.headers})
        assert reply.status_code == 200, reply.text
        made = reply.json()
        return made["expires_at"] - made["created_at"] if "expires_at" in made else None

    def asked(seconds: int) -> dict[str, str]:
        return {"expires_after[anchor]": "created_at", "expires_after[seconds]": str(seconds)}

    assert life("user_data") == 10 * day
    assert life("vision") == 3 * day
    assert life("batch") == 10 * day
    assert life("user_data", **asked(5 * day)) == 5 * day
    assert life("user_data", **asked(15 * day)) == 10 * day
    upload = {"bytes": 2, "filename": "a.txt", "mime_type": "text/plain", "purpose": "vision"}
    made = http.post("/v1/uploads", json=upload, headers=issued.headers).json()
    part = http.post(
        f"/v1/uploads/{made['id']}/parts",
        content=form(file_part(b"{}", name="data")),
        headers={"content-type": FORM_TYPE, **issued.headers},
    ).json()
    done = http.post(f"/v1/uploads/{made['id']}/complete", json={"part_ids": [part["id"]]}, headers=issued.headers)
    file = done.json()["file"]
    assert file["expires_at"] - file["created_at"] == 3 * day
    copied = http.post("/v1/files", json={"source": file["id"], "purpose": "vision"}, headers=issued.headers).json()
    assert copied["expires_at"] - copied["created_at"] == 3 * day


def test_a_contradiction_and_an_unsatisfied_label_are_refused(gateway: Gateway, http: httpx.Client) -> None:
    issued = issue_key(gateway, placement={"region": "eu"})
    refused = send(http, issued, b"abc")
    message = assert_failure(refused, 400, code="placement_not_satisfied", param="placement")
    assert "'local'" in message
    assert "'region: eu'" in message
    contradiction = send(http, issued, b"abc", placement=json.dumps({"region": "us"}))
    assert_failure(contradiction, 400, code="placement_contradiction", param="placement")
    for wrong in ("[]", "{", "eu", '{"region": 5}', '{"": "x"}', '{"region": {"a": "b"}}'):
        reply = send(http, issue_key(gateway), b"abc", placement=wrong)
        assert_failure(reply, 400, code="invalid_field", param="placement")
    header = {"x-mediagate-placement": "region"}
    assert_failure(http.get("/v1/files", headers=header), 400, code="invalid_field", param="placement")

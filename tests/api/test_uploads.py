"""The Uploads API: parts in any order and at any time, one file at the end or nothing at all."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types import Upload

from tests.api.wire import (
    FORM_TYPE,
    NOBODYS_PART,
    assert_failure,
    connected,
    eventually,
    field,
    file_part,
    leaving_nothing,
    post_form,
    read_reply,
    request_head,
    sql,
    stored,
    sweep,
)
from tests.conftest import Gateway

MIB = 1 << 20


def begin(client: openai.OpenAI, size: int, **more: object) -> Upload:
    options = {"filename": "whole.bin", "mime_type": "application/octet-stream", "purpose": "user_data", **more}
    return client.uploads.create(bytes=size, **options)  # type: ignore[arg-type]


def add(client: openai.OpenAI, upload: Upload, data: bytes) -> str:
    return client.uploads.parts.create(upload.id, data=data).id


def part_files(gateway: Gateway, upload_id: str) -> list[Path]:
    parts = [row[0] for row in sql(gateway, "SELECT id FROM upload_part WHERE upload_id = %s", upload_id)]
    return [path for path in stored(gateway) if any(part in path.name for part in parts)]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 12_345])
def test_the_sdk_uploads_in_chunks(client: openai.OpenAI, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "träining.jsonl"
    path.write_bytes(data)
    md5 = hashlib.md5(data).hexdigest()
    for given in (path, data):
        upload = client.uploads.upload_file_chunked(
            file=given,  # type: ignore[arg-type]
            filename=path.name,
            bytes=size,
            mime_type="application/jsonl",
            purpose="fine-tune",
            part_size=1000,
            md5=md5,
        )
        assert (upload.status, upload.object, upload.bytes) == ("completed", "upload", size)
        assert upload.file is not None
        assert (upload.file.bytes, upload.file.filename, upload.file.purpose) == (size, path.name, "fine-tune")
        assert client.files.content(upload.file.id).content == data
        assert client.files.retrieve(upload.file.id) == upload.file


def test_an_upload_says_what_it_will_be(client: openai.OpenAI) -> None:
    upload = begin(client, 10, purpose="batch", filename="C:\\x\\a.jsonl")
    assert upload.id.startswith("upload_")
    assert len(upload.id) <= 64
    assert (upload.status, upload.file, upload.filename, upload.purpose) == ("pending", None, "a.jsonl", "batch")
    assert upload.expires_at == upload.created_at + 3600
    part = client.uploads.parts.create(upload.id, data=b"0123456789")
    assert part.id.startswith("part_")
    assert (part.object, part.upload_id) == ("upload.part", upload.id)
    done = client.uploads.complete(upload.id, part_ids=[part.id])
    assert done.file is not None
    assert done.file.expires_at == done.file.created_at + 2_592_000


def test_an_expiry_counts_from_the_completion(client: openai.OpenAI) -> None:
    upload = begin(client, 0, expires_after={"anchor": "created_at", "seconds": 4000})
    file = client.uploads.complete(upload.id, part_ids=[]).file
    assert file is not None
    assert file.expires_at == file.created_at + 4000


def test_parts_come_at_once_and_are_joined_in_the_order_given(client: openai.OpenAI) -> None:
    pieces = [os.urandom(50_000 + number) for number in range(12)]
    upload = begin(client, sum(map(len, pieces)))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(lambda piece: add(client, upload, piece), reversed(pieces)))[::-1]
    order = [7, 2, 0, 11, 5, 1, 3, 4, 6, 8, 9, 10]
    whole = b"".join(pieces[number] for number in order)
    done = client.uploads.complete(
        upload.id, part_ids=[ids[number] for number in order], md5=hashlib.md5(whole).hexdigest().upper()
    )
    assert done.file is not None
    assert client.files.content(done.file.id).content == whole
    assert (done.file.model_extra or {})["mediagate"]["sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_part_that_is_not_named_is_left_out_and_removed(gateway: Gateway, client: openai.OpenAI) -> None:
    upload = begin(client, 3)
    lost = add(client, upload, b"lost reply")
    kept = add(client, upload, b"abc")
    assert len(part_files(gateway, upload.id)) == 2
    done = client.uploads.complete(upload.id, part_ids=[kept])
    assert done.file is not None
    assert client.files.content(done.file.id).content == b"abc"
    eventually(lambda: not sql(gateway, "SELECT 1 FROM upload_part WHERE upload_id = %s", upload.id), "parts are gone")
    assert not [path for path in stored(gateway) if lost in path.name or kept in path.name]


def test_a_wrong_md5_makes_no_file_and_takes_nothing_away(gateway: Gateway, client: openai.OpenAI) -> None:
    upload = begin(client, 3)
    part = add(client, upload, b"abc")
    with leaving_nothing(gateway), pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload.id, part_ids=[part], md5="0" * 32)
    assert (caught.value.code, caught.value.param) == ("checksum_mismatch", "md5")
    more = add(client, upload, b"d")
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=[part, more])
    done = client.uploads.complete(upload.id, part_ids=[part], md5=hashlib.md5(b"abc").hexdigest())
    assert done.status == "completed"


@pytest.mark.parametrize(
    ("sizes", "announced", "choose"),
    [
        ([3], 4, [0]),
        ([3], 2, [0]),
        ([3, 3], 6, [0]),
        ([3], 6, [0, 0]),
        ([3], 3, []),
        ([3], 0, [0]),
    ],
    ids=["too short", "too long", "one left out", "one twice", "none named", "nothing announced"],
)
def test_parts_that_are_not_the_announced_size_make_no_file(
    gateway: Gateway, client: openai.OpenAI, sizes: list[int], announced: int, choose: list[int]
) -> None:
    upload = begin(client, announced)
    ids = [add(client, upload, b"x" * size) for size in sizes]
    with leaving_nothing(gateway), pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload.id, part_ids=[ids[number] for number in choose])
    assert (caught.value.code, caught.value.param) == ("invalid_field", "part_ids")
    assert sql(gateway, "SELECT state FROM upload WHERE id = %s", upload.id) == [("pending",)]


@pytest.mark.parametrize("wrong", ["unknown", "of another upload", "garbage", "empty"])
def test_only_its_own_parts_make_a_file(client: openai.OpenAI, wrong: str) -> None:
    other = begin(client, 3)
    foreign = add(client, other, b"abc")
    upload = begin(client, 3)
    part = {"unknown": NOBODYS_PART, "of another upload": foreign, "garbage": "'; DROP TABLE upload", "empty": ""}[
        wrong
    ]
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload.id, part_ids=[part])
    assert (caught.value.code, caught.value.param) == ("invalid_field", "part_ids")
    assert client.uploads.complete(other.id, part_ids=[foreign]).status == "completed"


def test_completing_twice_gives_the_same_file(client: openai.OpenAI) -> None:
    """A caller whose reply was lost asks again."""
    upload = begin(client, 6)
    parts = [add(client, upload, b"abc"), add(client, upload, b"def")]
    first = client.uploads.complete(upload.id, part_ids=parts)
    assert client.uploads.complete(upload.id, part_ids=parts) == first
    with pytest.raises(openai.BadRequestError) as caught:
        client.uploads.complete(upload.id, part_ids=list(reversed(parts)))
    assert caught.value.code == "state_conflict"


def test_completing_at_once_makes_one_file(gateway: Gateway, client: openai.OpenAI) -> None:
    upload = begin(client, 2 * MIB)
    parts = [add(client, upload, bytes(MIB)), add(client, upload, bytes(MIB))]

    def complete(order: list[str]) -> str:
        try:
            done = client.uploads.complete(upload.id, part_ids=order)
        except openai.BadRequestError as error:
            return str(error.code)
        assert done.file is not None
        return done.file.id

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        made = set(pool.map(complete, [parts, parts[::-1]] * 3)) - {"state_conflict"}
    assert len(made) == 1
    assert len(sql(gateway, "SELECT 1 FROM file WHERE filename = 'whole.bin' AND id = ANY(%s)", list(made))) == 1
    assert sql(gateway, "SELECT state FROM upload WHERE id = %s", upload.id) == [("completed",)]


@pytest.mark.parametrize("end", ["completed", "cancelled", "expired"])
def test_an_upload_that_has_ended_takes_nothing(gateway: Gateway, client: openai.OpenAI, end: str) -> None:
    upload = begin(client, 3)
    part = add(client, upload, b"abc")
    if end == "completed":
        client.uploads.complete(upload.id, part_ids=[part])
    elif end == "cancelled":
        assert client.uploads.cancel(upload.id).status == "cancelled"
    else:
        sql(gateway, "UPDATE upload SET expires_at = now() - interval '1 second' WHERE id = %s", upload.id)
    calls = [
        lambda: client.uploads.parts.create(upload.id, data=b"more"),
        lambda: client.uploads.complete(upload.id, part_ids=[]),
    ]
    calls += [lambda: client.uploads.cancel(upload.id)] if end != "cancelled" else []
    with leaving_nothing(gateway):
        for call in calls:
            with pytest.raises(openai.BadRequestError) as caught:
                call()
            assert (caught.value.code, caught.value.param) == ("state_conflict", "upload_id")
            assert end in caught.value.message
    if end == "cancelled":
        assert client.uploads.cancel(upload.id).status == "cancelled"
    sweep(gateway)
    eventually(lambda: not sql(gateway, "SELECT 1 FROM upload_part WHERE upload_id = %s", upload.id), "parts are gone")
    assert not [path for path in stored(gateway) if part in path.name]
    assert sql(gateway, "SELECT state FROM upload WHERE id = %s", upload.id) == [(end,)]


def test_cancel_takes_any_empty_body(http: httpx.Client, client: openai.OpenAI) -> None:
    for body, headers in itertools.product((b"", b"{}", None), ({"content-type": "application/json"}, {})):
        upload = begin(client, 3)
        response = http.post(f"/v1/uploads/{upload.id}/cancel", content=body, headers=headers)
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")
        assert "file" not in response.json()


def test_the_path_decides_which_upload_is_meant(http: httpx.Client, client: openai.OpenAI) -> None:
    one, other = begin(client, 3), begin(client, 3)
    part = post_form(http, file_part(b"abc", name="data"), path=f"/v1/uploads/{one.id}/parts?upload_id={other.id}")
    assert part.json()["upload_id"] == one.id
    body = {"part_ids": [part.json()["id"]], "upload_id": other.id}
    done = http.post(f"/v1/uploads/{one.id}/complete?upload_id={other.id}", json=body)
    assert (done.json()["id"], done.json()["status"]) == (one.id, "completed")
    cancelled = http.post(f"/v1/uploads/{other.id}/cancel?upload_id={one.id}", json={"upload_id": one.id})
    assert (cancelled.json()["id"], cancelled.json()["status"]) == (other.id, "cancelled")


def test_a_part_form_may_have_fields_around_its_data(http: httpx.Client, client: openai.OpenAI) -> None:
    upload = begin(client, 3)
    response = post_form(
        http,
        field("sequence", "1"),
        file_part(b"abc", "anything", name="data"),
        field("more", "x"),
        path=f"/v1/uploads/{upload.id}/parts",
    )
    assert client.uploads.complete(upload.id, part_ids=[response.json()["id"]]).status == "completed"


@pytest.mark.parametrize(
    ("parts", "status", "code", "param"),
    [
        ((field("x", "1"),), 400, "invalid_field", "data"),
        ((field("data", "abc"),), 400, "invalid_field", "data"),
        ((file_part(b"abc", name="file"),), 400, "invalid_field", "file"),
        ((file_part(b"abc", name="\U0001f600" * 1700),), 400, "invalid_field", "\U0001f600" * 63 + "…"),
        ((file_part(b"abc", name="data"), file_part(b"abc", name="data")), 400, "invalid_field", "data"),
    ],
    ids=["no data", "data without a file name", "another field", "a giant field", "two parts"],
)
def test_a_part_form_that_is_wrong_leaves_nothing(
    gateway: Gateway,
    http: httpx.Client,
    client: openai.OpenAI,
    parts: tuple[bytes, ...],
    status: int,
    code: str,
    param: str,
) -> None:
    upload = begin(client, 3)
    with leaving_nothing(gateway):
        response = post_form(http, *parts, path=f"/v1/uploads/{upload.id}/parts")
        assert_failure(response, status, code=code, param=param)


@pytest.mark.parametrize("over", [0, 1])
def test_a_part_has_64_mib_and_not_a_byte_more(
    gateway: Gateway, http: httpx.Client, client: openai.OpenAI, over: int
) -> None:
    size = 64 * MIB + over
    upload = begin(client, size)
    form = file_part(b"\0", name="data")
    head, tail = form[: form.index(b"\0")], form[form.index(b"\0") + 1 :] + b"--7MA4YWxkTrZu0gW--\r\n"

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(64):
            yield bytes(MIB)
        yield bytes(over) + tail

    response = http.post(f"/v1/uploads/{upload.id}/parts", content=body(), headers={"content-type": FORM_TYPE})
    if over:
        assert_failure(response, 413, code="payload_too_large", param="data")
        eventually(lambda: not part_files(gateway, upload.id), "nothing is left")
    else:
        assert response.status_code == 200
        done = client.uploads.complete(upload.id, part_ids=[response.json()["id"]])
        assert done.file is not None
        client.files.delete(done.file.id)


def test_an_upload_of_nothing_needs_no_part(client: openai.OpenAI) -> None:
    upload = begin(client, 0, mime_type="mime_type")
    file = client.uploads.complete(upload.id, part_ids=[], md5=hashlib.md5(b"").hexdigest()).file
    assert file is not None
    assert file.bytes == 0
    assert client.files.content(file.id).content == b""
    empty = begin(client, 0)
    assert client.uploads.complete(empty.id, part_ids=[add(client, empty, b"")]).status == "completed"


@pytest.mark.parametrize("size", [8 * 1024**3, 1 << 31, 1 << 32])
def test_sizes_beyond_32_bits_are_exact(http: httpx.Client, size: int) -> None:
    body = {"bytes": size, "filename": "a", "mime_type": "b", "purpose": "vision"}
    response = http.post("/v1/uploads", json=body)
    assert f'"bytes":{size},' in response.text
    assert http.post("/v1/uploads", json={**body, "bytes": float(size)}).json()["bytes"] == size


def test_a_cancelled_upload_drops_a_part_that_is_still_coming(gateway: Gateway, client: openai.OpenAI) -> None:
    upload = begin(client, 3 * MIB)
    form = file_part(bytes(3 * MIB), name="data") + b"--7MA4YWxkTrZu0gW--\r\n"
    headers = [("content-type", FORM_TYPE), ("content-length", str(len(form)))]
    with leaving_nothing(gateway), connected(gateway) as connection:
        connection.sendall(request_head(gateway, "POST", f"/v1/uploads/{upload.id}/parts", headers))
        connection.sendall(form[: 2 * MIB])
        query = "SELECT 1 FROM upload_part WHERE upload_id = %s"
        eventually(lambda: sql(gateway, query, upload.id), "the part is coming")
        assert client.uploads.cancel(upload.id).status == "cancelled"
        eventually(lambda: not sql(gateway, query, upload.id), "parts are dropped")
        connection.sendall(form[2 * MIB :])
        reply = read_reply(connection)
        assert reply is not None
        assert_failure(reply, 400, code="state_conflict", param="upload_id")


def test_an_upload_that_is_being_completed_does_not_expire_under_its_maker(
    gateway: Gateway, client: openai.OpenAI
) -> None:
    """Its hour is over while the parts are joined: as long as the maker lives, the parts stay."""
    upload = begin(client, 3)
    part = add(client, upload, b"abc")
    made = "file-" + "0" * 26
    sql(
        gateway,
        "INSERT INTO file (id, owner_id, filename, purpose, size_bytes, sha256, content_type, state, internal,"
        " created_at, lease_expires_at)"
        " VALUES (%s, 'master', '', '', 0, '', '', 'receiving', false, now(), now() + interval '1 hour')",
        made,
    )
    sql(
        gateway,
        "UPDATE upload SET state = 'completing', file_id = %s, expires_at = now() - interval '1 second' WHERE id = %s",
        made,
        upload.id,
    )
    marker = begin(client, 3)
    sql(gateway, "UPDATE upload SET expires_at = now() - interval '1 second' WHERE id = %s", marker.id)
    state = "SELECT state FROM upload WHERE id = %s"
    sweep(gateway)
    eventually(lambda: sql(gateway, state, marker.id) == [("expired",)], "a sweep has run")
    assert sql(gateway, state, upload.id) == [("completing",)]
    with pytest.raises(openai.BadRequestError, match="being completed"):
        client.uploads.cancel(upload.id)
    # The maker dies: what it was making is dropped, and its upload with it.
    sql(gateway, "UPDATE file SET lease_expires_at = now() - interval '1 second' WHERE id = %s", made)
    sweep(gateway)
    eventually(lambda: sql(gateway, state, upload.id) == [("expired",)], "the upload expires")
    eventually(lambda: not sql(gateway, "SELECT 1 FROM file WHERE id = %s", made), "the file is dropped")
    eventually(lambda: not [path for path in stored(gateway) if part in path.name], "its parts are gone")


def test_the_upload_of_a_maker_that_died_can_be_completed_again(gateway: Gateway, client: openai.OpenAI) -> None:
    upload = begin(client, 3)
    part = add(client, upload, b"abc")
    sql(gateway, "UPDATE upload SET state = 'completing', file_id = 'file-gone' WHERE id = %s", upload.id)
    more = add(client, upload, b"")
    done = client.uploads.complete(upload.id, part_ids=[part, more])
    assert done.file is not None
    assert client.files.content(done.file.id).content == b"abc"

"""POST /v1/files, form by form: order, framing, names, expiry, purposes, bytes and what they are."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from tests.api.wire import (
    FORM_TYPE,
    PURPOSES,
    connected,
    field,
    file_part,
    form,
    leaving_nothing,
    post_form,
    read_reply,
    request_head,
)
from tests.conftest import Gateway

PURPOSE = field("purpose", "user_data")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOUR = (field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "3600"))


def content_of(http: httpx.Client, file_id: str) -> bytes:
    response = http.get(f"/v1/files/{file_id}/content")
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    return response.content


@pytest.mark.parametrize(
    "parts",
    [
        (PURPOSE, *HOUR, file_part(b"hello")),
        (file_part(b"hello"), PURPOSE, *HOUR),
        (HOUR[1], file_part(b"hello"), HOUR[0], PURPOSE),
        (field("x", "1"), field("tags[]", "a"), field("meta[k][z]", "1"), PURPOSE, *HOUR, file_part(b"hello")),
        (
            PURPOSE,
            field("expires_after", '{"anchor":"created_at","seconds":3600}', "application/json"),
            file_part(b"hello"),
        ),
    ],
    ids=["before", "behind", "around", "with unknown fields", "as JSON"],
)
def test_fields_may_stand_anywhere(http: httpx.Client, parts: tuple[bytes, ...]) -> None:
    file = post_form(http, *parts).json()
    assert (file["purpose"], file["bytes"], file["filename"]) == ("user_data", 5, "a.txt")
    assert file["expires_at"] == file["created_at"] + 3600
    assert content_of(http, file["id"]) == b"hello"


def test_a_body_of_unknown_length_is_taken(http: httpx.Client) -> None:
    data = os.urandom(300_000)
    body = form(PURPOSE, file_part(data))

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 7919):
            yield body[start : start + 7919]

    response = http.post("/v1/files", content=chunks(), headers={"content-type": FORM_TYPE})
    assert response.request.headers["transfer-encoding"] == "chunked"
    assert content_of(http, response.json()["id"]) == data


def test_bytes_may_come_one_at_a_time(gateway: Gateway, http: httpx.Client) -> None:
    body = form(PURPOSE, file_part(b"\r\n--7MA4YWxkTrZu0g", "é\U0001f600.bin"))
    with connected(gateway) as connection:
        headers = [("content-type", FORM_TYPE), ("content-length", str(len(body)))]
        connection.sendall(request_head(gateway, "POST", "/v1/files", headers))
        for position in range(len(body)):
            connection.sendall(body[position : position + 1])
        reply = read_reply(connection)
    assert reply is not None
    assert reply.status == 200
    assert reply.json()["filename"] == "é\U0001f600.bin"
    assert content_of(http, reply.json()["id"]) == b"\r\n--7MA4YWxkTrZu0g"


@pytest.mark.parametrize(
    "boundary", ["'()+_,-./:=?", "x" * 70, "----WebKitFormBoundary7MA4YWxkTrZu0gW", "with space in"]
)
def test_any_legal_boundary_is_understood(http: httpx.Client, boundary: str) -> None:
    body = form(PURPOSE, file_part(b"hello")).replace(b"7MA4YWxkTrZu0gW", boundary.encode())
    response = http.post(
        "/v1/files",
        content=body,
        headers={"content-type": f'multipart/form-data; charset=utf-8; boundary="{boundary}"'},
    )
    assert response.status_code == 200, response.text


def test_what_follows_the_closing_boundary_is_ignored(http: httpx.Client) -> None:
    response = http.post(
        "/v1/files", content=form(PURPOSE, file_part(b"hello")) + b"epilogue", headers={"content-type": FORM_TYPE}
    )
    assert content_of(http, response.json()["id"]) == b"hello"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("naïve 日本語 \U0001f600.txt", "naïve 日本語 \U0001f600.txt"),
        (b"a%22b.txt", 'a"b.txt'),
        (rb"a\"b.txt", 'a"b.txt'),
        ("100%.txt", "100%.txt"),
        ("a;b=c,d.txt", "a;b=c,d.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (b"C:\\Users\\me\\report.pdf", "report.pdf"),
        ("..", "upload"),
        ("/", "upload"),
        ("", "upload"),
        (b"%0d%0aSet-Cookie: a=b.txt", "Set-Cookie: a=b.txt"),
        ("\u202egpj.exe", "gpj.exe"),
        (".hidden", ".hidden"),
        ("n" * 400 + ".jsonl", "n" * 249 + ".jsonl"),
        ("日" * 200 + ".md", "日" * 84 + ".md"),
    ],
)
def test_a_name_is_kept_without_its_path_and_its_tricks(http: httpx.Client, sent: str | bytes, kept: str) -> None:
    file = post_form(http, PURPOSE, file_part(b"x", sent)).json()
    assert file["filename"] == kept
    disposition = http.head(f"/v1/files/{file['id']}/content").headers["content-disposition"]
    assert disposition.startswith('attachment; filename="')
    assert disposition.isascii()
    assert "\r" not in disposition
    assert "\n" not in disposition


def test_the_extended_name_beats_the_plain_one(http: httpx.Client) -> None:
    part = file_part(b"x").replace(b'filename="a.txt"', b"filename=\"a.txt\"; filename*=UTF-8''na%C3%AFve.txt")
    assert post_form(http, PURPOSE, part).json()["filename"] == "naïve.txt"


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("name", ["train.jsonl", "TRAIN.JSONL"])
def test_every_purpose_is_taken(http: httpx.Client, purpose: str, name: str) -> None:
    file = post_form(http, field("purpose", purpose), file_part(b'{"a":1}\n', name)).json()
    assert (file["purpose"], file["status"], file["filename"]) == (purpose, "processed", name)
    assert file["mediagate"]["content_type"] == "application/jsonl"
    assert file.get("expires_at") == (file["created_at"] + 2_592_000 if purpose == "batch" else None)


@pytest.mark.parametrize("seconds", [3600, 2_592_000])
def test_an_expiry_replaces_the_default(http: httpx.Client, seconds: int) -> None:
    fields = (HOUR[0], field("expires_after[seconds]", str(seconds)))
    file = post_form(http, field("purpose", "batch"), *fields, file_part(b"{}", "a.jsonl")).json()
    assert file["expires_at"] == file["created_at"] + seconds


def test_the_last_of_two_purposes_stands(http: httpx.Client) -> None:
    file = post_form(http, field("purpose", "vision"), file_part(b"x"), field("purpose", "user_data")).json()
    assert file["purpose"] == "user_data"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\r\n",
        b"--7MA4YWxkTrZu0gW",
        b"\r\n--7MA4YWxkTrZu0g",
        b"\r\n-\r\n--\r\n--7\r\n\r",
        bytes(range(256)) * 5000,
        os.urandom(1 << 20) + b"\r",
    ],
    ids=["nothing", "NUL", "a line end", "a boundary", "nearly one", "beginnings of one", "every value", "random"],
)
def test_any_bytes_come_back_as_they_were(http: httpx.Client, data: bytes) -> None:
    file = post_form(http, PURPOSE, file_part(data, "data.bin")).json()
    assert file["bytes"] == len(data)
    assert file["mediagate"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert content_of(http, file["id"]) == data


def zipped(name: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "<w:document/>")
    return archive.getvalue()


DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("data", "name", "known", "served"),
    [
        (PNG, "picture.png", "image/png", "image/png"),
        (PNG, "picture.txt", "image/png", "image/png"),
        (PNG, "nameless", "image/png", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(64), "p.jpg", "image/jpeg", "image/jpeg"),
        (b"GIF89a" + bytes(64), "p.bin", "image/gif", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(64), "p.webp", "image/webp", "image/webp"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "paper.pdf", "application/pdf", "application/pdf"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64), "clip.mp4", "video/mp4", "video/mp4"),
        (b"\0\0\0\x20ftypheic\0\0\2\0" + bytes(64), "p.mp4", "image/heic", "image/heic"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  " + bytes(64), "clip.mov", "video/quicktime", "video/quicktime"),
        (b'{"a": 1}\n{"a": 2}\n', "rows.jsonl", "application/jsonl", "application/jsonl"),
        (b'{"a": 1}', "one.json", "application/json", "application/json"),
        (zipped("word/document.xml"), "letter.docx", DOCX_TYPE, DOCX_TYPE),
        (zipped("a.txt"), "archive.zip", "application/zip", "application/zip"),
        (zipped("a.txt"), "picture.png", "application/zip", "application/zip"),
        ("Grüße".encode(), "note.txt", "text/plain", "text/plain"),
        (b"# Title\n", "note.md", "text/markdown", "text/markdown"),
        (b"a,b\n1,2\n", "table.csv", "text/csv", "text/csv"),
        (HTML, "page.html", "text/html", "application/octet-stream"),
        (SVG, "drawing.svg", "image/svg+xml", "application/octet-stream"),
        (b"plain words", "picture.png", "text/plain", "text/plain"),
        (b"", "empty.txt", "text/plain", "text/plain"),
        (b"", "empty", "application/octet-stream", "application/octet-stream"),
        (b"\x01\x02\x03\x04", "noise", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_the_type_is_found_in_the_bytes(http: httpx.Client, data: bytes, name: str, known: str, served: str) -> None:
    """What the client claims is not used, and nothing is served that a browser would run."""
    file = post_form(http, PURPOSE, file_part(data, name, content_type="text/html")).json()
    assert file["mediagate"]["content_type"] == known
    head = http.head(f"/v1/files/{file['id']}/content")
    assert head.headers["content-type"] == served
    assert head.headers["x-content-type-options"] == "nosniff"


def test_ids_are_opaque_short_and_rise(http: httpx.Client) -> None:
    made = [post_form(http, PURPOSE, file_part(b"x")).json()["id"] for _ in range(5)]
    assert made == sorted(made)
    assert len(set(made)) == 5
    assert all(file_id.startswith("file-") and len(file_id) <= 64 for file_id in made)


def test_a_file_above_the_limit_is_refused_and_leaves_nothing(gateway: Gateway) -> None:
    """The announced length is above the limit of one file, so that not all of it has to be sent."""
    limit = 400 * 1024 * 1024
    head = PURPOSE + file_part(b"")[:-2]
    headers = [("content-type", FORM_TYPE), ("content-length", str(len(head) + limit + 2_000_000))]
    sent = 0
    chunk = bytes(1 << 20)
    with leaving_nothing(gateway), connected(gateway) as connection:
        connection.sendall(request_head(gateway, "POST", "/v1/files", headers) + head)
        with contextlib.suppress(ConnectionError):
            while sent < limit + 1_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        reply = read_reply(connection)
    assert reply is not None
    assert reply.status == 413
    assert reply.json()["error"]["code"] == "payload_too_large"

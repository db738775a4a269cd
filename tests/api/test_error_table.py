"""Every failure of files, uploads, models and keys: cause, status, type, code and param, in one envelope."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from tests.api.wire import (
    CLOSING,
    FORM_TYPE,
    NOBODYS_FILE,
    NOBODYS_PART,
    NOBODYS_UPLOAD,
    assert_failure,
    exchange,
    field,
    file_part,
    form,
    post_form,
    request_head,
)
from tests.conftest import MASTER_KEY, Gateway

PURPOSE = field("purpose", "user_data")
FILE = file_part(b"hello")
UPLOAD = {"bytes": 3, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}
Ask = Callable[[httpx.Client], httpx.Response]


def parts(*sent: bytes) -> Ask:
    """A form to /v1/files."""
    return lambda http: post_form(http, *sent)


def raw(body: bytes, content_type: str = FORM_TYPE) -> Ask:
    """A body to /v1/files as it is."""
    return lambda http: http.post("/v1/files", content=body, headers={"content-type": content_type})


def expiry(**members: str) -> Ask:
    """A form with `expires_after[...]`."""
    fields = [field(f"expires_after[{name}]", value) for name, value in members.items()]
    return parts(PURPOSE, *fields, FILE)


def upload(**members: Any) -> Ask:
    """A creation of an upload with some members changed; None takes one away."""
    body = {name: value for name, value in {**UPLOAD, **members}.items() if value is not None}
    return lambda http: http.post("/v1/uploads", json=body)


def json_body(path: str, body: bytes) -> Ask:
    """A body said to be JSON."""
    return lambda http: http.post(path, content=body, headers={"content-type": "application/json"})


def get(path: str, **headers: str) -> Ask:
    """A GET."""
    return lambda http: http.get(path, headers=headers)


def named(what: str) -> str:
    """A test's id without spaces, so that it can be given to `pytest -k` and as a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", what)


FAILURES: list[tuple[str, Ask, int, str, str | None]] = [
    # What, request, status, code, param.
    ("no such file", get(f"/v1/files/{NOBODYS_FILE}"), 404, "not_found", "id"),
    ("an id of another kind", get(f"/v1/files/{NOBODYS_UPLOAD}"), 404, "not_found", "id"),
    ("no id at all", get("/v1/files/etc"), 404, "not_found", "id"),
    ("an id in upper case", get(f"/v1/files/{NOBODYS_FILE.upper()}"), 404, "not_found", "id"),
    ("a slash in an id", get("/v1/files/a%2Fb"), 404, "not_found", "id"),
    ("a way up in an id", get("/v1/files/..%2F..%2Fetc%2Fpasswd"), 404, "not_found", "id"),
    ("SQL in an id", get("/v1/files/file-'%20OR%201=1--"), 404, "not_found", "id"),
    ("letters from far away in an id", get("/v1/files/%E6%97%A5%F0%9F%98%80"), 404, "not_found", "id"),
    ("a line break in an id", get("/v1/files/a%0D%0Ab"), 404, "not_found", "id"),
    ("an id that is too long", get("/v1/files/" + "a" * 2049), 400, "invalid_field", "file_id"),
    ("an id of 40 kB", get("/v1/files/" + "a" * 40_000), 400, "invalid_field", "file_id"),
    ("bytes in the path that are no UTF-8", get("/v1/files/%ff"), 400, "invalid_request", None),
    ("half a character in the path", get("/v1/files/%C3"), 400, "invalid_request", None),
    ("half a surrogate pair in the path", get("/v1/files/%ED%A0%80"), 400, "invalid_request", None),
    ("NUL in the path", get("/v1/files/%00"), 400, "invalid_request", None),
    ("half an escape in the path", get("/v1/files/%4"), 400, "invalid_request", None),
    ("content of no file", get(f"/v1/files/{NOBODYS_FILE}/content"), 404, "not_found", "id"),
    ("deletion of no file", lambda http: http.delete(f"/v1/files/{NOBODYS_FILE}"), 404, "not_found", "id"),
    ("no such path", get("/v1/nothing"), 404, "unknown_url", None),
    ("no such path, with a body", json_body("/v1/nothing", b"x" * 100_000), 404, "unknown_url", None),
    ("no such path below a file", get(f"/v1/files/{NOBODYS_FILE}/nothing"), 404, "unknown_url", None),
    ("PUT of a file", lambda http: http.put(f"/v1/files/{NOBODYS_FILE}"), 405, "method_not_allowed", None),
    ("GET of an upload", get(f"/v1/uploads/{NOBODYS_UPLOAD}/complete"), 405, "method_not_allowed", None),
    ("DELETE of all files", lambda http: http.delete("/v1/files"), 405, "method_not_allowed", None),
    ("limit 0", get("/v1/files?limit=0"), 400, "invalid_field", "limit"),
    ("limit 10001", get("/v1/files?limit=10001"), 400, "invalid_field", "limit"),
    ("limit -1", get("/v1/files?limit=-1"), 400, "invalid_value", "limit"),
    ("limit of letters", get("/v1/files?limit=ten"), 400, "invalid_value", "limit"),
    ("another order", get("/v1/files?order=upwards"), 400, "invalid_field", "order"),
    ("a cursor that is no id", get("/v1/files?after=zzz"), 404, "not_found", "after"),
    ("a cursor that is too long", get("/v1/files?after=" + "z" * 2049), 400, "invalid_field", "after"),
    ("no such model", get("/v1/models/nothing"), 404, "model_not_found", "model"),
    ("no such model with slashes", get("/v1/models/a/b%2Fc:d"), 404, "model_not_found", "model"),
    ("JSON without a source", lambda h: h.post("/v1/files", json=UPLOAD), 400, "invalid_field", "source"),
    ("no body where a form belongs", lambda h: h.post("/v1/files"), 415, "unsupported_media_type", None),
    ("another kind of form", raw(b"a=b", "application/x-www-form-urlencoded"), 415, "unsupported_media_type", None),
    (
        "another kind of multipart",
        raw(form(PURPOSE, FILE), FORM_TYPE.replace("form-data", "mixed")),
        415,
        "unsupported_media_type",
        None,
    ),
    ("a form without a boundary", raw(form(PURPOSE, FILE), "multipart/form-data"), 400, "invalid_request", None),
    ("another boundary", raw(form(PURPOSE, FILE), "multipart/form-data; boundary=other"), 400, "invalid_request", None),
    (
        "a boundary that is too long",
        raw(b"", f"multipart/form-data; boundary={'b' * 71}"),
        400,
        "invalid_request",
        None,
    ),
    ("an empty form body", raw(b""), 400, "upload_truncated", None),
    ("a form without its end", raw(PURPOSE + FILE), 400, "upload_truncated", None),
    ("a form with half its end", raw(form(PURPOSE, FILE)[:-3]), 400, "upload_truncated", None),
    ("a form of nothing", raw(CLOSING), 400, "invalid_field", "file"),
    ("no file", parts(PURPOSE), 400, "invalid_field", "file"),
    ("a file without a file name", parts(PURPOSE, field("file", "hello")), 400, "invalid_field", "file"),
    ("two files", parts(PURPOSE, FILE, FILE), 400, "invalid_field", "file"),
    ("a file in another field", parts(PURPOSE, file_part(b"x", name="data")), 400, "invalid_field", "data"),
    (
        "a file in a field of 7 kB",
        parts(PURPOSE, file_part(b"x", name="n" * 7000)),
        400,
        "invalid_field",
        "n" * 63 + "…",
    ),
    (
        "a file in a field of faces",
        parts(PURPOSE, file_part(b"x", name="😀" * 1700)),
        400,
        "invalid_field",
        "😀" * 63 + "…",
    ),
    ("no purpose", parts(FILE), 400, "invalid_field", "purpose"),
    ("an empty purpose", parts(field("purpose", ""), FILE), 400, "invalid_field", "purpose"),
    ("another purpose", parts(field("purpose", "answers"), FILE), 400, "invalid_field", "purpose"),
    ("a purpose that only we give", parts(field("purpose", "batch_output"), FILE), 400, "invalid_field", "purpose"),
    ("another purpose behind the file", parts(FILE, field("purpose", "answers")), 400, "invalid_field", "purpose"),
    ("a purpose of 100 kB", parts(field("purpose", "p" * 100_000), FILE), 400, "invalid_field", "purpose"),
    ("a purpose that is no UTF-8", parts(field("purpose", b"\xff\xfe"), FILE), 400, "invalid_field", "purpose"),
    ("a list of purposes", parts(field("purpose[]", "vision"), FILE), 400, "invalid_field", "purpose"),
    ("a batch of text", parts(field("purpose", "batch"), FILE), 400, "invalid_field", "file"),
    ("training text", parts(FILE, field("purpose", "fine-tune")), 400, "invalid_field", "file"),
    ("too many fields", parts(PURPOSE, *[field(f"f{n}", "") for n in range(100)], FILE), 400, "invalid_request", None),
    ("a giant field", parts(field("g", "x" * 300_000), PURPOSE, FILE), 413, "payload_too_large", "g"),
    ("a giant header of a part", parts(PURPOSE, file_part(b"x", "n" * 9000)), 400, "invalid_request", None),
    ("a part without a name", raw(b"--7MA4YWxkTrZu0gW\r\n\r\nx\r\n" + CLOSING), 400, "invalid_request", None),
    ("a garbled field name", parts(PURPOSE, field("a[", "x"), FILE), 400, "invalid_field", "a["),
    (
        "base64 in a form",
        parts(PURPOSE, FILE.replace(b"Content-Type: application/octet-stream", b"Content-Transfer-Encoding: base64")),
        400,
        "invalid_field",
        "file",
    ),
    ("an expiry without its anchor", expiry(seconds="3600"), 400, "invalid_field", "expires_after[anchor]"),
    (
        "an expiry from another anchor",
        expiry(anchor="x", seconds="3600"),
        400,
        "invalid_field",
        "expires_after[anchor]",
    ),
    ("an expiry without its seconds", expiry(anchor="created_at"), 400, "invalid_field", "expires_after[seconds]"),
    *[
        (
            f"an expiry of {text!r}",
            expiry(anchor="created_at", seconds=text),
            400,
            "invalid_field",
            "expires_after[seconds]",
        )
        for text in ("3599", "2592001", "-3600", "+3600", "3600.0", "3_600", "٣٦٠٠", "1e4", "NaN", "", "9" * 5000)
    ],
    (
        "an expiry that is a word",
        parts(PURPOSE, field("expires_after", "soon"), FILE),
        400,
        "invalid_field",
        "expires_after",
    ),
    ("broken JSON", json_body("/v1/uploads", b'{"bytes": 3,'), 400, "invalid_json", None),
    ("JSON that is a list", json_body("/v1/uploads", b"[1]"), 400, "invalid_json", None),
    ("JSON that is no UTF-8", json_body("/v1/uploads", b'{"filename": "\xff"}'), 400, "invalid_json", None),
    ("an upload of words", upload(bytes="three"), 400, "invalid_value", "bytes"),
    ("an upload of half a byte", upload(bytes=1.5), 400, "invalid_field", "bytes"),
    ("an upload of less than nothing", upload(bytes=-1), 400, "invalid_field", "bytes"),
    ("an upload of NaN", upload(bytes="NaN"), 400, "invalid_field", "bytes"),
    ("an upload without a size", upload(bytes=None), 400, "invalid_field", "bytes"),
    ("an upload that is too large", upload(bytes=8 * 1024**3 + 1), 413, "payload_too_large", "bytes"),
    (
        "an upload that is too large for a batch",
        upload(bytes=200 * 1024**2 + 1, purpose="batch", filename="a.jsonl"),
        413,
        "payload_too_large",
        "bytes",
    ),
    ("an upload without a name", upload(filename=None), 400, "invalid_field", "filename"),
    ("an upload without a type", upload(mime_type=None), 400, "invalid_field", "mime_type"),
    ("an upload with NUL in its type", upload(mime_type="a\0b"), 400, "invalid_request", None),
    ("an upload without a purpose", upload(purpose=None), 400, "invalid_field", "purpose"),
    ("an upload for another purpose", upload(purpose="answers"), 400, "invalid_field", "purpose"),
    ("an upload of text for a batch", upload(purpose="batch"), 400, "invalid_field", "file"),
    (
        "an upload with another anchor",
        upload(expires_after={"anchor": "x", "seconds": 3600}),
        400,
        "invalid_field",
        "expires_after.anchor",
    ),
    (
        "an upload with a short life",
        upload(expires_after={"anchor": "created_at", "seconds": 1}),
        400,
        "invalid_field",
        "expires_after.seconds",
    ),
    (
        "a part for no upload",
        lambda h: post_form(h, file_part(b"x", name="data"), path=f"/v1/uploads/{NOBODYS_UPLOAD}/parts"),
        404,
        "not_found",
        "id",
    ),
    (
        "completion of no upload",
        json_body(f"/v1/uploads/{NOBODYS_UPLOAD}/complete", b'{"part_ids":[]}'),
        404,
        "not_found",
        "id",
    ),
    ("cancellation of no upload", json_body(f"/v1/uploads/{NOBODYS_UPLOAD}/cancel", b""), 404, "not_found", "id"),
    (
        "an MD5 that is none",
        json_body(f"/v1/uploads/{NOBODYS_UPLOAD}/complete", b'{"part_ids":[],"md5":"x"}'),
        400,
        "invalid_field",
        "md5",
    ),
    (
        "a part id of another type",
        json_body(f"/v1/uploads/{NOBODYS_UPLOAD}/complete", b'{"part_ids":{}}'),
        400,
        "invalid_json",
        None,
    ),
    (
        "a part id that is too long",
        json_body(f"/v1/uploads/{NOBODYS_UPLOAD}/complete", json.dumps({"part_ids": ["p" * 300]}).encode()),
        400,
        "invalid_field",
        "part_ids",
    ),
    (
        "too many part ids",
        json_body(f"/v1/uploads/{NOBODYS_UPLOAD}/complete", json.dumps({"part_ids": [NOBODYS_PART] * 10_001}).encode()),
        400,
        "invalid_field",
        "part_ids",
    ),
]


@pytest.mark.parametrize(
    ("ask", "status", "code", "param"),
    [row[1:] for row in FAILURES],
    ids=[named(row[0]) for row in FAILURES],
)
def test_a_failure_says_what_is_wrong(http: httpx.Client, ask: Ask, status: int, code: str, param: str | None) -> None:
    assert_failure(ask(http), status, code=code, param=param)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/files", "GET, POST, PUT"),
        (f"/v1/files/{NOBODYS_FILE}", "DELETE, GET"),
        (f"/v1/files/{NOBODYS_FILE}/content", "GET, HEAD"),
        (f"/v1/files/{NOBODYS_FILE}/delete", "DELETE, POST"),
        ("/v1/uploads", "POST"),
        (f"/v1/uploads/{NOBODYS_UPLOAD}/parts", "POST"),
        ("/v1/models", "GET"),
        ("/openai/v1/files", "GET, POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(http: httpx.Client, path: str, allowed: str) -> None:
    response = http.patch(path)
    assert_failure(response, 405, code="method_not_allowed")
    assert response.headers["allow"] == allowed


KEY = MASTER_KEY.encode()
KEYS: list[tuple[str, list[tuple[str, bytes]], bool]] = [
    # What, headers, whether they open.
    ("bearer", [("authorization", b"Bearer " + KEY)], True),
    ("bearer in capitals, with spaces", [("authorization", b"BEARER   " + KEY + b" ")], True),
    ("api-key", [("api-key", KEY)], True),
    ("no key", [], False),
    ("an empty bearer", [("authorization", b"Bearer ")], False),
    ("an empty header", [("authorization", b"")], False),
    ("an empty api-key", [("api-key", b"")], False),
    ("another key", [("authorization", b"Bearer sk-other")], False),
    ("the key and more", [("authorization", b"Bearer " + KEY + b"x")], False),
    ("the beginning of the key", [("authorization", b"Bearer " + KEY[:-1])], False),
    ("the key in capitals", [("authorization", b"Bearer " + KEY.upper())], False),
    ("the key without a scheme", [("authorization", KEY)], False),
    ("another scheme", [("authorization", b"Basic " + KEY)], False),
    ("a wrong bearer beside the right api-key", [("authorization", b"Bearer no"), ("api-key", KEY)], False),
    ("two bearers, the first one right", [("authorization", b"Bearer " + KEY), ("authorization", b"Bearer no")], False),
    ("two bearers, the last one right", [("authorization", b"Bearer no"), ("authorization", b"Bearer " + KEY)], False),
    ("letters of UTF-8", [("authorization", "Bearer schlüssel✓".encode())], False),
    ("bytes that are no UTF-8", [("authorization", b"Bearer \xff\xfe\x80")], False),
    ("50 kB", [("authorization", b"Bearer " + b"k" * 50_000)], False),
]


@pytest.mark.parametrize(("headers", "opens"), [row[1:] for row in KEYS], ids=[named(row[0]) for row in KEYS])
@pytest.mark.parametrize("path", ["/v1/models", f"/v1/files/{NOBODYS_FILE}"])
def test_only_the_key_opens(gateway: Gateway, path: str, headers: list[tuple[str, bytes]], opens: bool) -> None:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    reply = exchange(gateway, f"GET {path} HTTP/1.1\r\nhost: x\r\n".encode() + lines + b"\r\n")
    assert reply is not None
    if opens:
        assert reply.status in (200, 404)
        return
    message = assert_failure(reply, 401, kind="authentication_error", code="invalid_api_key")
    assert "sk-" not in message
    assert "kkk" not in message


@pytest.mark.parametrize("value", [b"Bearer a\0b", b"Bearer a\x01b"], ids=["NUL", "SOH"])
def test_a_control_character_in_a_key_is_a_bad_request(gateway: Gateway, value: bytes) -> None:
    reply = exchange(gateway, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: " + value + b"\r\n\r\n")
    assert reply is not None
    assert_failure(reply, 400, code="invalid_request")


@pytest.mark.parametrize("data", [b"\0\1\2\r\n\r\n", b"GET /v1/files/\xff HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_what_is_no_http_is_a_bad_request(gateway: Gateway, data: bytes) -> None:
    reply = exchange(gateway, data)
    assert reply is not None
    assert_failure(reply, 400, code="invalid_request")


def test_a_key_of_a_megabyte_is_refused_before_it_is_read(gateway: Gateway) -> None:
    lines = b"authorization: Bearer " + b"k" * 1_000_000
    reply = exchange(gateway, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n\r\n")
    assert reply is not None
    assert_failure(reply, 431, code="headers_too_large")


def test_no_key_gets_into_a_log(gateway: Gateway) -> None:
    for value in (
        b"Bearer sk-canary-1",
        b"Bearer sk-canary-2\xff",
        b"sk-canary-3",
        b"Bearer sk-canary-4" + b"k" * 50_000,
    ):
        for name in (b"authorization", b"api-key"):
            head = b"GET /v1/models?key=" + value[-9:-1].hex().encode() + b" HTTP/1.1\r\nhost: x\r\n"
            reply = exchange(gateway, head + name + b": " + value + b"\r\n\r\n")
            assert reply is not None
            assert reply.status == 401
    for path in (gateway.data_dir / "logs").iterdir():
        assert b"sk-canary" not in path.read_bytes(), path.name
        assert gateway.key.encode() not in path.read_bytes(), path.name


def test_without_a_key_nothing_of_a_body_is_judged(gateway: Gateway) -> None:
    data = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: text/html\r\ncontent-length: 3\r\n\r\nabc"
    reply = exchange(gateway, data)
    assert reply is not None
    assert_failure(reply, 401, kind="authentication_error", code="invalid_api_key")


def test_a_form_that_is_too_large_by_its_own_word_is_refused_unread(gateway: Gateway) -> None:
    headers = [("content-type", FORM_TYPE), ("content-length", str(1 << 50))]
    reply = exchange(gateway, request_head(gateway, "POST", "/v1/files", headers))
    assert reply is not None
    assert_failure(reply, 413, code="payload_too_large")


def test_unknown_query_members_are_ignored(http: httpx.Client) -> None:
    assert http.get("/v1/files?limit=1&beta=true&api-version=2025-04-01&x[y]=1&=&a=%F0%9F%98%80").status_code == 200
    assert http.get("/v1/models?_=1").status_code == 200


@pytest.mark.parametrize("query", ["limit=%ff", "purpose=%00", "order=%C3", "after=%ED%A0%80", "purpose=%4"])
def test_a_query_that_is_no_text_is_a_bad_request(http: httpx.Client, query: str) -> None:
    assert_failure(http.get(f"/v1/files?{query}"), 400, code="invalid_request")


@pytest.mark.parametrize(
    ("call", "expected", "status"),
    [
        (lambda c: c.files.retrieve(NOBODYS_FILE), openai.NotFoundError, 404),
        (lambda c: c.files.delete(NOBODYS_FILE), openai.NotFoundError, 404),
        (lambda c: c.files.content(NOBODYS_FILE), openai.NotFoundError, 404),
        (lambda c: c.models.retrieve("nothing/at:all"), openai.NotFoundError, 404),
        (lambda c: c.files.create(file=b"x", purpose="answers"), openai.BadRequestError, 400),
        (lambda c: c.files.list(limit=0), openai.BadRequestError, 400),
        (
            lambda c: c.uploads.create(bytes=-1, filename="a", mime_type="b", purpose="vision"),
            openai.BadRequestError,
            400,
        ),
        (
            lambda c: c.uploads.create(bytes=1 << 40, filename="a", mime_type="b", purpose="vision"),
            openai.APIStatusError,
            413,
        ),
        (lambda c: c.uploads.parts.create(NOBODYS_UPLOAD, data=b"x" * 3_000_000), openai.NotFoundError, 404),
        (lambda c: c.uploads.complete(NOBODYS_UPLOAD, part_ids=["x"]), openai.NotFoundError, 404),
        (lambda c: c.uploads.cancel(NOBODYS_UPLOAD), openai.NotFoundError, 404),
        (lambda c: c.with_options(api_key="sk-no").files.list(), openai.AuthenticationError, 401),
        (
            lambda c: c.with_options(api_key="sk-no").files.create(file=b"x" * 5_000_000, purpose="vision"),
            openai.AuthenticationError,
            401,
        ),
        (lambda c: c.get("/_unknown_path", cast_to=object), openai.NotFoundError, 404),
        (lambda c: c.post("/_unknown_path", body={"a": "b" * 500_000}, cast_to=object), openai.NotFoundError, 404),
        (lambda c: c.put(f"/files/{NOBODYS_FILE}", cast_to=object), openai.APIStatusError, 405),
        (lambda c: c.post("/files", body={"a": 1}, cast_to=object), openai.BadRequestError, 400),
    ],
)
def test_the_sdk_raises_the_right_exception(
    client: openai.OpenAI, call: Callable[[openai.OpenAI], object], expected: type[openai.APIStatusError], status: int
) -> None:
    with pytest.raises(expected) as caught:
        call(client)
    error = caught.value
    assert type(error) is expected
    assert error.status_code == status
    assert error.request_id
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert (error.type, error.code) == (error.body["type"], error.body["code"])
    assert error.message.endswith(error.body["message"]) or str(error.body["message"]) in error.message


def test_no_failure_that_the_caller_caused_is_repeated_by_the_sdk(gateway: Gateway) -> None:
    patient = gateway.openai().with_options(max_retries=5, timeout=60)
    for call in (
        lambda: patient.files.retrieve(NOBODYS_FILE),
        lambda: patient.files.create(file=b"x", purpose="answers"),  # type: ignore[arg-type]
        lambda: patient.uploads.complete(NOBODYS_UPLOAD, part_ids=[]),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            call()
        assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"


def test_garbled_forms_are_refused_or_taken_but_never_break_anything(http: httpx.Client) -> None:
    """A whole form with bytes changed, dropped, doubled and moved, some hundred times."""
    chance = random.Random(4711)
    whole = form(PURPOSE, field("expires_after[anchor]", "created_at"), FILE, field("expires_after[seconds]", "3600"))
    pieces = [b"\r\n", b"--", b"\0", b'"', b";", b"7MA4YWxkTrZu0gW", b"Content-Disposition: ", b"\xff", b"name=", b"\n"]
    for _ in range(400):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(len(body))
            end = min(len(body), start + chance.choice((0, 1, 2, 20, 100)))
            body[start:end] = chance.choice((b"", bytes(body[start:end]) * 2, chance.choice(pieces)))
        response = http.post("/v1/files", content=bytes(body), headers={"content-type": FORM_TYPE})
        assert response.status_code in (200, 400, 413), body
        if response.status_code != 200:
            error = response.json()["error"]
            assert_failure(response, response.status_code, code=error["code"], param=error["param"])


def test_head_of_nothing_has_no_body(http: httpx.Client) -> None:
    response = http.head(f"/v1/files/{NOBODYS_FILE}/content")
    assert response.status_code == 404
    assert response.content == b""
    assert response.headers["x-should-retry"] == "false"


def test_failures_keep_the_connection_in_order(gateway: Gateway) -> None:
    """Refusals in the middle of a keep-alive connection do not shift the replies that follow."""
    with httpx.Client(base_url=gateway.url, headers=gateway.auth, limits=httpx.Limits(max_connections=1)) as http:
        for _ in range(3):
            assert http.get("/v1/models").status_code == 200
            assert post_form(http, FILE, FILE).status_code == 400
            assert post_form(http, file_part(b"x" * 2_000_000, name="data")).status_code == 400
            assert http.get(f"/v1/files/{NOBODYS_FILE}").status_code == 404

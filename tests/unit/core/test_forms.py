"""What real clients send, and what a hostile or broken one hears."""

from __future__ import annotations

import json
import time

import pytest

from mediagate.core.errors import InvalidField, InvalidRequest, MediagateError, PayloadTooLarge, TruncatedUpload
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent, FormLimits, FormReader

LIMITS = FormLimits()
CONTENT_TYPE = "multipart/form-data; boundary=frontier"


def part(disposition: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"Content-Disposition: {disposition}", *headers]
    return b"--frontier\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


def read(body: bytes, *, limits: FormLimits = LIMITS, content_type: str = CONTENT_TYPE) -> list[FormEvent]:
    reader = FormReader(content_type, limits=limits)
    events = reader.feed(body)
    reader.finish()
    return events


def refusal(body: bytes, *, limits: FormLimits = LIMITS, content_type: str = CONTENT_TYPE) -> MediagateError:
    with pytest.raises(MediagateError) as caught:
        read(body, limits=limits, content_type=content_type)
    return caught.value


def test_a_form_as_the_node_sdk_sends_it_file_first() -> None:
    body = form(
        part('form-data; name="file"; filename="a.mp4"', b"\0\1\2", "Content-Type: video/mp4"),
        part('form-data; name="purpose"', b"user_data"),
        part('form-data; name="expires_after[anchor]"', b"created_at"),
    )
    assert read(body) == [
        FileStart("file", "a.mp4", "video/mp4"),
        FileData(b"\0\1\2"),
        FileEnd(),
        FieldEnd("purpose", "user_data"),
        FieldEnd("expires_after[anchor]", "created_at"),
    ]


def test_an_empty_file_has_a_start_and_an_end() -> None:
    body = form(part('form-data; name="file"; filename="a"'))
    assert read(body) == [FileStart("file", "a", "application/octet-stream"), FileEnd()]


def test_a_form_without_parts_is_complete() -> None:
    assert read(b"--frontier--") == []


def test_a_leading_line_break_and_an_epilogue_are_nothing() -> None:
    body = b"\r\n" + form(part('form-data; name="a"', b"1")) + b"and so on"
    reader = FormReader(CONTENT_TYPE, limits=LIMITS)
    events = [event for byte in body for event in reader.feed(bytes([byte]))]
    reader.finish()
    assert events == [FieldEnd("a", "1")]
    assert reader.received_bytes == len(body)


def test_an_empty_chunk_is_not_the_end() -> None:
    reader = FormReader(CONTENT_TYPE, limits=LIMITS)
    assert reader.feed(b"") == []
    assert reader.feed(b"--fron") == []
    assert reader.feed(b"") == []
    assert reader.feed(b"tier--") == []
    reader.finish()


def test_a_chunk_inside_a_file_comes_out_as_the_same_object() -> None:
    reader = FormReader(CONTENT_TYPE, limits=LIMITS)
    reader.feed(b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')
    chunk = bytes(1024 * 1024)
    (event,) = reader.feed(chunk)
    assert isinstance(event, FileData)
    assert event.data is chunk


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ('filename="naïve 日本.txt"', "naïve 日本.txt"),
        ('filename="a%22b.txt"', 'a"b.txt'),
        ('filename="a\\"b.txt"', 'a"b.txt'),
        ('filename="100%25.txt"', "100%25.txt"),
        ('filename="a;b=c.txt"', "a;b=c.txt"),
        ("filename=plain.txt", "plain.txt"),
        ("filename=two words.txt ;", "two words.txt"),
        ('filename="C:\\x\\a.txt"', "a.txt"),
        ('filename="C:\\\\x\\\\a.txt"', "a.txt"),
        ('filename="C:\\x\\"', "upload"),
        ('filename="/etc/passwd"', "passwd"),
        ('filename=".."', "upload"),
        ('filename=""', "upload"),
        ("filename=", "upload"),
        ('filename="a\0b\x01\x7f.txt"', "ab.txt"),
        ('filename="a%0D%0Ab.txt"', "ab.txt"),
        ("filename*=UTF-8''na%C3%AFve%20%2F..%2Fa.txt", "a.txt"),
        ("filename*=iso-8859-1'en'na%EFve.txt", "naïve.txt"),
        ("filename=\"fallback.txt\"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        ('FileName="a.txt"', "a.txt"),
    ],
)
def test_file_names(parameter: str, expected: str) -> None:
    start = read(form(part(f'form-data; name="file"; {parameter}')))[0]
    assert isinstance(start, FileStart)
    assert (start.name, start.filename) == ("file", expected)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("mime_type", "application/octet-stream"),
        ("text/plain; x=\u20ac", "application/octet-stream"),
        ("text/" + "x" * 255, "application/octet-stream"),
    ],
)
def test_a_file_type_is_safe_to_repeat_in_a_header(header: str, expected: str) -> None:
    start = read(form(part('form-data; name="file"; filename="a"', b"", f"Content-Type: {header}")))[0]
    assert isinstance(start, FileStart)
    assert start.content_type == expected


def test_a_json_part_becomes_the_fields_that_an_sdk_would_send() -> None:
    value = {
        "anchor": "created_at",
        "seconds": 3600,
        "ratio": 5.0,
        "on": True,
        "off": False,
        "none": None,
        "tags": ["x", 1],
    }
    body = form(
        part('form-data; name="e"', json.dumps(value).encode(), "Content-Type: application/json; charset=utf-8"),
        part('form-data; name="seconds"', b'"8"', "Content-Type: application/json"),
    )
    assert read(body) == [
        FieldEnd("e[anchor]", "created_at"),
        FieldEnd("e[seconds]", "3600"),
        FieldEnd("e[ratio]", "5.0"),
        FieldEnd("e[on]", "true"),
        FieldEnd("e[off]", "false"),
        FieldEnd("e[tags][]", "x"),
        FieldEnd("e[tags][]", "1"),
        FieldEnd("seconds", "8"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[NaN]",
        b'{"a[b]": 1}',
        b'{"": 1}',
        b'{"a\\u0000": 1}',
        b'"\\ud800"',
        b'"\\u0000"',
        b"[[1]]",
        b'[{"a": 1}]',
        b'{"a":' * 9 + b"1" + b"}" * 9,
        b"[" * 9_999,
        b"[" + b"1," * 10_000 + b"1]",
    ],
)
def test_a_json_part_without_a_form_is_refused_by_name(text: bytes) -> None:
    error = refusal(form(part('form-data; name="e"', text, "Content-Type: application/json")))
    assert isinstance(error, InvalidField)
    assert error.param is not None
    assert error.param.startswith("e")


def test_a_text_field_says_its_own_charset() -> None:
    body = form(
        part('form-data; name="a"', "ü".encode("latin-1"), "Content-Type: text/plain; charset=ISO-8859-1"),
        part('form-data; name="b"', "ü".encode(), 'Content-Type: text/plain; charset="UTF-8"'),
    )
    assert read(body) == [FieldEnd("a", "ü"), FieldEnd("b", "ü")]


@pytest.mark.parametrize(
    ("text", "headers"),
    [(b"\xff", ()), (b"a\0b", ()), (b"a", ("Content-Type: text/plain; charset=utf-7",))],
)
def test_a_field_that_is_no_text_is_refused_by_name(text: bytes, headers: tuple[str, ...]) -> None:
    error = refusal(form(part('form-data; name="a"', text, *headers)))
    assert isinstance(error, InvalidField)
    assert error.param == "a"


@pytest.mark.parametrize(
    ("content_type", "sign"),
    [
        ("", "multipart/form-data"),
        ("application/json", "'application/json'"),
        ("multipart/mixed; boundary=a", "'multipart/mixed'"),
        ("multipart/form-data", "boundary"),
        ("multipart/form-data; boundary=", "boundary"),
        ("multipart/form-data; boundary=a b c ; boundary=d", "garbled"),
        ('multipart/form-data; boundary="a', "garbled"),
        ('multipart/form-data; boundary="a "', "boundary"),
        ("multipart/form-data; boundary=ä", "boundary"),
        ('multipart/form-data; boundary="a\nb"', "boundary"),
        ("multipart/form-data; boundary=" + "a" * 71, "boundary"),
    ],
)
def test_a_content_type_that_cannot_be_read(content_type: str, sign: str) -> None:
    error = refusal(b"", content_type=content_type)
    assert type(error) is InvalidRequest
    assert sign in error.message


@pytest.mark.parametrize(
    "content_type",
    [
        'Multipart/Form-Data; charset=utf-8; Boundary="frontier"',
        "multipart/form-data;boundary=frontier;",
        "multipart/form-data ; ; boundary = frontier ",
    ],
)
def test_a_content_type_in_other_spellings(content_type: str) -> None:
    assert read(form(part("form-data; name=a", b"1")), content_type=content_type) == [FieldEnd("a", "1")]


NAMED = b'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    ("body", "sign"),
    [
        (b"preamble\r\n" + form(), "boundary that the Content-Type header names"),
        (b"--other--", "boundary that the Content-Type header names"),
        (b"\rx", "boundary that the Content-Type header names"),
        (b"--frontier\n\n", "CR LF"),
        (b"--frontierx\r\n", "boundary"),
        (b"--frontier\r\n" + NAMED + b"\r\n\r\n1\r\n--frontierx\r\n", "boundary"),
        (b"--frontier\r\n" + NAMED + b"\n\n", "CR LF"),
        (b"--frontier\r\n" + NAMED + b"\nX: y\r\n\r\n", "line break"),
        (b"--frontier\r\n" + NAMED + b"\rX: y\r\n\r\n", "line break"),
        (b"--frontier\r\n" + NAMED + b"\r\n" + NAMED + b"\r\n\r\n", "twice"),
        (b"--frontier\r\n" + NAMED + b"; filename=\xff\r\n\r\n", "UTF-8"),
        (b"--frontier\r\nContent-Type: text/plain\r\n\r\n", "Content-Disposition"),
        (b"--frontier\r\nContent-Disposition: attachment; name=a\r\n\r\n", "Content-Disposition"),
        (b"--frontier\r\nno colon\r\n\r\n", "HTTP client"),
        (form(part("form-data")), "needs a name"),
        (form(part('form-data; name=""')), "needs a name"),
        (form(part('form-data; name="a%0Ab"')), "needs a name"),
        (form(part('form-data; name="a')), "garbled"),
        (form(part("form-data; name=a; name=b")), "garbled"),
        (form(part("form-data; name=a", b"123", "Content-Length: 2")), "Content-Length"),
        (form(part("form-data; name=a", b"123", "Content-Length: 4")), "Content-Length"),
        (form(part("form-data; name=a", b"", *["X: y"] * 8)), "header lines"),
        (form(part("form-data; name=a", b"", "X: " + "y" * 9000)), "header lines"),
        (b"--frontier\r\n" + b"x" * 9000, "header lines"),
    ],
)
def test_a_broken_form_is_an_invalid_request_that_says_what_to_do(body: bytes, sign: str) -> None:
    error = refusal(body)
    assert type(error) is InvalidRequest
    assert sign in error.message


@pytest.mark.parametrize(
    ("disposition", "headers"),
    [
        ("form-data; name=a; filename*=a.txt", ()),
        ("form-data; name=a; filename*=UTF-8''%ff", ()),
        ("form-data; name=a; filename*=utf-7''a", ()),
        ("form-data; name=a; filename=a", ("Content-Transfer-Encoding: base64",)),
    ],
)
def test_a_part_that_would_be_misread_is_refused_by_name(disposition: str, headers: tuple[str, ...]) -> None:
    error = refusal(form(part(disposition, b"", *headers)))
    assert isinstance(error, InvalidField)
    assert error.param == "a"


SMALL = FormLimits(
    fields_max=2, field_bytes_max=4, fields_bytes_max=6, file_bytes_max=8, headers_max=2, header_bytes_max=80
)


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        (form(*[part("form-data; name=a")] * 3), InvalidRequest, None),
        (form(part("form-data; name=a", b"[1,2,3]", "Content-Type: application/json")), PayloadTooLarge, "a"),
        (form(part("form-data; name=a", b"12345")), PayloadTooLarge, "a"),
        (form(part("form-data; name=a", b"1234"), part("form-data; name=b", b"123")), PayloadTooLarge, None),
        (form(part("form-data; name=a; filename=b", b"123456789")), PayloadTooLarge, "a"),
        (form(*[part("form-data; name=a; filename=b")] * 2), InvalidField, "a"),
        (form() + bytes(SMALL.body_bytes_max), PayloadTooLarge, None),
        (form(part("form-data; name=" + "n" * 40, b"12345")), PayloadTooLarge, "n" * 40),
    ],
)
def test_every_limit_is_held(body: bytes, kind: type[MediagateError], param: str | None) -> None:
    error = refusal(body, limits=SMALL)
    assert type(error) is kind
    assert error.param == param


def test_what_is_exactly_at_the_limits_passes() -> None:
    body = form(
        part("form-data; name=a", b"1234"),
        part("form-data; name=b", b"12"),
        part("form-data; name=c; filename=d", b"12345678"),
    )
    assert len(read(body, limits=SMALL)) == 5


def test_a_long_name_is_cut_in_param() -> None:
    error = refusal(form(part(f"form-data; name={'n' * 4000}", b"\xff")))
    assert error.param is not None
    assert len(error.param) == 64


def test_an_error_stays_the_same_error() -> None:
    reader = FormReader(CONTENT_TYPE, limits=LIMITS)
    with pytest.raises(InvalidRequest) as first:
        reader.feed(b"garbage")
    with pytest.raises(InvalidRequest) as second:
        reader.feed(form())
    with pytest.raises(InvalidRequest) as third:
        reader.finish()
    assert first.value is second.value is third.value


def test_truncation_at_every_byte_is_truncation() -> None:
    body = b"\r\n" + form(
        part('form-data; name="purpose"', b"user_data"),
        part('form-data; name="file"; filename="a"', b"\r\n--frontie\r\n--frontier".replace(b"frontier", b"fron")),
        part("form-data; name=e", b'{"a": 1}', "Content-Type: application/json"),
    )
    whole = body.rindex(b"--") + 2
    for end in range(whole):
        reader = FormReader(CONTENT_TYPE, limits=LIMITS)
        reader.feed(body[:end])
        with pytest.raises(TruncatedUpload) as caught:
            reader.finish()
        assert caught.value.metadata == {"received_bytes": str(end)}
    assert len(read(body[:whole])) == 5


@pytest.mark.parametrize(
    "disposition",
    [
        "form-data" + ";" * 8000,
        "form-data" + '; a="\\' * 1300,
        "form-data" + ';a="\\"' * 1300,
        "form-data; name=a; filename=" + " " * 8000 + '"',
        "form-data" + ";a=" * 2600,
        'form-data; name="' + "\\" * 8000,
    ],
)
def test_a_hostile_header_costs_little(disposition: str) -> None:
    started = time.process_time()
    refusal(form(part(disposition)))
    assert time.process_time() - started < 1

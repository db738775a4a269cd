from __future__ import annotations

import email.parser
import email.policy
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartParser

from mediagate.core.disposition import safe_filename
from mediagate.core.part_headers import boundary_of, part_headers
from mediagate.providers.multipart_body import MultipartBody

DATA = b"\x00\r\n--mediagate\r\n\xff"


def parsed(form: MultipartBody, data: bytes = DATA) -> list[tuple[str, str | None, str, bytes]]:
    """The parts as a parser sees them that is not ours: name, file name, type, bytes."""
    whole = form.head + data + form.tail
    assert len(whole) == len(data) + form.overhead_bytes
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {form.content_type}\r\n\r\n".encode() + whole
    )
    parts = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        parts.append((str(name), part.get_filename(), part.get_content_type(), part.get_payload(decode=True)))
    return parts


def test_fields_stand_before_the_file_in_their_order() -> None:
    form = MultipartBody([("b", "2"), ("a", "1"), ("a", "3")], "x.txt", file_field="data", content_type="text/plain")
    assert [(name, filename, data) for name, filename, _, data in parsed(form)] == [
        ("b", None, b"2"),
        ("a", None, b"1"),
        ("a", None, b"3"),
        ("data", "x.txt", DATA),
    ]
    assert parsed(MultipartBody({"p": "ü"}, "x"))[0][3] == "ü".encode()


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ('a"b.txt', b'filename="a%22b.txt"'),
        ("a\r\nb", b'filename="a%0D%0Ab"'),
        ("100%.txt", b'filename="100%.txt"'),
        ("C:\\dir", b'filename="C:\\dir"'),
        ("報告.pdf", 'filename="報告.pdf"'.encode()),
    ],
)
def test_names_are_escaped_as_browsers_do(name: str, sent: bytes) -> None:
    form = MultipartBody({}, name)
    assert sent in form.head
    assert form.head.count(b"\r\n") == 4


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_name_breaks_out_of_its_header(name: str, field: str) -> None:
    form = MultipartBody({field: "value"}, name)
    assert form.head.count(b"\r\n\r\n") == 2
    file_head = form.head.split(b"\r\n\r\n")[1]
    disposition = file_head.decode().split("\r\n")[2].partition(": ")[2]
    read = part_headers([("Content-Disposition", disposition)])
    assert read.name == "file"
    assert read.filename is not None
    if not any(char in name for char in '"\r\n%\\'):
        assert read.filename == safe_filename(name)


@pytest.mark.parametrize("hostile", ["text/plain\r\nX-Evil: 1", "text", "", "a/b\x00", "ä/b"])
def test_a_type_that_would_break_the_part_becomes_plain_bytes(hostile: str) -> None:
    assert b"Content-Type: application/octet-stream\r\n\r\n" in MultipartBody({}, "x", content_type=hostile).head


def test_a_length_is_told_where_it_is_known() -> None:
    form = MultipartBody({}, "x")
    assert form.headers(None) == {"content-type": form.content_type}
    assert form.headers(7)["content-length"] == str(len(form.head) + 7 + len(form.tail))


def test_every_form_has_a_boundary_of_its_own_that_parsers_take() -> None:
    forms = [MultipartBody({}, "x") for _ in range(100)]
    assert len({form.content_type for form in forms}) == 100
    boundary = boundary_of(forms[0].content_type)
    parts = list(MultipartParser(io.BytesIO(forms[0].head + DATA + forms[0].tail), boundary))
    assert [part.raw for part in parts] == [DATA]

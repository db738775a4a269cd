"""Types of content, found in any bytes under any name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.files.sniff import content_type_of

MAGIC = st.sampled_from(
    [
        *(
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"PK\x03\x04",
            b"%PDF-1.7",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            b"ISc(",
            b"ID3\x03",
        ),
        *(b"\0\0\0\x20ftyp", b"\x1f\x8b", b"RIFF", b"{\\rtf", b"\xff\xfe", b"\xef\xbb\xbf"),
    ]
)


@given(MAGIC, st.binary(max_size=300), st.text(max_size=40))
def test_any_bytes_have_one_well_formed_type(magic: bytes, rest: bytes, name: str) -> None:
    assert re.fullmatch(r"[a-z]+/[A-Za-z0-9.+_-]+", content_type_of(magic + rest, name))


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=4))
def test_text_cut_in_the_middle_of_a_character_is_text(text: str) -> None:
    data = text.encode()
    for cut in range(1, 4):
        if data[: len(data) - cut] and not data.startswith((b"%PDF", b"{\\rtf")) and data[4:8] != b"ftyp":
            assert content_type_of(data[: len(data) - cut], "nameless") == "text/plain" or data.startswith(b"PK")


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        (
            b"PK\x03\x04" + bytes(40),
            "a.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (b"PK\x03\x04" + bytes(40), "a.XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"PK\x03\x04" + bytes(40), "a.zip", "application/zip"),
        (b"PK\x03\x04" + bytes(40), "a.png", "application/zip"),
        (b"PK\x05\x06" + bytes(18), "empty", "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "a.xls", "application/vnd.ms-excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "a.png", "application/x-ole-storage"),
        (b"\0\0\0\x1cftypavif", "a.mp4", "image/avif"),
        (b"\0\0\0\x1cftypM4A ", "a", "audio/mp4"),
        (b"\0\0\0\x1cftypisom", "a.html", "video/mp4"),
        ("é".encode("latin-1") * 9, "a.csv", "text/csv"),
        ("text".encode("utf-16"), "a.txt", "text/plain"),
        (b"\x1b[31mred\x1b[0m\n", "a.log", "text/plain"),
        (b"a\x01b", "a", "application/octet-stream"),
        (b"<html>", "a.png", "text/plain"),
        (b"<html>", "a.htm", "text/html"),
        (b"def f(): ...\n", "a.py", "text/x-python"),
        (b"\x00\x01", "a.JPG", "image/jpeg"),
        (b"", "a.JPG", "image/jpeg"),
        (b"", "", "application/octet-stream"),
        (b"%PDF-1.7\n", "a.txt", "application/pdf"),
    ],
)
def test_the_name_decides_only_what_the_bytes_leave_open(head: bytes, name: str, found: str) -> None:
    assert content_type_of(head, name) == found

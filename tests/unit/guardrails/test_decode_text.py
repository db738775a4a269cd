"""Bytes of text files, cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.guardrails.decode_text import TextDecoder, is_text


def decoded(data: bytes, content_type: str, size: int) -> str:
    decoder = TextDecoder(content_type)
    pieces = [decoder.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return "".join(pieces) + decoder.feed(b"", final=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(encoding: str, size: int) -> None:
    assert decoded("Шпион 😀 bomb".encode(encoding), "text/plain", size) == "Шпион 😀 bomb"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_escapes_of_json(size: int) -> None:
    text = 'шпион 😀\\u0062 "x" \n tab\t'
    data = json.dumps({"prompt": text}).encode()
    assert decoded(data, "application/json", size) == '{"prompt": "' + text + '"}'
    # JSON by no name: codes are read all the same, and nothing else.
    assert "шпион 😀" in decoded(data, "text/plain", size)
    assert decoded(rb"a \bomb \n", "text/plain", size) == r"a \bomb \n"


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_is_no_text(size: int) -> None:
    assert decoded(b"bo\xffmb", "text/plain", size) == "bo\ufffdmb"
    assert decoded(rb"\ud83d bomb \ude00", "application/json", size) == "\ufffd bomb \ufffd"
    assert decoded(b"\\" * 7, "application/json", size).startswith("\\")
    assert decoded(b"", "text/plain", size) == ""


@given(st.text(), st.integers(1, 20), st.booleans())
def test_whatever_json_says(text: str, size: int, ascii_only: bool) -> None:
    text = text.encode("utf-8", "replace").decode()
    data = json.dumps(text, ensure_ascii=ascii_only).encode()
    assert decoded(data, "application/json", size) == f'"{text}"'


def test_types() -> None:
    for kind in ("text/plain", "text/csv", "application/json", "application/jsonl", "image/svg+xml"):
        assert is_text(kind)
    for kind in ("image/png", "application/pdf", "application/octet-stream", "video/mp4"):
        assert not is_text(kind)

"""Bodies that are no JSON object, and those that are too deep for whoever reads them."""

from __future__ import annotations

import pytest

from mediagate.core.errors import InvalidRequest
from mediagate.core.json_body import LEVELS_MAX, VALUES_MAX, json_object


def nested(levels: int, opens: str = "[", closes: str = "]") -> bytes:
    return f'{{"a":{opens * (levels - 1)}1{closes * (levels - 1)}}}'.encode()


def test_an_object() -> None:
    assert json_object(b"") == {}
    assert json_object(b'{"a": [1, null, "\\ud83d"]}') == {"a": [1, None, "\ud83d"]}


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"b":', "}")])
def test_a_body_may_be_deep_and_not_deeper(opens: str, closes: str) -> None:
    assert json_object(nested(LEVELS_MAX, opens, closes))
    for levels in (LEVELS_MAX + 1, 500, 900, 960, 980, 1_000, 100_000):
        with pytest.raises(InvalidRequest):
            json_object(nested(levels, opens, closes))


def test_a_body_may_be_wide() -> None:
    assert len(json_object(b'{"a": [' + b"{}," * 9_999 + b"{}]}")["a"]) == 10_000


@pytest.mark.parametrize("data", [b"[]", b"3", b'"a"', b"null", b"{", b"\xff\xfe", b'{"a": NaN}', b'{"a": -Infinity}'])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        json_object(data)
    assert refused.value.code == "invalid_json"


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 400 + b".0"])
def test_a_number_beyond_all_numbers_is_refused(number: bytes) -> None:
    """It would be an infinity, which no provider can be told in JSON."""
    with pytest.raises(InvalidRequest) as refused:
        json_object(b'{"a": [' + number + b"]}")
    assert refused.value.code == "invalid_json"


def test_numbers_stay_what_they_are() -> None:
    assert json_object(b'{"a": [0.1, 1e3, -2.5E-7, 1e308]}') == {"a": [0.1, 1e3, -2.5e-7, 1e308]}


@pytest.mark.parametrize(
    "item", [b"1,", b"{},", b"[],", b'"a",', b'{"role":"user","content":"a"},', b"[" * 100 + b"]" * 100 + b","]
)
def test_a_body_of_too_many_values_is_refused_before_it_is_read(item: bytes) -> None:
    """Each takes a hundred bytes of memory, and time that everybody else waits for."""
    data = b'{"a": [' + item * VALUES_MAX + b"1]}"
    with pytest.raises(InvalidRequest) as refused:
        json_object(data)
    assert str(VALUES_MAX) in refused.value.message


def test_marks_in_texts_are_no_values() -> None:
    text = r"[{,\",\\" * VALUES_MAX
    assert json_object(b'{"a": "' + text.encode() + b'", "b": [1, 2]}')["b"] == [1, 2]


@pytest.mark.parametrize("end", [b"", b"\\"])
def test_a_text_without_an_end_is_looked_at_once(end: bytes) -> None:
    """Looked at from each of its quotes it would take hours."""
    with pytest.raises(InvalidRequest) as refused:
        json_object(b'{"a": "' + b',\\"' * VALUES_MAX + b"," + end)
    assert "parse" in refused.value.message

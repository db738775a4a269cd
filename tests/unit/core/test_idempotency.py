"""Keys and fingerprints: what a retry may change changes nothing, and everything else does."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import InvalidField
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent
from mediagate.core.idempotency import ContentDigest, FormDigest, check_key, digest_of, json_digest

FIELDS = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=6)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def form_digest(*events: FormEvent) -> bytes:
    digest = FormDigest()
    for event in events:
        digest.add(event)
    return digest.digest()


def fields(pairs: list[tuple[str, str]]) -> list[FormEvent]:
    return [FieldEnd(name, value) for name, value in pairs]


def file(*chunks: bytes, name: str = "file", filename: str = "a.txt", content_type: str = "") -> list[FormEvent]:
    return [FileStart(name, filename, content_type), *map(FileData, chunks), FileEnd()]


@pytest.mark.parametrize("key", ["a", "!", "~", "x" * 255, '"8e03978e-40d5-43e8-bc93-6894a57f9324"'])
def test_visible_characters_are_a_key(key: str) -> None:
    assert check_key([key]) == key


@pytest.mark.parametrize("values", [[""], ["x" * 256], ["a b"], ["a\tb"], ["ä"], ["\x7f"], ["a\n"], ["a", "a"]])
def test_other_values_are_refused(values: list[str]) -> None:
    with pytest.raises(InvalidField) as caught:
        check_key(values)
    assert (caught.value.code, caught.value.param) == ("invalid_idempotency_key", "Idempotency-Key")


@given(st.lists(st.binary(max_size=4)), st.lists(st.binary(max_size=4)))
def test_no_two_lists_are_alike(one: list[bytes], other: list[bytes]) -> None:
    assert (digest_of(*one) == digest_of(*other)) == (one == other)


@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=5))
def test_content_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole, pieces = ContentDigest(), ContentDigest()
    whole.add(data)
    for start, end in itertools.pairwise([0, *sorted(cuts), 64]):
        pieces.add(data[start:end])
    assert whole.digest() == pieces.digest()


@given(FIELDS, st.randoms())
def test_the_order_of_names_is_no_parameter(pairs: list[tuple[str, str]], random: Any) -> None:
    names = sorted({name for name, _ in pairs})
    random.shuffle(names)
    regrouped = [pair for name in names for pair in pairs if pair[0] == name]
    assert form_digest(*fields(pairs)) == form_digest(*fields(regrouped))


@given(FIELDS, FIELDS)
def test_every_name_and_value_is_a_parameter(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    def by_name(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
        return {name: [value for key, value in pairs if key == name] for name, _ in pairs}

    same = form_digest(*fields(one)) == form_digest(*fields(other))
    assert same == (by_name(one) == by_name(other))


def test_the_last_of_a_name_that_comes_twice_is_a_parameter() -> None:
    one, other = (
        fields([("purpose", "vision"), ("purpose", "batch")]),
        fields([("purpose", "batch"), ("purpose", "vision")]),
    )
    assert form_digest(*one) != form_digest(*other)


@given(FIELDS, st.binary(max_size=20))
def test_a_file_may_come_before_or_behind_the_fields(pairs: list[tuple[str, str]], data: bytes) -> None:
    assert form_digest(*fields(pairs), *file(data)) == form_digest(*file(data[:3], data[3:]), *fields(pairs))


def test_the_type_that_a_client_claims_is_no_parameter() -> None:
    assert form_digest(*file(b"abc", content_type="a/b")) == form_digest(*file(b"abc"))


FORMS = [
    [],
    file(b"abc"),
    file(b"abd"),
    file(b"ab"),
    file(b""),
    file(b"abc", filename="b.txt"),
    file(b"abc", name="data"),
    fields([("file", "abc")]),
    [*file(b"abc"), *fields([("purpose", "vision")])],
]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(FORMS, 2)))
def test_everything_about_a_file_is_a_parameter(one: list[FormEvent], other: list[FormEvent]) -> None:
    assert form_digest(*one) != form_digest(*other)


@given(TREES, st.randoms())
def test_json_is_the_same_in_every_order_and_spacing(tree: Any, random: Any) -> None:
    def shuffled(node: Any) -> Any:
        if isinstance(node, dict):
            members = list(node.items())
            random.shuffle(members)
            return {name: shuffled(value) for name, value in members}
        return [shuffled(item) for item in node] if isinstance(node, list) else node

    one = json.dumps(tree).encode()
    assert json_digest(one) == json_digest(json.dumps(shuffled(tree), indent=2, ensure_ascii=True).encode())


@given(TREES, TREES)
def test_every_value_of_json_is_a_parameter(one: Any, other: Any) -> None:
    # 1, 1.0 and true are equal in Python, and not in JSON.
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (json_digest(json.dumps(one).encode()) == json_digest(json.dumps(other).encode())) == same


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_taken_as_bytes(data: bytes) -> None:
    assert json_digest(data) == json_digest(data)
    assert json_digest(data) != json_digest(data + b" ")

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mediagate.core import ids
from mediagate.core.errors import NotFound
from mediagate.core.ids import IdKind
from mediagate.core.limits import echo

KINDS = [
    (ids.FILE, "file-", "File"),
    (ids.UPLOAD, "upload_", "Upload"),
    (ids.PART, "part_", "UploadPart"),
    (ids.VIDEO, "video_", "Video"),
    (ids.CHARACTER, "char_", "Character"),
    (ids.EVENT, "evt_", "Event"),
]


@pytest.mark.parametrize(("kind", "prefix", "noun"), KINDS)
def test_an_id_is_its_prefix_and_26_letters_and_digits(kind: IdKind, prefix: str, noun: str) -> None:
    made = kind.new()
    assert made.startswith(prefix)
    assert len(made) == len(prefix) + 26 <= 64
    assert made[len(prefix) :].isalnum()
    assert made.isascii()
    assert kind.matches(made)
    assert kind.parse(made) == made
    assert [other for other, _, _ in KINDS if other.matches(made)] == [kind]


def test_ids_are_unique_and_sort_by_time_as_plain_strings() -> None:
    made = [ids.new_file_id() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)


@pytest.mark.parametrize(
    "text", ["", "file-", "file-abc", "x", "../../etc/passwd", "file-" + "z" * 26, "file-" + "0" * 25]
)
def test_a_malformed_id_reads_like_an_unknown_one(text: str) -> None:
    assert not ids.is_file_id(text)
    with pytest.raises(NotFound) as caught:
        ids.parse_file_id(text)
    assert caught.value.message == f"No such File object: {text}"
    assert caught.value.param == "id"
    assert caught.value.metadata == {"id": text}


def test_the_first_id_of_a_time_parts_those_before_from_those_after() -> None:
    before = ids.new_file_id()
    now = datetime.now(UTC)
    assert ids.FILE.first_of(now - timedelta(seconds=1)) < before < ids.FILE.first_of(now + timedelta(seconds=1))
    assert ids.is_file_id(ids.FILE.first_of(now))


def test_an_id_has_one_spelling() -> None:
    made = ids.new_video_id()
    for other in (made.upper(), made + "\n", " " + made, made.replace("_", "-", 1)):
        assert not ids.is_video_id(other)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 'text' ü", "plain 'text' ü"),
        ("a\r\nb\0\x1b[31m\u202e", "a??b??[31m?"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 63 + "…"),
        ("\ud800", "?"),
    ],
)
def test_text_of_a_caller_is_echoed_harmlessly(text: str, shown: str) -> None:
    assert echo(text) == shown
    assert ids.FILE.not_found(text).message == f"No such File object: {shown}"


@pytest.mark.parametrize(("kind", "prefix", "noun"), KINDS)
def test_an_id_tells_when_it_was_made(kind: IdKind, prefix: str, noun: str) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    assert before <= kind.time_of(kind.new()) <= datetime.now(UTC) + timedelta(milliseconds=2)
    with pytest.raises(NotFound):
        kind.time_of(prefix)

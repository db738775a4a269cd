from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import RangeNotSatisfiable
from mediagate.core.ranges import ByteRange, etag_matches, parse_range


def oracle(first: str, last: str, size_bytes: int) -> list[int] | str:
    """The positions that `bytes=first-last` selects, byte by byte; `whole` or `unsatisfiable`."""
    everything = range(size_bytes)
    if not first and not last:
        return "whole"
    if not first:
        if size_bytes == 0 and int(last) > 0:
            return "whole"
        chosen = [position for position in everything if size_bytes - position <= int(last)]
    elif last and int(last) < int(first):
        return "whole"
    else:
        chosen = [position for position in everything if int(first) <= position and (not last or position <= int(last))]
    return chosen or "unsatisfiable"


def outcome(header: str, size_bytes: int) -> list[int] | str:
    try:
        found = parse_range(header, size_bytes)
    except RangeNotSatisfiable as error:
        assert error.metadata == {"content_range": f"bytes */{size_bytes}"}
        return "unsatisfiable"
    if found is None:
        return "whole"
    chosen = list(range(found.start, found.end_exclusive))
    assert found.length_bytes == len(chosen)
    assert found.content_range == f"bytes {chosen[0]}-{chosen[-1]}/{size_bytes}"
    return chosen


def test_every_small_range_of_every_small_body_is_what_counting_bytes_says() -> None:
    numbers = ["", *map(str, range(8)), "007"]
    for size_bytes, first, last in itertools.product(range(7), numbers, numbers):
        assert outcome(f"bytes={first}-{last}", size_bytes) == oracle(first, last, size_bytes), (
            first,
            last,
            size_bytes,
        )


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(1, 10**15))
def test_a_range_never_leaves_the_body(first: int, last: int, size_bytes: int) -> None:
    try:
        found = parse_range(f"bytes={first}-{last}", size_bytes)
    except RangeNotSatisfiable:
        assert first >= size_bytes
        return
    if found is None:
        assert last < first
    else:
        assert found == ByteRange(first, min(last + 1, size_bytes), size_bytes)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=0-1,3-4",
        "bytes=0-1,",
        "items=0-1",
        "bytes 0-1",
        "bytes=0 - 1",
        "bytes=٠-١",
        "bytes=0-" + "9" * 5000,
    ],
)
def test_what_is_no_single_byte_range_means_the_whole_body(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", ["BYTES=2-4", " bytes= 2-4 ", "\tbytes=2-4"])
def test_a_range_in_other_spellings(header: str) -> None:
    assert parse_range(header, 10) == ByteRange(2, 5, 10)


@pytest.mark.parametrize(
    ("header", "etag", "weakly", "strongly"),
    [
        ('"a"', '"a"', True, True),
        ('"a"', '"b"', False, False),
        ('W/"a"', '"a"', True, False),
        ('"a"', 'W/"a"', True, False),
        ('W/"a"', 'W/"a"', True, False),
        ('"b", W/"c" ,"a"', '"a"', True, True),
        ('"b,a", "c"', '"b,a"', True, True),
        ('"b", "c"', '"a"', False, False),
        ("*", '"a"', True, False),
        (" * ", '"a"', True, False),
        ('*, "a"', '"a"', False, False),
        ("a", '"a"', False, False),
        ('"a" "b"', '"a"', False, False),
        ('"a",', '"a"', False, False),
        ('w/"a"', '"a"', False, False),
        ('"a', '"a"', False, False),
        ("", '"a"', False, False),
        ("Wed, 21 Oct 2026 07:28:00 GMT", '"a"', False, False),
        ('"a"', "a", False, False),
    ],
)
def test_etags(header: str, etag: str, weakly: bool, strongly: bool) -> None:
    assert etag_matches(header, etag) is weakly
    assert etag_matches(header, etag, strong=True) is strongly


opaque = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), max_size=8)


@given(st.lists(opaque, min_size=1, max_size=5), opaque)
def test_a_list_names_exactly_its_members(tags: list[str], other: str) -> None:
    header = ", ".join(f'"{tag}"' for tag in tags)
    assert re.fullmatch(r'("[^"]*"(, )?)+', header)
    for tag in [*tags, other]:
        assert etag_matches(header, f'"{tag}"') is (tag in tags)

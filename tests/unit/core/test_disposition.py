from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediagate.core.disposition import content_disposition, safe_filename

# RFC 6266 in the one form that we write, so that anything else fails.
WRITTEN = re.compile(
    r"(attachment|inline); filename=\"([ !#-$&-.0-\[\]-~]*)\"(?:; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+))?"
)


def said(header: str) -> str:
    """The file name that a client takes from the header."""
    match = WRITTEN.fullmatch(header)
    assert match is not None, header
    assert match[2].strip(" .")
    return unquote(match[3], errors="strict") if match[3] else match[2]


@given(st.text(st.characters(codec=None), max_size=300))
@example("\ud800.txt")
@example("\u2025")
@example("．．／x")
@example("a\r\nSet-Cookie: x=y")
def test_any_name_round_trips_in_its_safe_form(name: str) -> None:
    assert said(content_disposition(name)) == safe_filename(name)


@given(st.text(max_size=400))
@example("\u20ac" * 84 + "  x")
@example("x" * 254 + " y")
@example("." + "x" * 300)
@example("x" * 300 + "." + "y" * 40)
def test_a_safe_name_is_bounded_never_empty_and_stays_as_it_is(name: str) -> None:
    safe = safe_filename(name)
    assert 1 <= len(safe.encode()) <= 255
    assert not set(safe) & set("/\\\0\r\n\u202e")
    assert safe not in {".", ".."}
    assert safe_filename(safe) == safe


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ("two words.txt", 'attachment; filename="two words.txt"'),
        ("naïve.txt", "attachment; filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("日本.mp4", "attachment; filename=\"__.mp4\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.mp4"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("50%41.txt", "attachment; filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"),
        ("\u202eexe.gpj", 'attachment; filename="exe.gpj"'),
        (
            'x"\r\nSet-Cookie: a=b',
            "attachment; filename=\"x_Set-Cookie: a=b\"; filename*=UTF-8''x%22Set-Cookie%3A%20a%3Db",
        ),
        ("...", "attachment; filename=\"upload\"; filename*=UTF-8''..."),
        ("", 'attachment; filename="upload"'),
    ],
)
def test_headers(name: str, header: str) -> None:
    assert content_disposition(name) == header


def test_inline() -> None:
    assert content_disposition("a.mp4", inline=True) == 'inline; filename="a.mp4"'


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("é" * 200 + ".mp4", "é" * 125 + ".mp4"),
        ("é" * 200, "é" * 127),
        ("." + "x" * 300, "." + "x" * 254),
        ("x" * 300 + "." + "y" * 40, "x" * 255),
        ("C:\\x\\a.txt", "a.txt"),
        ("/etc/passwd", "passwd"),
        ("dir/", "upload"),
        ("a/..", "upload"),
        (" a.txt ", "a.txt"),
        ("\u200fשלום.txt", "\u200fשלום.txt"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_filename(name) == safe

"""What of a provider's sentence an end user may read."""

from __future__ import annotations

import pytest

from mediagate.providers.safe_words import CHARS_MAX, safe_words


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("The prompt is too long.", "The prompt is too long."),
        (
            "Size 1280x720 at 16:9 is not 4:3:2, version 1.5.2, 10:30",
            "Size 1280x720 at 16:9 is not 4:3:2, version 1.5.2, 10:30",
        ),
        ("worker-7.internal.example at 10.1.2.3:80 died, request id req_7f3a9c2e", "… at … died, …"),
        (
            "It may contain sensitive information. Request id: 0217882536596960.",
            "It may contain sensitive information. …",
        ),
        ("See https://help.example.com/x?y=1 for more", "See … for more"),
        ("gs://bucket/secret/key is gone", "… is gone"),
        ("/var/tmp/out/x.mp4 is missing and/or empty", "… is missing and/or empty"),
        ("fe80::1, [::1]:80 and 2001:db8:0:0:0:0:0:1 refuse", "…, … and … refuse"),
        ("localhost:8000 and db.svc refuse", "… and … refuse"),
        ("Job identification failed", "Job identification failed"),
        ("\n  First line.\nTraceback (most recent call last):", "First line."),
        ("a\x00b\x1b[31m", "a?b?[31m"),
        ("", ""),
        (None, ""),
        ({"message": "x"}, ""),
    ],
)
def test_insides_are_left_out(said: object, shown: str) -> None:
    assert safe_words(said) == shown


def test_a_long_sentence_is_cut() -> None:
    assert len(safe_words("word " * 500)) == CHARS_MAX


def test_it_is_quick_on_hostile_text() -> None:
    for text in ("a" * 100_000, "1:" * 50_000, "a." * 50_000, "/a" * 50_000, "request id " * 10_000, "-" * 100_000):
        safe_words(text)

"""Lists of words and patterns: what they see, through which disguise, however a text is cut, and in what time."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.guardrails import Stage, Subject
from mediagate.guardrails.normal_text import _UNSEEN, Pieces, folded, plain
from mediagate.guardrails.patterns import MATCH_CHARS_MAX, PatternList, check_word, compile_pattern

SUBJECT = Subject(Stage.PROMPT)
WORDS = PatternList(words=["bomb", "make a weapon", "炸弹", "шпион", "c++", "naïve", "straße"])
NUMBER = PatternList(patterns=[r"\b\d{3}-\d{2}-\d{4}\b"])


async def blocks(what: PatternList, text: str) -> bool:
    return (await what.judge_text(SUBJECT, text)).blocked


def scanned(what: PatternList, pieces: list[str]) -> bool:
    scan = what.scan()
    for piece in pieces:
        scan.feed(piece)
    return scan.end().blocked


@pytest.mark.parametrize(
    "text",
    [
        "a BOMB",
        "bomb",
        "(bomb)",
        "_bomb_",
        "b\u200bo\u200cm\u2060b",
        "bo\u00admb",
        "b\ufeffomb",
        "b\U000e0062omb",
        "ｂｏｍｂ",
        "𝐛𝐨𝐦𝐛",
        "Ⓑⓞⓜⓑ",
        "b\u0336o\u0336m\u0336b\u0336",
        "b\ufe0fomb",
        "bo\x00mb",
        "bo\ufffdmb",
        "MAKE  a\n\t weapon",
        "make\u00a0a\u3000weapon",
        "make a\u2028weapon",
        "这个炸弹好",
        "ШПИОН!",
        "I love C++.",
        "nai\u0308ve",
        "STRASSE",
    ],
)
async def test_disguises_are_seen_through(text: str) -> None:
    assert await blocks(WORDS, text)


@pytest.mark.parametrize("text", ["bombastic", "aplomb", "", " ", "a boat", "шпионаж", "make weapons", "b o m b"])
async def test_other_words_pass(text: str) -> None:
    assert not await blocks(WORDS, text)


async def test_patterns_keep_edges_and_lines() -> None:
    assert await blocks(NUMBER, "my number is 123-45-6789.")
    assert await blocks(NUMBER, "１２３-45-6789")
    assert not await blocks(NUMBER, "1123-45-67890")
    assert await blocks(PatternList(patterns=["^secret$"]), "SECRET")
    assert not await blocks(PatternList(patterns=["^secret$"]), "a secret")
    assert await blocks(PatternList(patterns=["(?m)^secret$"]), "a\nsecret\nb")
    assert not await blocks(PatternList(patterns=["(?-i:Secret)"]), "secret")


async def test_a_verdict_never_says_what_matched() -> None:
    verdict = await NUMBER.judge_text(SUBJECT, "123-45-6789")
    assert (verdict.category, verdict.reason, verdict.findings) == ("pattern", "", ("patterns[0]",))
    verdict = await WORDS.judge_text(SUBJECT, "bomb")
    assert (verdict.category, verdict.findings) == ("word", ("words",))


@pytest.mark.parametrize(
    "secret", ["bomb", "b\u200bo\u0336mb", "make \n a\u00a0weapon", "nai\u0308ve", "ＢＯＭＢ", "炸弹"]
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000, 65_536])
def test_a_match_is_found_wherever_pieces_are_cut(secret: str, size: int) -> None:
    # Behind a full window and across its edge, with letters on both sides that no cut may join or part.
    length = 70_000 if size >= 1000 else 300
    for lead in (0, 1, length, length + 65_536 - 3 if size >= 1000 else length + 7):
        text = ("é" * lead) + " " + secret + " " + "ü" * 50
        assert scanned(WORDS, [text[at : at + size] for at in range(0, len(text), size)]), (lead, size)


def test_no_edge_is_made_by_a_cut() -> None:
    # The same bytes as above without the space: at no cut does the word stand by itself.
    text = "x" * 65_530 + "bomb" + "x" * 200_000
    for size in (7, 4096, 65_533, 65_536):
        assert not scanned(WORDS, [text[at : at + size] for at in range(0, len(text), size)])
        assert not scanned(
            PatternList(patterns=["^bomb", "bomb$", r"\bbomb", r"bomb\b", "^x{3}b"]), [text[:65_530], text[65_530:]]
        )


def test_a_long_match_is_found_up_to_its_bound() -> None:
    what = PatternList(patterns=["begin[^e]*end"])
    for lead in (0, 50_000, 65_000, 131_000):
        text = "-" * lead + "begin" + "." * (MATCH_CHARS_MAX - 8) + "end" + "-" * 70_000
        assert scanned(what, [text[at : at + 5000] for at in range(0, len(text), 5000)])


def test_what_is_held_is_bounded() -> None:
    scan = WORDS.scan()
    for _ in range(200):
        scan.feed("x" * 50_000)
    held = sum(len(window._text) for window in scan._windows) + scan._waiting_chars + len(scan._pieces._held)
    assert held < 4 * 65_536
    scan = WORDS.scan()
    for _ in range(50):
        scan.feed("\u0301" * 50_000)
        scan.feed("\u200b" * 50_000)
    assert len(scan._pieces._held) < 65_536 * 2


@pytest.mark.parametrize("pattern", ["(a+)+x", "(a|aa)+x", "(.*a){20}x", r"(\w+\s?)*\!", "(a?){50}a{50}x"])
def test_no_text_takes_long(pattern: str) -> None:
    what = PatternList(patterns=[pattern])
    began = time.monotonic()
    assert not scanned(what, ["a" * 500_000])
    # Back-tracking would take longer than the sun will last.
    assert time.monotonic() - began < 120


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=a)b", "look-around"),
        (r"(a)\1", "look-around"),
        ("(", "no pattern of RE2"),
        ("a{1,2000}", "no pattern of RE2"),
        ("x*", "empty text"),
        ("", "empty"),
        ("a\u200bb", "write it as 'ab'"),
        ("ｂ", "write it as 'b'"),
        ("a" * 5000, "at most 4096"),
    ],
)
def test_a_pattern_that_cannot_be_used(pattern: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compile_pattern(pattern)


@pytest.mark.parametrize("word", ["", " ", "\u200b", "\u0301", "a" * 5000])
def test_a_word_that_cannot_be_used(word: str) -> None:
    with pytest.raises(ValueError, match=r"would block|at most"):
        check_word(word)


async def test_thousands_of_words() -> None:
    what = PatternList(words=[f"word{number}x" for number in range(5000)])
    assert await blocks(what, "this is word4999x here")
    assert not await blocks(what, "this is word5000x here")


def test_every_character_that_is_not_seen_is_known() -> None:
    # What Unicode calls a format character, but for signs that are seen and stand around digits.
    seen = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char) == "Cf" and code not in seen:
            assert _UNSEEN.match(char), hex(code)
        if char.isspace() and not "\x1c" <= char <= "\x1f":
            assert not _UNSEEN.match(char), hex(code)


@given(st.text(st.sampled_from("aé\u0301\u0336ｂ가ᄀ\u1161\u11a8ｶﾞ \n\u200b漢ﬁ"), max_size=60), st.data())
def test_pieces_are_the_whole(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces, whole = Pieces(), ""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        whole += plain(pieces.feed(text[start:end]))
    whole += plain(pieces.end())
    assert whole == plain(text)
    assert folded(whole) == folded(text)

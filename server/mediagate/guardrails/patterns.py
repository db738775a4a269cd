"""The built-in guardrail: words, and patterns of RE2, whose time grows with the text and with nothing else.

A text may come in pieces. A match of up to `MATCH_CHARS_MAX` characters is found wherever the pieces are cut.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import re2

from mediagate.core.guardrails import ALLOWED, Subject, Verdict
from mediagate.guardrails.normal_text import Pieces, folded, plain

MATCH_CHARS_MAX: Final = 1 << 14
SCAN_CHARS: Final = 1 << 16
PATTERN_CHARS_MAX: Final = 4096
WORDS_AT_ONCE: Final = 500
_MEMORY_BYTES_MAX: Final = 64 << 20
# In these scripts words are written without a space between them.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)
_BEFORE: Final = r"(?:^|[^\p{L}\p{N}\p{M}])"
_BEHIND: Final = r"(?:$|[^\p{L}\p{N}\p{M}])"


def compile_pattern(source: str) -> Any:
    """A pattern, compared without case. Raises `ValueError` with a sentence for one that cannot be used."""
    if not source:
        raise ValueError("is empty, and would block everything")
    if len(source) > PATTERN_CHARS_MAX:
        raise ValueError(f"may have at most {PATTERN_CHARS_MAX} characters")
    if plain(source) != source:
        raise ValueError("holds characters that texts are compared without; write it as " + repr(plain(source)))
    try:
        found = re2.compile(source.encode(), _options())
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(
            f"is no pattern of RE2: {why}. It has no look-around and no back-references, so that no text can take long"
        ) from None
    if found.search(b"") is not None:
        raise ValueError("matches the empty text, and would block everything")
    return found


def check_word(word: str) -> str:
    """Return `word`. Raises `ValueError` for one of which nothing is left to compare."""
    if not folded(word).strip():
        raise ValueError("holds nothing that is seen, and would block everything")
    if len(word) > PATTERN_CHARS_MAX:
        raise ValueError(f"may have at most {PATTERN_CHARS_MAX} characters")
    return word


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES_MAX
    return options


def _needs_edge(char: str) -> bool:
    return char.isalnum() and not _UNSPACED.match(char)


def _compile_words(words: Sequence[str]) -> list[Any]:
    # What stands at an edge is a large class of characters. One for each word makes RE2 give up its automaton: 50,000
    # times slower with 200 words (measured).
    groups: dict[tuple[str, str], list[str]] = {}
    for word in dict.fromkeys(folded(word).strip() for word in words):
        edges = _BEFORE if _needs_edge(word[0]) else "", _BEHIND if _needs_edge(word[-1]) else ""
        groups.setdefault(edges, []).append(re2.escape(word))
    return [
        re2.compile(f"{before}(?:{'|'.join(group[at : at + WORDS_AT_ONCE])}){behind}".encode(), _options())
        for (before, behind), group in groups.items()
        for at in range(0, len(group), WORDS_AT_ONCE)
    ]


@dataclass(frozen=True, slots=True)
class PatternList:
    """Blocks a text in which one of `words` stands by itself, or one of `patterns` matches anywhere. It never says
    which: whoever is told would only have to go around it."""

    words: Sequence[str] = ()
    patterns: Sequence[str] = ()
    _words: list[Any] = field(init=False)
    _patterns: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", _compile_words(self.words))
        object.__setattr__(self, "_patterns", [compile_pattern(source) for source in self.patterns])

    async def judge_text(self, subject: Subject, text: str) -> Verdict:
        """Judge a text that is all there."""
        scan = self.scan()

        def work() -> Verdict:
            scan.feed(text)
            return scan.end()

        return await asyncio.to_thread(work)

    def scan(self) -> Scan:
        """Judge a text that comes in pieces."""
        return Scan(self._words, self._patterns)

    async def close(self) -> None:
        """Nothing is open."""


class Scan:
    """One text on its way past a list. What it holds is bounded; a call may take a while, and belongs in a thread."""

    def __init__(self, words: list[Any], patterns: list[Any]) -> None:
        self._pieces = Pieces()
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._windows = [
            _Window(regexes, kind) for regexes, kind in ((words, "word"), (patterns, "pattern")) if regexes
        ]
        self._found: Verdict | None = None

    def feed(self, text: str) -> Verdict:
        """Take the next piece; what is found stays found."""
        if self._found is None:
            self._waiting.append(text)
            self._waiting_chars += len(text)
            if self._waiting_chars >= SCAN_CHARS:
                self._look(self._pieces.feed(self._taken()), final=False)
        return self._found or ALLOWED

    def end(self) -> Verdict:
        """The verdict on the whole."""
        if self._found is None:
            self._look(self._pieces.feed(self._taken()) + self._pieces.end(), final=True)
        return self._found or ALLOWED

    def _taken(self) -> str:
        text = "".join(self._waiting)
        self._waiting, self._waiting_chars = [], 0
        return text

    def _look(self, text: str, *, final: bool) -> None:
        for window in self._windows:
            number = window.feed(text, final=final)
            if number is not None:
                # Many words are one regular expression.
                place = "words" if window.kind == "word" else f"patterns[{number}]"
                self._found = Verdict(True, category=window.kind, findings=(place,))
                return


class _Window:
    """The last of a text, long enough for a match that goes on. A character on each side is looked at and not matched,
    so that `^`, `$` and `\\b` mean the text's own edges."""

    def __init__(self, regexes: list[Any], kind: str) -> None:
        self.kind = kind
        self._regexes = regexes
        self._normal = folded if kind == "word" else plain
        self._text = ""
        self._at_start = True

    def feed(self, text: str, *, final: bool) -> int | None:
        """The place in the list of what matches; None where nothing does so far."""
        text = self._normal(text)
        if self.kind == "word" and self._text.endswith(" "):
            text = text.removeprefix(" ")
        self._text += text
        if not self._text:
            return None
        data = _bytes(self._text)
        first = 0 if self._at_start else len(_bytes(self._text[0]))
        last = len(data) if final else len(data) - len(_bytes(self._text[-1]))
        if last > first or final:
            for number, regex in enumerate(self._regexes):
                if regex.search(data, first, last) is not None:
                    return number
        cut = len(self._text) - MATCH_CHARS_MAX - 2
        if cut > 0:
            self._text, self._at_start = self._text[cut:], False
        return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")

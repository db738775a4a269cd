"""The bytes of a text file as text, while they come: UTF-8, or UTF-16 and UTF-32 by their mark; JSON's escapes of
characters are read, since Python writes every letter beyond ASCII as one."""

from __future__ import annotations

import codecs
import re
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # The mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK_BYTES: Final = 4
_JSON: Final = frozenset({"application/json", "application/jsonl", "application/x-ndjson", "application/x-ipynb+json"})
_TEXT: Final = frozenset(
    {
        *_JSON, "application/toml", "application/x-subrip", "application/xhtml+xml", "application/xml",
        "application/yaml", "image/svg+xml",
    }
)  # fmt: skip
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CODE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# Two escapes make one character beyond Unicode's first plane.
_ESCAPE_CHARS_MAX: Final = 12
_SLASHES_MAX: Final = 4096
_FIRST_HALF: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF: Final = re.compile("[\ud800-\udfff]")


def is_text(content_type: str) -> bool:
    """Whether content of this type is text."""
    return content_type.startswith("text/") or content_type in _TEXT


class TextDecoder:
    """Decodes one file. What is no text becomes U+FFFD."""

    def __init__(self, content_type: str) -> None:
        # JSON that is not named so is plain text by its bytes. There only codes are read: `\\b` may begin a word.
        self._escape, self._read = (_ESCAPE, _char_of) if content_type in _JSON else (_CODE, _coded)
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held = ""

    def feed(self, chunk: bytes, *, final: bool = False) -> str:
        """The text of the next bytes; `final` gives what is held back."""
        if self._decoder is None:
            self._head += chunk
            if len(self._head) < _MARK_BYTES and not final:
                return ""
            name = next((name for mark, name in _MARKS if self._head.startswith(mark)), "utf-8")
            self._decoder = codecs.getincrementaldecoder(name)("replace")
            chunk, self._head = self._head, b""
        return self._unescaped(self._decoder.decode(chunk, final), final=final)

    def _unescaped(self, text: str, *, final: bool) -> str:
        text, self._held = self._held + text, ""
        if "\\" not in text:
            return text
        if not final:
            at = _open_at(text)
            text, self._held = text[:at], text[at:]
        text = self._escape.sub(self._read, text)
        text = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
        return _HALF.sub("\ufffd", text)


def _open_at(text: str) -> int:
    """Where an escape begins that may go on behind the end of `text`; its length where there is none."""
    at = text.find("\\", max(0, len(text) - _ESCAPE_CHARS_MAX))
    if at < 0:
        return len(text)
    if _FIRST_HALF.fullmatch(text, max(0, at - 6), at):
        at -= 6
    # Whether a backslash begins an escape is told by those before it.
    while at and text[at - 1] == "\\" and len(text) - at < _SLASHES_MAX:
        at -= 1
    return at


def _char_of(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _SHORT.get(escape[2], escape[2])


def _coded(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))

"""Text in the one form in which it is compared, so that what reads alike is alike.

Wide and styled letters become plain ones (Unicode's NFKC), what is not seen is left out, and so are marks that are
stacked on a letter. Text may come in pieces: what the next piece could still change is held back.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# What Unicode calls ignorable, and what shows as nothing in common fonts; control characters; what stands for bytes
# that were no text.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffd\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Marks for which Unicode has no letter with the mark: such text is struck through or piled up, not written.
_STACKED: Final = re.compile("[\u0300-\u036f\u0488\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_BLANK: Final = re.compile(r"[^\S \n\r\t]")
# The same for ASCII, which is most of what comes and which is translated a hundred times faster (measured).
_ASCII: Final = {
    **{code: None for code in range(128) if _UNSEEN.match(chr(code))},
    **{code: " " for code in range(128) if _BLANK.match(chr(code))},
}
HELD_CHARS_MAX: Final = 1024


def plain(text: str) -> str:
    """The form in which patterns see a text: its case and its lines are kept."""
    if text.isascii():
        return text.translate(_ASCII)
    return _BLANK.sub(" ", _STACKED.sub("", unicodedata.normalize("NFKC", _UNSEEN.sub("", text))))


def folded(text: str) -> str:
    """The form in which words are compared: without case, and with one space for any number of blanks and lines."""
    text = plain(text).casefold()
    if not text.isascii():
        text = _STACKED.sub("", unicodedata.normalize("NFKC", text))
    words = " ".join(text.split())
    # What comes before and behind may be another piece of the same text.
    before, behind = text[:1].isspace(), text[-1:].isspace()
    return f"{' ' if before else ''}{words}{' ' if behind and words else ''}"


class Pieces:
    """A text that comes in pieces, cut only where a letter ends together with all that belongs to it."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """What is whole by now; to be made `plain` or `folded`."""
        text = self._held + (text.translate(_ASCII) if text.isascii() else _UNSEEN.sub("", text))
        # A letter with more marks than this is no writing of any language.
        cut, least = len(text), max(0, len(text) - HELD_CHARS_MAX)
        while cut > least and not _begins(text[cut - 1]):
            cut -= 1
        cut = max(cut - 1, least)
        self._held = text[cut:]
        return text[:cut]

    def end(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return rest


def _begins(char: str) -> bool:
    """Whether a character is never a part of the letter before it."""
    if char < "\u0300":
        return True
    # Half-wide voicing marks, and the second and third parts of Korean syllables.
    if char in "\uff9e\uff9f" or "\u1160" <= char <= "\u11ff":
        return False
    return unicodedata.category(char) not in ("Mn", "Mc", "Me")

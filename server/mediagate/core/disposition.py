"""File names: what is kept of the one a caller sends, and how one is said in a `Content-Disposition` header."""

from __future__ import annotations

import unicodedata
from typing import Final
from urllib.parse import quote

FILENAME_BYTES_MAX: Final = 255
FILENAME_DEFAULT: Final = "upload"

_EXTENSION_BYTES_MAX: Final = 32
# Overrides, embeddings and isolates let `exe.gpj` be read as `jpg.exe` backwards; plain marks (U+200E, U+200F) do not.
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# RFC 5987 attr-char, beside letters and digits.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"
# Inside quotes these end the string, start an escape or are taken for one; a slash comes from a full-width one.
_UNQUOTABLE: Final = frozenset('"\\%/')


def safe_filename(name: str) -> str:
    """Return the base name of a file name from outside: no path in either style, no control, bidirectional-override or
    lone surrogate character, at most 255 bytes of UTF-8 with the extension kept, and never empty (`upload`)."""
    kept = "".join(char for char in name if char not in _BIDI and unicodedata.category(char) not in _DROPPED_CATEGORIES)
    base = kept.replace("\\", "/").rpartition("/")[2].strip()
    if base in {"", ".", ".."}:
        return FILENAME_DEFAULT
    return _bounded(base)


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """Return a `Content-Disposition` value by RFC 6266 for any `filename`: ASCII only, with no way out of the quotes;
    `filename*` says the name exactly where the ASCII one cannot."""
    name = safe_filename(filename)
    fallback = "".join(map(_ascii, unicodedata.normalize("NFC", name)))
    if not fallback.strip(" ."):
        fallback = FILENAME_DEFAULT
    kind = "inline" if inline else "attachment"
    value = f'{kind}; filename="{fallback}"'
    return value if fallback == name else f"{value}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def _ascii(char: str) -> str:
    """Return `char`, the letter beneath its accents, or `_`."""
    plain = unicodedata.normalize("NFKD", char)[0]
    return plain if " " <= plain <= "~" and plain not in _UNQUOTABLE else "_"


def _bounded(name: str) -> str:
    if len(name.encode()) <= FILENAME_BYTES_MAX:
        return name
    stem, dot, extension = name.rpartition(".")
    tail = (dot + extension).encode()
    if not stem or len(tail) > _EXTENSION_BYTES_MAX:
        stem, tail = name, b""
    # A cut through a character leaves bytes that do not decode: they are left out.
    return (stem.encode()[: FILENAME_BYTES_MAX - len(tail)].decode(errors="ignore") + tail.decode()).rstrip()

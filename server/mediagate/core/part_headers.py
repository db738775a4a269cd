"""What a form's headers say: its boundary, and the name, file name and type of each part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from mediagate.core.disposition import safe_filename
from mediagate.core.errors import InvalidField, InvalidRequest
from mediagate.core.limits import echo

CONTENT_TYPE_DEFAULT: Final = "application/octet-stream"

_MIME_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# A quoted value is read with backslash escapes (RFC 9110, curl) where that ends at a separator, else without (browsers
# and Node, which send the backslashes of `C:\dir\` as they are). Possessive, so that hostile headers cost linear time.
_PARAMETER: Final = re.compile(
    rf";[ \t]*+(?:(?P<key>{_MIME_WORD})[ \t]*+=[ \t]*+"
    r'(?:"(?P<escaped>(?:[^"\\]|\\.)*+)"(?=[ \t]*+(?:;|\Z))|"(?P<raw>[^"]*+)"|(?P<bare>[^";]*+)))?+[ \t]*+(?=;|\Z)'
)
_QUOTED_PAIR: Final = re.compile(r'\\(["\\])')
_MEDIA_TYPE: Final = re.compile(rf"{_MIME_WORD}/{_MIME_WORD}(?:[ \t]*;[\t -~]*)?")
_MEDIA_TYPE_CHARS_MAX: Final = 255
_BOUNDARY: Final = re.compile(r"[ -~]{0,69}[!-~]")
_HTML_ESCAPE: Final = re.compile("%(22|0[Dd]|0[Aa])")
_EXTENDED: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*'([!-&(-~]*)", re.IGNORECASE)
_PLAIN_ENCODINGS: Final = frozenset({"", "binary", "8bit", "7bit"})


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """A part's headers. `filename` is safe to store and show, and absent for a field; `content_type` is the client's
    word, safe to repeat in a header."""

    name: str
    filename: str | None
    content_type: str


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a request's `Content-Type` names. Raises `InvalidRequest` for another type or none."""
    media_type, parameters = _parameters(content_type)
    if media_type != "multipart/form-data":
        raise InvalidRequest(f"Send the form as multipart/form-data, not as '{echo(media_type)}'.")
    boundary = parameters.get("boundary", "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise InvalidRequest(
            "The Content-Type header names no usable boundary (1 to 70 ASCII characters). Let your HTTP client set "
            "that header itself."
        )
    return boundary.encode()


def part_headers(lines: Iterable[tuple[str, str]]) -> PartHeaders:
    """Read one part's header lines. Raises `InvalidRequest` or `InvalidField` for what could be read in two ways."""
    headers: dict[str, str] = {}
    for key, value in lines:
        if key in headers or "\n" in value or "\r" in value:
            raise InvalidRequest(f"A part's header '{echo(key)}' is sent twice or has a line break in it.")
        headers[key] = value
    _, parameters = _parameters(headers.get("Content-Disposition", ""))
    name = _unescaped(parameters.get("name", ""))
    if not name or not name.isprintable():
        raise InvalidRequest("Every part needs a name of printable characters in its Content-Disposition header.")
    if headers.get("Content-Transfer-Encoding", "").strip().lower() not in _PLAIN_ENCODINGS:
        raise InvalidField("Send the part's bytes as they are, without Content-Transfer-Encoding.", param=echo(name))
    filename = _filename(name, parameters)
    return PartHeaders(
        name,
        None if filename is None else safe_filename(filename),
        _media_type(headers.get("Content-Type", "")),
    )


def _filename(name: str, parameters: dict[str, str]) -> str | None:
    extended = parameters.get("filename*")
    if extended is None:
        plain = parameters.get("filename")
        return plain if plain is None else _unescaped(plain)
    match = _EXTENDED.fullmatch(extended)
    try:
        if match is None:
            raise ValueError
        return unquote_to_bytes(match[2]).decode(match[1])
    except ValueError:
        raise InvalidField("Write filename* like UTF-8''na%C3%AFve.txt.", param=echo(name)) from None


def _unescaped(text: str) -> str:
    """Undo what browsers and SDKs escape in a quoted name: the quote, CR and LF, and nothing else."""
    return _HTML_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _media_type(text: str) -> str:
    usable = len(text) <= _MEDIA_TYPE_CHARS_MAX and _MEDIA_TYPE.fullmatch(text)
    return text if usable else CONTENT_TYPE_DEFAULT


def _parameters(header: str) -> tuple[str, dict[str, str]]:
    """Split a header into its value in lower case and its parameters. Raises `InvalidRequest` where it is garbled."""
    value = header.partition(";")[0]
    parameters: dict[str, str] = {}
    position = len(value)
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is None or (match["key"] or "").lower() in parameters:
            raise InvalidRequest(f"A header of the form is garbled: '{echo(header)}'.")
        if match["key"]:
            parameters[match["key"].lower()] = _value(match)
        position = match.end()
    return value.strip().lower(), parameters


def _value(match: re.Match[str]) -> str:
    if match["escaped"] is not None:
        return _QUOTED_PAIR.sub(r"\1", match["escaped"])
    return match["raw"] if match["raw"] is not None else match["bare"].strip()

"""multipart/form-data, read as it arrives: bytes in, events out, memory bounded by `FormLimits`.

A text part becomes one `FieldEnd`. A part with a file name becomes `FileStart`, any number of `FileData`, `FileEnd`. A part
of `Content-Type: application/json` without a file name becomes the fields that OpenAI's SDKs would have sent for it
(`expires_after[anchor]`, `tags[]`), so `nested` has one input. Preambles are refused: a body that does not start with its
boundary has nearly always been given a Content-Type by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import unquote_to_bytes

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser  # type: ignore[import-untyped]

from mediagate.core.disposition import safe_filename
from mediagate.core.errors import InvalidField, InvalidRequest, MediagateError, PayloadTooLarge, TruncatedUpload
from mediagate.core.limits import KIB, MIB, echo

CONTENT_TYPE_DEFAULT: Final = "application/octet-stream"
NESTED_DEPTH_MAX: Final = 8
NESTED_FIELDS_MAX: Final = 1024

JsonTree: TypeAlias = "str | list[str] | dict[str, JsonTree]"


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Bounds for one form. Memory for one form is about `fields_bytes_max` and the chunk that is being read."""

    fields_max: int = 64
    field_bytes_max: int = 256 * KIB
    fields_bytes_max: int = MIB
    files_max: int = 1
    file_bytes_max: int = 512 * MIB
    headers_max: int = 8
    """Header lines of one part."""
    header_bytes_max: int = 8 * KIB
    """One header line."""

    @property
    def body_bytes_max(self) -> int:
        """What a body within all other limits can have at most; ends a form that goes on after its closing boundary."""
        part_bytes_max = self.headers_max * self.header_bytes_max + KIB
        parts_bytes_max = (self.fields_max + self.files_max) * part_bytes_max
        return self.files_max * self.file_bytes_max + self.fields_bytes_max + parts_bytes_max + MIB


@dataclass(frozen=True, slots=True)
class FieldEnd:
    """A whole text field."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileStart:
    """A file begins. `filename` is safe to store and show; `content_type` is the client's word, safe in a header."""

    name: str
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True)
class FileData:
    """The next bytes of the file; never empty. Mostly the chunk that was fed, itself."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file's bytes are complete; the form is not before `FormReader.finish`."""


FormEvent: TypeAlias = FieldEnd | FileStart | FileData | FileEnd


class FormReader:
    """Reads one body. After an error every later call raises the same error."""

    def __init__(self, content_type: str, *, limits: FormLimits) -> None:
        """Raises `InvalidRequest` where `content_type` is not multipart/form-data with a usable boundary."""
        boundary = _boundary_of(content_type)
        self.received_bytes = 0
        self._limits = limits
        self._opening = b"--" + boundary
        self._head: bytes | None = b""
        self._parser = PushMultipartParser(
            boundary, max_header_size=limits.header_bytes_max, max_header_count=limits.headers_max
        )
        self._field: _Field | None = None
        self._fields = 0
        self._fields_bytes = 0
        self._files = 0
        self._file_name = ""
        self._file_bytes = 0
        self._failure: MediagateError | None = None

    def feed(self, chunk: bytes) -> list[FormEvent]:
        """Return what `chunk` completes; an empty chunk completes nothing. What follows the closing boundary is ignored.

        Raises `InvalidRequest`, `InvalidField` or `PayloadTooLarge`; the events of that chunk are lost.
        """
        if self._failure is not None:
            raise self._failure
        self.received_bytes += len(chunk)
        try:
            return self._events(chunk)
        except MultipartError as error:
            self._fail(self._explained(error))
        except MediagateError as error:
            self._fail(error)

    def finish(self) -> None:
        """Return where the whole form has arrived. Raises `TruncatedUpload` where its closing boundary has not."""
        if self._failure is not None:
            raise self._failure
        try:
            self._parser.close()
        except MultipartError:
            self._fail(
                TruncatedUpload(
                    f"The form ended after {self.received_bytes} bytes, before its closing boundary. Send it again, whole.",
                    received_bytes=self.received_bytes,
                )
            )

    def _fail(self, error: MediagateError) -> NoReturn:
        self._failure = error
        raise error from None

    def _events(self, chunk: bytes) -> list[FormEvent]:
        events: list[FormEvent] = []
        body = chunk if self._head is None else self._opened(self._head + chunk)
        # The parser takes empty bytes for the end of the body.
        if body:
            for item in self._parser.parse(body):
                if item is None:
                    events.extend(self._end_part())
                elif isinstance(item, MultipartSegment):
                    events.extend(self._start_part(item))
                elif self._field is None:
                    events.append(self._file_data(item))
                else:
                    self._add_to_field(self._field, item)
        if self.received_bytes > self._limits.body_bytes_max:
            raise PayloadTooLarge(f"The form is larger than {self._limits.body_bytes_max} bytes.")
        return events

    def _opened(self, head: bytes) -> bytes:
        """Return what to parse once `head` is known to start with the boundary, and nothing before."""
        body = head.removeprefix(b"\r\n")
        if head == b"\r" or (len(body) < len(self._opening) and self._opening.startswith(body)):
            self._head = head
            return b""
        if not body.startswith(self._opening):
            raise InvalidRequest(
                "The body does not start with the boundary that the Content-Type header names. Let your HTTP client set "
                "that header itself."
            )
        self._head = None
        return body

    def _start_part(self, part: Any) -> Iterator[FormEvent]:
        headers = _headers_of(part)
        name, filename = _name_and_filename(headers.get("Content-Disposition", ""))
        if headers.get("Content-Transfer-Encoding", "binary").strip().lower() not in {"binary", "8bit", "7bit"}:
            raise InvalidField("Send the part's bytes as they are, with no Content-Transfer-Encoding.", param=echo(name))
        if filename is None:
            self._field = _Field(name, part.content_type or "", part.charset or "utf-8")
            return
        self._files += 1
        if self._files > self._limits.files_max:
            raise InvalidField(
                f"The form has more than {self._limits.files_max} file(s). Send one request for each file.",
                param=echo(name),
            )
        self._file_name, self._file_bytes = name, 0
        yield FileStart(name, safe_filename(filename), _media_type(headers.get("Content-Type", "")))

    def _file_data(self, data: bytes) -> FileData:
        self._file_bytes += len(data)
        if self._file_bytes > self._limits.file_bytes_max:
            raise PayloadTooLarge(
                f"The file is larger than {self._limits.file_bytes_max} bytes.",
                param=echo(self._file_name),
                bytes_max=self._limits.file_bytes_max,
            )
        return FileData(data)

    def _add_to_field(self, field: _Field, data: bytes) -> None:
        field.size_bytes += len(data)
        self._fields_bytes += len(data)
        if field.size_bytes > self._limits.field_bytes_max:
            raise PayloadTooLarge(
                f"The field is longer than {self._limits.field_bytes_max} bytes. Send a file as a part with a filename.",
                param=echo(field.name),
                bytes_max=self._limits.field_bytes_max,
            )
        if self._fields_bytes > self._limits.fields_bytes_max:
            raise PayloadTooLarge(
                f"All fields together are longer than {self._limits.fields_bytes_max} bytes.",
                bytes_max=self._limits.fields_bytes_max,
            )
        field.chunks.append(data)

    def _end_part(self) -> Iterator[FormEvent]:
        if self._field is None:
            yield FileEnd()
            return
        for name, value in self._field.pairs():
            self._fields += 1
            if self._fields > self._limits.fields_max:
                raise InvalidRequest(f"The form has more than {self._limits.fields_max} fields. Send fewer.")
            yield FieldEnd(name, value)
        self._field = None

    def _explained(self, error: MultipartError) -> InvalidRequest:
        if isinstance(error, ParserLimitReached):
            return InvalidRequest(
                f"A part has more than {self._limits.headers_max} header lines, or one longer than "
                f"{self._limits.header_bytes_max} bytes. Shorten its file name and leave out other headers."
            )
        text = str(error)
        advice = next((advice for sign, advice in _ADVICE if sign in text), "Let your HTTP client build the form.")
        return InvalidRequest(f"The form is malformed within its first {self.received_bytes} bytes. {advice}")


# Signs in the parser's own texts; with other texts the general advice remains.
_ADVICE: Final = (
    ("Content-Length", "A part's Content-Length is not the length of its bytes: leave that header out."),
    ("Content-Disposition", 'Every part needs the header Content-Disposition: form-data; name="...".'),
    ("decode", "Send the headers of its parts in UTF-8."),
    ("line break", "End its lines with CR LF."),
    ("boundary", "Nothing but CR LF, or two hyphens at the end, may follow a boundary on its line."),
)


class _Field:
    """A text part that is arriving."""

    __slots__ = ("charset", "chunks", "media_type", "name", "size_bytes")

    def __init__(self, name: str, media_type: str, charset: str) -> None:
        self.name = name
        self.media_type = media_type
        self.charset = charset
        self.chunks: list[bytes] = []
        self.size_bytes = 0

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the field, or the fields that its JSON stands for."""
        text = self._text()
        if self.media_type == "application/json":
            yield from _flat(self.name, _json(self.name, text), depth=1)
        else:
            yield self.name, text

    def _text(self) -> str:
        codec = _CODECS.get(self.charset.lower())
        try:
            # An unknown charset fails like bytes that are not in the known one.
            text = b"".join(self.chunks).decode(codec or "ascii")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise InvalidField(
                "The field is not text in UTF-8. Send a file as a part with a filename.", param=echo(self.name)
            )
        return text


_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "ascii": "utf-8", "iso-8859-1": "latin-1"}

# A character of JSON can become a hundred bytes of Python objects; these marks bound how many objects there can be.
_JSON_MARKS_MAX: Final = 10_000


def _json(name: str, text: str) -> object:
    """Read a JSON part; numbers stay the text they were."""
    try:
        if sum(map(text.count, ",[{")) > _JSON_MARKS_MAX:
            raise ValueError
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidField("The part is not valid JSON, or has too many members.", param=echo(name)) from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _flat(name: str, tree: object, *, depth: int) -> Iterator[tuple[str, str]]:
    """Yield a JSON tree as form fields, as OpenAI's SDKs write it: `a[b]`, `a[]`; null and empty ones are no field."""
    if depth > NESTED_DEPTH_MAX:
        raise InvalidField(f"The part is nested more than {NESTED_DEPTH_MAX} levels deep.", param=echo(name))
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not key or "[" in key or "]" in key:
                raise InvalidField(f"'{echo(key)}' cannot be a key in a form. Send the request as JSON.", param=echo(name))
            yield from _flat(f"{name}[{key}]", value, depth=depth + 1)
    elif isinstance(tree, list):
        for item in tree:
            if isinstance(item, dict | list):
                raise InvalidField(_LIST_ADVICE, param=echo(name))
            yield from _flat(f"{name}[]", item, depth=depth + 1)
    elif isinstance(tree, bool):
        yield name, "true" if tree else "false"
    elif tree is not None:
        yield name, str(tree)


_LIST_ADVICE: Final = "A form cannot say lists of lists or objects. Send the request as JSON."

_FIELD_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY: Final = re.compile(r"\[([^\[\]]*)\]")


def nested(fields: Sequence[tuple[str, str]]) -> dict[str, JsonTree]:
    """Return the tree that form field names stand for: `a[b]` is a member, every `a[]` adds to a list, and of a plain name
    that is sent more than once the last value stands, as in OpenAI's API.

    Raises `InvalidField(param=name)` for a garbled name, for one name used as two kinds (`a` and `a[b]`) and for more
    than 8 levels, `InvalidRequest` for more than 1,024 fields.
    """
    if len(fields) > NESTED_FIELDS_MAX:
        raise InvalidRequest(f"The form has more than {NESTED_FIELDS_MAX} fields. Send fewer.")
    tree: dict[str, JsonTree] = {}
    for name, value in fields:
        _place(tree, name, value)
    return tree


def _place(tree: dict[str, JsonTree], name: str, value: str) -> None:
    match = _FIELD_NAME.fullmatch(name)
    if match is None:
        raise InvalidField(f"'{echo(name)}' is not a field name. Write it like a, a[b] or a[].", param=echo(name))
    keys = [match[1], *_KEY.findall(match[2])]
    if len(keys) > NESTED_DEPTH_MAX:
        raise InvalidField(f"The name has more than {NESTED_DEPTH_MAX} levels.", param=echo(name))
    is_list = keys[-1] == ""
    if is_list:
        keys.pop()
    if "" in keys:
        raise InvalidField(_LIST_ADVICE, param=echo(name))
    for key in keys[:-1]:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            raise _conflict(name)
        tree = child
    present = tree.setdefault(keys[-1], [] if is_list else value)
    if is_list and isinstance(present, list):
        present.append(value)
    elif not is_list and isinstance(present, str):
        tree[keys[-1]] = value
    else:
        raise _conflict(name)


def _conflict(name: str) -> InvalidField:
    return InvalidField(f"'{echo(name)}' contradicts another field, which uses the name in another way.", param=echo(name))


_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A quoted value is read with backslash escapes (RFC 9110, curl) where that ends at a separator, else without (browsers,
# which send the backslashes of `C:\dir\` as they are). Possessive, so that hostile headers cost linear time.
_PARAMETER: Final = re.compile(
    rf";[ \t]*(?:({_TOKEN})[ \t]*=[ \t]*"
    r'(?:"((?:[^"\\]|\\.)*+)"(?=[ \t]*(?:;|\Z))|"([^"]*+)"|([^";]*+)))?[ \t]*(?=;|\Z)'
)
_MEDIA_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[\t -~]*)?")
_MEDIA_TYPE_CHARS_MAX: Final = 255
_BOUNDARY: Final = re.compile(r"[ -~]{0,69}[!-~]")
_HTML_ESCAPE: Final = re.compile("%(22|0[Dd]|0[Aa])")
_EXTENDED: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*'([!-&(-~]*)", re.IGNORECASE)


def _boundary_of(content_type: str) -> bytes:
    media_type, parameters = _parameters(content_type)
    if media_type != "multipart/form-data":
        raise InvalidRequest(f"Send the form as multipart/form-data, not as '{echo(media_type)}'.")
    boundary = parameters.get("boundary", "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise InvalidRequest(
            "The Content-Type header names no usable boundary (1 to 70 ASCII characters). Let your HTTP client set that "
            "header itself."
        )
    return boundary.encode()


def _parameters(header: str) -> tuple[str, dict[str, str]]:
    """Split a header into its value in lower case and its parameters. Raises `InvalidRequest` where it is garbled."""
    end = header.find(";")
    value = header if end < 0 else header[:end]
    parameters: dict[str, str] = {}
    position = len(value)
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is None or (match[1] and match[1].lower() in parameters):
            raise InvalidRequest(f"A header of the form is garbled: '{echo(header)}'.")
        if match[1]:
            escaped, raw, bare = match[2], match[3], match[4]
            text = re.sub(r'\\(["\\])', r"\1", escaped) if escaped is not None else (raw if raw is not None else bare.strip())
            parameters[match[1].lower()] = text
        position = match.end()
    return value.strip().lower(), parameters


def _headers_of(part: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in part.headerlist:
        if name in headers or "\n" in value or "\r" in value:
            raise InvalidRequest(f"A part's header '{echo(name)}' is sent twice or is broken by a line break.")
        headers[name] = value
    return headers


def _name_and_filename(disposition: str) -> tuple[str, str | None]:
    _, parameters = _parameters(disposition)
    name = _unescaped(parameters.get("name", ""))
    if not name or not name.isprintable():
        raise InvalidRequest("Every part needs a name of printable characters in its Content-Disposition header.")
    extended = parameters.get("filename*")
    if extended is not None:
        return name, _extended(name, extended)
    filename = parameters.get("filename")
    return name, filename if filename is None else _unescaped(filename)


def _unescaped(text: str) -> str:
    """Undo what browsers and SDKs escape in a quoted name: the quote, CR and LF, and nothing else."""
    return _HTML_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _extended(name: str, text: str) -> str:
    """Read a `filename*` value (RFC 5987)."""
    match = _EXTENDED.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return unquote_to_bytes(match[2]).decode(match[1])
    except ValueError:
        raise InvalidField("filename* is not written like UTF-8''na%C3%AFve.txt.", param=echo(name)) from None


def _media_type(text: str) -> str:
    usable = len(text) <= _MEDIA_TYPE_CHARS_MAX and _MEDIA_TYPE.fullmatch(text)
    return text if usable else CONTENT_TYPE_DEFAULT

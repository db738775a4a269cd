"""multipart/form-data, read as it arrives: bytes in, events out, memory bounded by `FormLimits`.

A text part becomes one `FieldEnd`. A part with a file name becomes `FileStart`, any number of `FileData`, `FileEnd`. A
part of `Content-Type: application/json` without a file name becomes the fields that OpenAI's SDKs would have sent for
it (`expires_after[anchor]`, `tags[]`), so that `nested` meets one kind of field. Preambles are refused: a body that
does not start with its boundary has nearly always been given its Content-Type by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from mediagate.core.errors import InvalidField, InvalidRequest, MediagateError, PayloadTooLarge, TruncatedUpload
from mediagate.core.limits import KIB, MIB, echo
from mediagate.core.nesting import flat_json, nested
from mediagate.core.part_headers import boundary_of, part_headers

__all__ = ["FieldEnd", "FileData", "FileEnd", "FileStart", "FormEvent", "FormLimits", "FormReader", "nested"]


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Bounds for one form. A form takes about `fields_bytes_max` and twice the chunk that is being read of memory."""

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
        """What a form within all other limits has at most; it ends one that goes on after its closing boundary."""
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
    """The next bytes of the file, never none; mostly the very chunk that was fed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file's bytes are complete; the form is only after `FormReader.finish`."""


FormEvent: TypeAlias = FieldEnd | FileStart | FileData | FileEnd

# Signs in the parser's own texts; should those change, the general advice remains.
_ADVICE: Final = (
    ("Content-Length", "A part's Content-Length is not the length of its bytes: leave that header out."),
    ("Content-Disposition", 'Every part needs the header Content-Disposition: form-data; name="...".'),
    ("decode", "Send the headers of its parts in UTF-8."),
    ("line break", "End its lines with CR LF."),
    ("boundary", "Nothing but CR LF, or two hyphens at the end, may follow a boundary on its line."),
)
_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "ascii": "utf-8", "iso-8859-1": "latin-1"}


class FormReader:
    """Reads one form. After an error every later call raises the same error."""

    def __init__(self, content_type: str, *, limits: FormLimits) -> None:
        """Raises `InvalidRequest` where `content_type` is not multipart/form-data with a usable boundary."""
        boundary = boundary_of(content_type)
        self.received_bytes = 0
        self._limits = limits
        self._body_bytes_max = limits.body_bytes_max
        self._opening = b"--" + boundary
        self._head: bytes | None = b""
        self._parser = PushMultipartParser(
            boundary, max_header_size=limits.header_bytes_max, max_header_count=limits.headers_max
        )
        self._field: _Field | None = None
        self._fields = 0
        self._fields_bytes = 0
        self._file_name = ""
        self._files = 0
        self._file_bytes = 0
        self._failure: MediagateError | None = None

    def feed(self, chunk: bytes) -> list[FormEvent]:
        """Return what `chunk` completes; an empty chunk completes nothing, and what follows the closing boundary is
        ignored.

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
                    f"The form ended after {self.received_bytes} bytes, before its closing boundary. Send it whole.",
                    received_bytes=self.received_bytes,
                )
            )

    def _fail(self, error: MediagateError) -> NoReturn:
        self._failure = error
        raise error from None

    def _events(self, chunk: bytes) -> list[FormEvent]:
        events: list[FormEvent] = []
        body = chunk if self._head is None else self._opened(self._head + chunk)
        # The parser takes empty bytes for the end of the form, and Envoy sends an empty message for an empty body.
        if body:
            for item in self._parser.parse(body):
                if item is None:
                    events.extend(self._end_part())
                elif isinstance(item, MultipartSegment):
                    events.extend(self._start_part(item))
                elif self._field is None:
                    events.append(self._file_data(item))
                else:
                    self._add(self._field, item)
        if self.received_bytes > self._body_bytes_max:
            raise PayloadTooLarge(
                f"The form is larger than {self._body_bytes_max} bytes. Send a smaller one.",
                bytes_max=self._body_bytes_max,
            )
        return events

    def _opened(self, head: bytes) -> bytes:
        """Return what there is to parse, once `head` is known to start with the boundary.

        The parser would judge a preamble by how its bytes happen to be cut into chunks.
        """
        body = head.removeprefix(b"\r\n")
        if head == b"\r" or (len(body) < len(self._opening) and self._opening.startswith(body)):
            self._head = head
            return b""
        if not body.startswith(self._opening):
            raise InvalidRequest(
                "The body does not start with the boundary that the Content-Type header names. Let your HTTP client "
                "set that header itself."
            )
        self._head = None
        return body

    def _start_part(self, part: MultipartSegment) -> Iterator[FormEvent]:
        headers = part_headers(part.headerlist)
        if headers.filename is None:
            self._field = _Field(headers.name, part.content_type or "", part.charset or "utf-8")
            return
        self._files += 1
        if self._files > self._limits.files_max:
            raise InvalidField(
                f"The form has more than {self._limits.files_max} file(s). Send each file in a request of its own.",
                param=echo(headers.name),
            )
        self._file_name, self._file_bytes = headers.name, 0
        yield FileStart(headers.name, headers.filename, headers.content_type)

    def _file_data(self, data: bytes) -> FileData:
        self._file_bytes += len(data)
        if self._file_bytes > self._limits.file_bytes_max:
            raise PayloadTooLarge(
                f"The file is larger than {self._limits.file_bytes_max} bytes. Send a smaller one.",
                param=echo(self._file_name),
                bytes_max=self._limits.file_bytes_max,
            )
        return FileData(data)

    def _add(self, field: _Field, data: bytes) -> None:
        field.chunks.append(data)
        field.size_bytes += len(data)
        self._fields_bytes += len(data)
        if field.size_bytes > self._limits.field_bytes_max:
            raise PayloadTooLarge(
                f"The field is longer than {self._limits.field_bytes_max} bytes. Send files in parts with a filename.",
                param=echo(field.name),
                bytes_max=self._limits.field_bytes_max,
            )
        if self._fields_bytes > self._limits.fields_bytes_max:
            raise PayloadTooLarge(
                f"All fields together are longer than {self._limits.fields_bytes_max} bytes. Send less text.",
                bytes_max=self._limits.fields_bytes_max,
            )

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
                f"{self._limits.header_bytes_max} bytes. Shorten its file name and leave other headers out."
            )
        text = str(error.args[0])
        advice = next((advice for sign, advice in _ADVICE if sign in text), "Let your HTTP client build the form.")
        return InvalidRequest(f"The form is malformed within its first {self.received_bytes} bytes. {advice}")


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
        if self.media_type == "application/json":
            yield from flat_json(self.name, self._text())
        else:
            yield self.name, self._text()

    def _text(self) -> str:
        data = b"".join(self.chunks)
        try:
            if b"\0" in data:
                raise ValueError
            return data.decode(_CODECS[self.charset.lower()])
        except (KeyError, ValueError):
            raise InvalidField(
                "The field is not text in UTF-8. Send a file as a part with a filename.", param=echo(self.name)
            ) from None

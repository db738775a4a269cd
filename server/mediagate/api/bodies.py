"""Bodies of the REST doors, as form events or as fields, whichever encoding they came in.

The end of the stream proves nothing: a client that dies ends it as quietly as one that is done. Forms end at their
closing boundary; JSON ends where it parses.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import Descriptor

from mediagate.core.errors import InvalidRequest, PayloadTooLarge, TruncatedUpload, UnsupportedMediaType
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent, FormLimits, FormReader
from mediagate.core.limits import echo

_LENGTH_DELIMITED = 2
_CONTENT_TYPE = 1 << 3 | _LENGTH_DELIMITED
_DATA = 2 << 3 | _LENGTH_DELIMITED


@dataclass(frozen=True, slots=True)
class RawBody:
    """A `google.api.HttpBody`, decoded with one copy of its data where the generated class makes two."""

    content_type: str
    data: bytes


def decode_http_body(encoded: bytes) -> RawBody:
    """Raises `ValueError` or `IndexError` for bytes that are no such message."""
    content_type, data, at = "", b"", 0
    while at < len(encoded):
        tag, at = _varint(encoded, at)
        if tag & 7 != _LENGTH_DELIMITED:
            raise ValueError("HttpBody has no such field")
        length, at = _varint(encoded, at)
        end = at + length
        if end > len(encoded):
            raise ValueError("the message is cut")
        if tag == _DATA:
            data = encoded[at:end]
        elif tag == _CONTENT_TYPE:
            content_type = encoded[at:end].decode()
        at = end
    return RawBody(content_type, data)


@dataclass(frozen=True, slots=True)
class RawChunk:
    """A message of an upload that carries nothing but bytes."""

    chunk: bytes


def chunk_decoder(message: Descriptor, decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Decodes the messages of an upload by `decode`, but those that carry a chunk as `RawChunk`: with one copy of the
    bytes, where the generated class makes another one each time that it is asked for them."""
    field = message.fields_by_name["chunk"]
    assert field.containing_oneof is not None
    payload = field.containing_oneof.name
    tag = field.number << 3 | _LENGTH_DELIMITED

    def run(encoded: bytes) -> Any:
        if encoded and encoded[0] == tag:
            length, at = _varint(encoded, 1)
            if at + length == len(encoded):
                return RawChunk(encoded[at:])
        decoded = decode(encoded)
        return RawChunk(decoded.chunk) if decoded.WhichOneof(payload) == field.name else decoded

    return run


def _varint(encoded: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = encoded[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("the number is too long")


async def form_events(
    bodies: AsyncIterator[HttpBody], limits: FormLimits, declared_bytes: int | None = None
) -> AsyncIterator[FormEvent]:
    """Read a form as it arrives. `declared_bytes` is what the body must have altogether, where that is known.

    Raises `UnsupportedMediaType` for another encoding, `TruncatedUpload` at a false end.
    """
    reader: FormReader | None = None
    async for body in bodies:
        if reader is None:
            reader = _reader(body.content_type, limits)
        for event in reader.feed(body.data):
            yield event
    if reader is None:
        raise InvalidRequest("The request has no body. Send multipart/form-data.")
    reader.finish()
    if declared_bytes is not None and reader.received_bytes < declared_bytes:
        raise TruncatedUpload(
            f"The body ended after {reader.received_bytes} of {declared_bytes} bytes. Send it whole.",
            received_bytes=reader.received_bytes,
            expected_bytes=declared_bytes,
        )


async def raw_events(
    bodies: AsyncIterator[HttpBody], declared_bytes: int | None, query: Mapping[str, Sequence[str]]
) -> AsyncIterator[FormEvent]:
    """A body that is a file's bytes, as the form that would bring them; `query` may name the file and its purpose.

    Raises `InvalidRequest` where nothing would prove that it is whole, `TruncatedUpload` where it is not.
    """
    if declared_bytes is None:
        raise InvalidRequest(
            "Send the body's length as Content-Length: a body in chunks does not prove that it is whole.",
            code="length_required",
        )
    received_bytes, content_type = 0, ""
    for value in query.get("purpose", ()):
        yield FieldEnd("purpose", value)
    async for body in bodies:
        if not content_type:
            content_type = media_type(body.content_type) or "application/octet-stream"
            if content_type == "multipart/form-data":
                raise UnsupportedMediaType("PUT takes the bytes of a file. Send a form with POST.")
            yield FileStart("file", (query.get("filename") or ["upload"])[0], content_type)
        received_bytes += len(body.data)
        if body.data:
            yield FileData(body.data)
    if received_bytes < declared_bytes or not content_type:
        raise TruncatedUpload(
            f"The body ended after {received_bytes} of {declared_bytes} bytes. Send it whole.",
            received_bytes=received_bytes,
            expected_bytes=declared_bytes,
        )
    yield FileEnd()


def _reader(content_type: str, limits: FormLimits) -> FormReader:
    if media_type(content_type) != "multipart/form-data":
        sent = f"not '{echo(media_type(content_type))}'" if content_type else "and the request has none"
        raise UnsupportedMediaType(f"Content-Type must be multipart/form-data here, {sent}.")
    return FormReader(content_type, limits=limits)


def media_type(content_type: str) -> str:
    """`application/json; charset=utf-8` as `application/json`."""
    return content_type.partition(";")[0].strip().lower()


class Body:
    """A body whose encoding is found in its first message."""

    def __init__(self, first: HttpBody, rest: AsyncIterator[HttpBody]) -> None:
        self._first = first
        self._rest = rest
        self.content_type = first.content_type
        self.is_json = media_type(first.content_type) in ("application/json", "text/json")

    @classmethod
    async def open(cls, bodies: AsyncIterator[HttpBody]) -> Body:
        """Wait for the first message. Raises `InvalidRequest` where there is none."""
        async for first in bodies:
            return cls(first, bodies)
        raise InvalidRequest("The request has no body. Send multipart/form-data or JSON.")

    async def _all(self) -> AsyncIterator[HttpBody]:
        yield self._first
        async for body in self._rest:
            yield body

    def events(self, limits: FormLimits, declared_bytes: int | None = None) -> AsyncIterator[FormEvent]:
        """The body as a form."""
        return form_events(self._all(), limits, declared_bytes)

    async def json(self, *, bytes_max: int) -> dict[str, Any]:
        """The body as a JSON object. Raises `InvalidRequest` or `PayloadTooLarge`."""
        data = bytearray()
        async for body in self._all():
            data += body.data
            if len(data) > bytes_max:
                raise PayloadTooLarge(f"A JSON body may have {bytes_max} bytes.", limit_bytes=bytes_max)
        try:
            tree = json.loads(data or b"{}")
        except (ValueError, RecursionError):
            raise InvalidRequest(
                "We could not parse the JSON body of your request. Check that it is valid JSON and arrived whole.",
                code="invalid_json",
            ) from None
        if not isinstance(tree, dict):
            raise InvalidRequest("The JSON body must be an object.", code="invalid_json")
        return tree

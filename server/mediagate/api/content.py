"""Content over REST and over gRPC: ranges, validators, headers, and bytes with their real length.

A content route answers here or, for content that lies where the edge can reach it, by a decision of the edge's; both
say the same headers.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from mediagate._gen.mediagate.v1 import files_pb2
from mediagate.api.call import Call
from mediagate.core.disposition import content_disposition
from mediagate.core.errors import RangeNotSatisfiable
from mediagate.core.ranges import ByteRange, etag_matches, parse_range
from mediagate.providers.base import Content

HTTP_BODY_DATA_TAG = b"\x12"
HTTP_BODY_TYPE_TAG = b"\x0a"


@dataclass(frozen=True, slots=True)
class Download:
    """Content with what its headers say."""

    content: Content
    filename: str
    content_type: str
    etag: str

    def headers(self) -> list[tuple[str, str]]:
        """Headers of every answer, whatever part of the content it carries."""
        return content_headers(self.filename, self.etag)


class Asked(Protocol):
    """A request, as far as its headers matter."""

    def header(self, name: str) -> str | None:
        """A request header by its lower-case name."""
        ...


def content_headers(filename: str, etag: str) -> list[tuple[str, str]]:
    """Headers of every answer with content, but for its type. `etag` is empty where there is none."""
    headers = [
        ("accept-ranges", "bytes"),
        ("content-disposition", content_disposition(filename)),
        ("cache-control", "private, no-cache"),
        ("x-content-type-options", "nosniff"),
    ]
    return [*headers, ("etag", etag)] if etag else headers


async def stream_http(download: Download, call: Call) -> AsyncIterator[bytes]:
    """Encoded `google.api.HttpBody` messages, behind the headers.

    The content is opened and its first bytes are read before any header goes out, so that a failure until then still
    has its own status. Raises `RangeNotSatisfiable`.
    """
    size = download.content.size_bytes
    if is_known(call, download.etag):
        call.respond([*download.headers(), ("x-http-status", "304")])
        yield http_body(b"", download.content_type)
        return
    wanted = wanted_range(call, size, download.etag)
    start, end = (wanted.start, wanted.end_exclusive) if wanted else (0, size)
    call.respond([*download.headers(), ("x-content-length", str(end - start))])
    if wanted:
        call.respond([("x-http-status", "206"), ("content-range", wanted.content_range)])
    if start == end:
        yield http_body(b"", download.content_type)
        return
    content_type = download.content_type
    async for chunk in download.content.read(start, end):
        yield http_body(chunk, content_type)
        content_type = ""


def head_http(download: Download, call: Call) -> bytes:
    """The headers of `stream_http` for the whole content, and an empty body."""
    if is_known(call, download.etag):
        call.respond([*download.headers(), ("x-http-status", "304")])
    else:
        call.respond([*download.headers(), ("x-content-length", str(download.content.size_bytes))])
    return http_body(b"", download.content_type)


async def stream_grpc(
    download: Download, *, offset: int, length: int | None
) -> AsyncIterator[files_pb2.DownloadFileResponse]:
    """Metadata, chunks, and the end with its checksum. Raises `RangeNotSatisfiable`."""
    size = download.content.size_bytes
    if offset > size or (offset == size and size > 0):
        raise RangeNotSatisfiable(f"The content has {size} bytes.", param="offset", content_range=f"bytes */{size}")
    end = size if length is None else min(size, offset + length)
    yield files_pb2.DownloadFileResponse(
        metadata=files_pb2.DownloadMetadata(
            filename=download.filename,
            content_type=download.content_type,
            size_bytes=size,
            offset=offset,
            length=end - offset,
            etag=download.etag,
        )
    )
    digest = hashlib.sha256()
    if end > offset:
        async for chunk in download.content.read(offset, end):
            digest.update(chunk)
            yield files_pb2.DownloadFileResponse(chunk=chunk)
    yield files_pb2.DownloadFileResponse(end=files_pb2.DownloadEnd(sent_bytes=end - offset, sha256=digest.hexdigest()))


def is_known(asked: Asked, etag: str) -> bool:
    """Whether the caller's copy is still the content."""
    if_none_match = asked.header("if-none-match")
    return if_none_match is not None and etag_matches(if_none_match, etag)


def wanted_range(asked: Asked, size: int, etag: str) -> ByteRange | None:
    """The part of the content that is wanted, None for the whole. Raises `RangeNotSatisfiable`."""
    header = asked.header("range")
    if header is None:
        return None
    if_range = asked.header("if-range")
    if if_range is not None and not etag_matches(if_range, etag, strong=True):
        return None
    return parse_range(header, size)


def http_body(data: bytes, content_type: str) -> bytes:
    """An encoded `google.api.HttpBody`, with one copy of the data where the generated class makes two."""
    parts = []
    if content_type:
        encoded = content_type.encode()
        parts += [HTTP_BODY_TYPE_TAG, _varint(len(encoded)), encoded]
    if data:
        parts += [HTTP_BODY_DATA_TAG, _varint(len(data)), data]
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

"""The parameters of a call with an idempotency key, from its messages as they pass.

The place is part of them: path, query and the header that chooses a target. Bodies are compared by what they say, not
by their bytes: a form by its fields and files, JSON as a tree, a typed stream by its messages and the bytes of its
chunks.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from mediagate.api.bodies import RawChunk, media_type
from mediagate.api.call import Call
from mediagate.api.callers import QUERY
from mediagate.api.paths import ORIGINAL_PATH
from mediagate.api.targets import HEADER as TARGET_HEADER
from mediagate.core.errors import PayloadTooLarge
from mediagate.core.forms import FormLimits, FormReader
from mediagate.core.idempotency import ContentDigest, FormDigest, digest_of, json_digest


def place_of(call: Call) -> bytes:
    """Where the call goes."""
    path, _, query = (call.header(ORIGINAL_PATH) or "").partition("?")
    # Without `max_num_fields`: the edge bounds the headers, and a query that could not be read would be left out.
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0])
    # A retry may come with a new token.
    pairs = [pair for pair in pairs if pair[0] != QUERY]
    words = [path, call.header(TARGET_HEADER) or "", *(word for pair in pairs for word in pair)]
    return digest_of(*(word.encode("utf-8", "surrogateescape") for word in words))


class OneMessage:
    """A request of one message."""

    def __init__(self, message: Any, call: Call) -> None:
        self.message = message
        self._fingerprint = digest_of(place_of(call), message.SerializeToString(deterministic=True))

    @property
    def known(self) -> bytes | None:
        """The fingerprint, where it does not take reading."""
        return self._fingerprint

    async def rest(self) -> bytes:
        """The fingerprint of all there is."""
        return self._fingerprint

    def passing(self, _seal: Callable[[bytes], Awaitable[None]]) -> Any:
        """The request for a servicer."""
        return self.message


class Stream:
    """A request that arrives. Memory is bounded by `limits`, whatever is sent; a `raw` body is bytes of any type."""

    message = None
    known: bytes | None = None

    def __init__(self, requests: AsyncIterator[Any], call: Call, limits: FormLimits, *, raw: bool = False) -> None:
        self._requests = requests
        self._place = place_of(call)
        self._body = _Body(limits, raw=raw, declared_bytes=call.declared_bytes if raw else None)
        self._sealed: bytes | None = None

    async def rest(self) -> bytes:
        """Read what is left, and return the fingerprint. Raises what a form raises that is malformed or cut."""
        async for request in self._requests:
            self._body.add(request)
        return self._end()

    async def passing(self, seal: Callable[[bytes], Awaitable[None]]) -> AsyncIterator[Any]:
        """The request for a servicer. It ends only once `seal` has the fingerprint, so nothing can be made before. One
        that is cut has none, since it ends as quietly as one that is done: what came of it would be held against the
        repetition."""
        async for request in self._requests:
            self._body.add(request)
            yield request
        if self._body.is_whole:
            await seal(self._end())

    def _end(self) -> bytes:
        if self._sealed is None:
            self._sealed = digest_of(self._place, self._body.digest())
        return self._sealed


class _Body:
    """What one stream carries: a body, a body beside other members, or typed messages."""

    def __init__(self, limits: FormLimits, *, raw: bool, declared_bytes: int | None) -> None:
        self._limits = limits
        self._raw = raw
        self._declared_bytes = declared_bytes
        self._declared_sha256 = ""
        self._needs_proof = raw
        self._is_closed = False
        self._is_empty = True
        self._heads = hashlib.sha256()
        self._begun = False
        self._content: _Form | _Json | ContentDigest = ContentDigest()

    def add(self, message: Any) -> None:
        """Take the next message."""
        self._is_empty = False
        if isinstance(message, RawChunk):
            self._content.add(message.chunk)
        elif hasattr(message, "WhichOneof"):
            self._add_typed(message)
        else:
            self._add_body(message)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, as far as the bytes so far tell; of a form and of JSON `digest` finds it out."""
        if self._is_empty or self._is_closed or not self._needs_proof:
            return not self._is_empty
        assert isinstance(self._content, ContentDigest)
        if self._declared_bytes is not None:
            return self._content.size_bytes == self._declared_bytes
        return self._content.is_proven(self._declared_sha256)

    def _add_typed(self, message: Any) -> None:
        members = message.DESCRIPTOR.fields_by_name
        if "chunk" in members:
            self._note_proof(message)
        if "content" not in members:
            self._add_head(message)
            return
        if not self._begun:
            head = type(message)()
            head.CopyFrom(message)
            head.ClearField("content")
            self._add_head(head)
        self._add_body(message.content)

    def _note_proof(self, message: Any) -> None:
        """What a stream of chunks says of its end: before them how much will come, or behind them that this was all."""
        self._needs_proof = True
        if not message.HasField("metadata"):
            self._is_closed = True
            return
        told = message.metadata
        if told.HasField("sha256"):
            self._declared_sha256 = told.sha256
            self._content = ContentDigest(proves=True)
        # A field without presence is always said.
        if not told.DESCRIPTOR.fields_by_name["size_bytes"].has_presence or told.HasField("size_bytes"):
            self._declared_bytes = told.size_bytes

    def _add_head(self, message: Any) -> None:
        self._heads.update(digest_of(message.SerializeToString(deterministic=True)))

    def _add_body(self, body: Any) -> None:
        if not self._begun:
            self._begun = True
            self._content = ContentDigest() if self._raw else _content(body.content_type, self._limits)
        self._content.add(body.data)

    def digest(self) -> bytes:
        """The fingerprint of the body."""
        return digest_of(self._heads.digest(), self._content.digest())


def _content(content_type: str, limits: FormLimits) -> _Form | _Json | ContentDigest:
    kind = media_type(content_type)
    if kind == "multipart/form-data":
        return _Form(content_type, limits)
    return _Json(limits.fields_bytes_max) if kind in ("application/json", "text/json") else ContentDigest()


class _Form:
    def __init__(self, content_type: str, limits: FormLimits) -> None:
        self._reader = FormReader(content_type, limits=limits)
        self._digest = FormDigest()

    def add(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            self._digest.add(event)

    def digest(self) -> bytes:
        self._reader.finish()
        return self._digest.digest()


class _Json:
    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > self._bytes_max:
            raise PayloadTooLarge(f"A JSON body may have {self._bytes_max} bytes.", limit_bytes=self._bytes_max)

    def digest(self) -> bytes:
        return json_digest(bytes(self._data))

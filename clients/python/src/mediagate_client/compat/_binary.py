"""Bytes as the peer's functions answer them: whole, with the members of OpenAI's binary answers, or as a stream."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple


class BinaryContent:
    """Bytes of a file, with the members of OpenAI's binary answers."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def text(self) -> str:
        """The bytes as UTF-8."""
        return self.content.decode()

    def read(self) -> bytes:
        """All bytes."""
        return self.content

    async def aread(self) -> bytes:
        """All bytes."""
        return self.content

    def json(self) -> Any:
        """The bytes as JSON."""
        return json.loads(self.content)

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The bytes in pieces."""
        step = chunk_size or 65536
        for start in range(0, len(self.content), step):
            yield self.content[start : start + step]

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The bytes in pieces."""
        for chunk in self.iter_bytes(chunk_size):
            yield chunk

    def iter_lines(self) -> Iterator[str]:
        """The lines of text."""
        yield from self.text.splitlines()

    def write_to_file(self, file: str | os.PathLike[str]) -> None:
        """Write them under a name that has all of them or none."""
        folder = os.path.dirname(os.path.abspath(file))
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(self.content)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise

    stream_to_file = write_to_file


class Streamed(NamedTuple):
    """Bytes as they come, and the headers that were told before them."""

    stream_iterator: Iterator[bytes] | AsyncIterator[bytes]
    headers: Mapping[str, str]


async def in_pieces(chunks: AsyncIterator[bytes | memoryview], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of `size`, the last of which may be shorter."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)

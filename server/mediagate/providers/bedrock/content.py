"""An object's bytes, read in ranges with the next one on its way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from mediagate.core.errors import StateConflict
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.names import Place
from mediagate.providers.http import READ_BYTES

RANGE_BYTES: Final = 8 << 20
# The first range is small, so that its reader need not wait for all of a large one.
FIRST_BYTES: Final = READ_BYTES


class _Range:
    """Some bytes of an object as far as they have come; `left` is set where nobody waits for them any more."""

    def __init__(self, start: int, end: int) -> None:
        self.chunks: list[bytes] = []
        self.at = start
        self.end = end
        self.left = threading.Event()

    def fill(self, body: Any) -> None:
        """Take what `body` gives."""
        while not self.left.is_set() and (chunk := body.read(min(READ_BYTES, self.end - self.at))):
            self.chunks.append(chunk)
            self.at += len(chunk)


class S3Content:
    """Readable bytes of one version of an object. Holds at most two ranges."""

    def __init__(self, s3: S3Client, place: Place, *, size_bytes: int, content_type: str, etag: str) -> None:
        self._s3 = s3
        self._place = place
        self.size_bytes = size_bytes
        self.content_type = content_type
        self.etag = etag

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`. Raises `FileNotFoundError` where the object went
        away meanwhile, `OSError` where it changed, and the provider's errors where S3 fails three times."""
        coming, at = self._begin(start, min(end, start + FIRST_BYTES)), start
        try:
            while at < end:
                span, task = coming
                await task
                at = span.end
                coming = self._begin(at, min(end, at + RANGE_BYTES))
                for chunk in span.chunks:
                    yield chunk
        finally:
            span, task = coming
            span.left.set()
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

    def _begin(self, start: int, end: int) -> tuple[_Range, asyncio.Task[None]]:
        span = _Range(start, end)
        return span, asyncio.ensure_future(self._fetch(span))

    async def _fetch(self, span: _Range) -> None:
        if span.at >= span.end:
            return
        try:
            await self._s3.run(partial(self._continue, span), transfer=True)
        except StateConflict:
            raise OSError("the object has changed while it was read") from None
        if span.at != span.end:
            raise OSError(f"the content ended at {span.at} of {span.end} bytes")

    def _continue(self, span: _Range, client: Any) -> None:
        """Go on where an attempt before this one broke."""
        if span.left.is_set():
            return
        guard = {"IfMatch": self.etag} if self.etag else {}
        begin = span.at
        answer = client.get_object(**self._place.params, Range=f"bytes={begin}-{span.end - 1}", **guard)
        body = answer["Body"]
        try:
            if answer.get("ContentRange", "").startswith(f"bytes {begin}-"):
                span.fill(body)
        finally:
            # A body that was read to its end has given its connection back; another one is broken off by this.
            body.close()

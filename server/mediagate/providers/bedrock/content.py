"""An object's bytes, streamed ahead of their reader."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from mediagate.core.errors import StateConflict
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.names import Place
from mediagate.providers.http import READ_BYTES

# What may have come and not been read, in chunks.
CHUNKS_HELD: Final = 8
# A reader that takes nothing for this long gives its thread and its connection back, and is continued later.
PATIENCE_S: Final = 1.0


class _Stream:
    """The bytes of an object from one place on, as far as they have come and were not taken yet."""

    def __init__(self, start: int, end: int) -> None:
        self.at = start
        self.end = end
        self.paused = False
        self.news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._room = threading.Semaphore(CHUNKS_HELD)
        self._left = threading.Event()

    @property
    def is_left(self) -> bool:
        """Whether nobody waits for the bytes any more."""
        return self._left.is_set()

    def fill(self, body: Any) -> None:
        """Take what `body` gives, in a thread."""
        while not self.is_left:
            if not self._room.acquire(timeout=PATIENCE_S):
                self.paused = True
                return
            chunk = body.read(min(READ_BYTES, self.end - self.at))
            if not chunk:
                self._room.release()
                return
            self._chunks.append(chunk)
            self.at += len(chunk)
            with suppress(RuntimeError):  # The event loop is closed, and nobody waits.
                self._loop.call_soon_threadsafe(self.news.set)

    def take(self) -> bytes | None:
        """The next chunk, if one has come."""
        if not self._chunks:
            return None
        self._room.release()
        return self._chunks.popleft()

    def end_of(self, _fetching: asyncio.Future[None]) -> None:
        """Tell the reader that no more will come."""
        self.news.set()

    def leave(self) -> None:
        """Let the thread end."""
        self._left.set()
        self._room.release()


class S3Content:
    """Readable bytes of one version of an object. One request streams them, ahead of the reader by `CHUNKS_HELD` chunks
    at most."""

    def __init__(self, s3: S3Client, place: Place, *, size_bytes: int, content_type: str, etag: str) -> None:
        self._s3 = s3
        self._place = place
        self.size_bytes = size_bytes
        self.content_type = content_type
        self.etag = etag

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`. Raises `FileNotFoundError` where the object went
        away meanwhile, `OSError` where it changed, and the provider's errors where S3 fails three times."""
        at = start
        while at < end:
            stream = _Stream(at, end)
            fetching = asyncio.ensure_future(self._fetch(stream))
            fetching.add_done_callback(stream.end_of)
            try:
                while (chunk := stream.take()) is not None or not fetching.done():
                    if chunk is None:
                        await stream.news.wait()
                        stream.news.clear()
                    else:
                        at += len(chunk)
                        yield chunk
                fetching.result()
            finally:
                stream.leave()
                fetching.cancel()
                await asyncio.wait([fetching])
                if not fetching.cancelled():
                    fetching.exception()

    async def _fetch(self, stream: _Stream) -> None:
        try:
            await self._s3.run(partial(self._continue, stream), transfer=True)
        except StateConflict:
            raise OSError("the object has changed while it was read") from None
        if stream.at != stream.end and not stream.paused:
            raise OSError(f"the content ended at {stream.at} of {stream.end} bytes")

    def _continue(self, stream: _Stream, client: Any) -> None:
        """Go on where an attempt before this one broke."""
        if stream.is_left:
            return
        guard = {"IfMatch": self.etag} if self.etag else {}
        begin = stream.at
        answer = client.get_object(**self._place.params, Range=f"bytes={begin}-{stream.end - 1}", **guard)
        body = answer["Body"]
        try:
            if answer.get("ContentRange", "").startswith(f"bytes {begin}-"):
                stream.fill(body)
        finally:
            # A body that was read to its end has given its connection back; another one is broken off by this.
            body.close()

"""A video of which the provider gives no ranges: its bytes wait in a file without a name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import IO, Final

from mediagate.providers.video_calls import VIDEO_TYPE

READ_BYTES: Final = 1 << 20


class InlineVideo:
    """The bytes. The file goes with this object."""

    etag = ""

    def __init__(self, file: IO[bytes], content_type: str) -> None:
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size
        self.content_type = content_type if content_type.startswith("video/") else VIDEO_TYPE

    def __del__(self) -> None:
        self._file.close()

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`."""
        while start < end:
            piece = await asyncio.to_thread(os.pread, self._file.fileno(), min(READ_BYTES, end - start), start)
            if not piece:
                raise OSError("the video is shorter than that")
            start += len(piece)
            yield piece

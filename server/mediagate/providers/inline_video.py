"""A video that came as text inside of JSON: its bytes wait in a file without a name."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Final

from mediagate.core.errors import ProviderFailed
from mediagate.providers.video_calls import VIDEO_TYPE

# A multiple of 4, so that each piece of the text is whole bytes.
_TEXT_CHARS: Final = 4 << 18
READ_BYTES: Final = 1 << 20


class InlineVideo:
    """The decoded bytes. The file goes with this object."""

    etag = ""

    def __init__(self, file: IO[bytes], size_bytes: int, content_type: str) -> None:
        self._file = file
        self.size_bytes = size_bytes
        self.content_type = content_type if content_type.startswith("video/") else VIDEO_TYPE

    def __del__(self) -> None:
        self._file.close()

    @classmethod
    async def of(cls, text: str, content_type: str) -> InlineVideo:
        """Decode base64, piece by piece. Raises `ProviderFailed` for a text that is none."""
        file = await asyncio.to_thread(_decoded, text)
        return cls(file, os.fstat(file.fileno()).st_size, content_type)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`."""
        while start < end:
            piece = await asyncio.to_thread(os.pread, self._file.fileno(), min(READ_BYTES, end - start), start)
            if not piece:
                raise OSError("the video is shorter than that")
            start += len(piece)
            yield piece


def _decoded(text: str) -> IO[bytes]:
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the object that holds it)
    try:
        for at in range(0, len(text), _TEXT_CHARS):
            file.write(base64.b64decode(text[at : at + _TEXT_CHARS], validate=True))
        file.flush()
    except binascii.Error:
        file.close()
        raise ProviderFailed("The provider sent a video that cannot be read.", code="provider_bad_answer") from None
    except OSError:
        file.close()
        raise
    return file

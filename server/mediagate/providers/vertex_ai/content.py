"""Reads one object in ranges, one of them ahead of the reader.

A range is taken as fast as it comes and is never left half-read, whatever the reader does meanwhile: a store that is
slow to be read from breaks off, and a copy that writes while it reads has always the next bytes at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from mediagate.core.errors import MediagateError, ProviderFailed
from mediagate.providers.http import ProviderHttp
from mediagate.providers.vertex_ai import api, objects
from mediagate.providers.vertex_ai.objects import Place

RANGE_BYTES: Final = 8 << 20
RANGES_HELD_MAX: Final = 2
PIECE_BYTES: Final = 256 << 10

# What stands between the fetching task and the reader: bytes, None behind each range, or what ended the fetching.
_Pieces = asyncio.Queue[bytes | None | Exception]


class GcsContent:
    """Readable bytes of one generation of an object, so that all ranges are of the same bytes."""

    def __init__(self, calls: ProviderHttp, place: Place, resource: dict[str, Any]) -> None:
        self._http = calls
        # The path that the API has for media, and the generation that the size and the checksum belong to.
        self._path = f"/download{place.path}"
        self._params = {"alt": "media", "generation": str(resource.get("generation", ""))}
        self._crc32c = str(resource.get("crc32c", ""))
        self.size_bytes = int(resource["size"])
        self.content_type = str(resource.get("contentType") or "application/octet-stream")
        self.etag = f'"{self._params["generation"]}"' if self._params["generation"] else ""

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`; the whole object is compared with its checksum
        before its last bytes are given.

        Raises `FileNotFoundError` where this generation is gone, and what the transport makes of a range that cannot be
        had in three attempts.
        """
        if start >= end:
            return
        pieces: _Pieces = asyncio.Queue()
        permits = asyncio.Semaphore(RANGES_HELD_MAX)
        fetching = asyncio.create_task(self._fetch(start, end, pieces, permits))
        is_whole = (start, end) == (0, self.size_bytes)
        crc32c = 0
        try:
            while start < end:
                piece = await pieces.get()
                if isinstance(piece, Exception):
                    raise piece
                if piece is None:
                    permits.release()
                    continue
                start += len(piece)
                if is_whole:
                    crc32c = api.crc32c_of(crc32c, piece)
                if is_whole and start == end:
                    self._verify(crc32c)
                yield piece
        finally:
            fetching.cancel()
            await asyncio.wait([fetching])

    def _verify(self, crc32c: int) -> None:
        if self._crc32c and api.crc32c_text(crc32c) != self._crc32c:
            raise api.checksum_mismatch(self._http.title)

    async def _fetch(self, start: int, end: int, pieces: _Pieces, permits: asyncio.Semaphore) -> None:
        try:
            for at in range(start, end, RANGE_BYTES):
                await permits.acquire()
                await self._fetch_range(at, min(at + RANGE_BYTES, end), pieces)
                pieces.put_nowait(None)
        except Exception as error:
            pieces.put_nowait(error)

    async def _fetch_range(self, at: int, end: int, pieces: _Pieces) -> None:
        """One range; a broken body is taken up where it broke."""
        failures = 0
        while at < end:
            try:
                async for piece in self._stream(at, end):
                    pieces.put_nowait(piece)
                    at += len(piece)
                if at < end:
                    raise ProviderFailed(
                        f"The connection to {self._http.title} broke. Try again later.", code="provider_connection_lost"
                    )
            except MediagateError as error:
                failures += 1
                await api.pause_after(error, failures, self._http.budget)

    async def _stream(self, at: int, end: int) -> AsyncIterator[bytes]:
        headers = {"range": f"bytes={at}-{end - 1}"}
        async with self._http.stream("GET", self._path, params=self._params, headers=headers) as answer:
            if answer.status_code != 206 and at > 0:
                raise objects.bad_answer(self._http.title)
            left = end - at
            # Raw: an object that is stored compressed has the size and the checksum of its compressed bytes.
            async for piece in answer.aiter_raw(PIECE_BYTES):
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    return

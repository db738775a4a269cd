"""Content that a provider's server sends in ranges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx

from mediagate.providers.http import READ_BYTES, ProviderHttp


class HttpContent:
    """Readable bytes behind a GET that takes `Range`. `etag` guards every read, where the server has one."""

    def __init__(
        self, http: ProviderHttp, path: str, *, size_bytes: int, content_type: str, etag: str = "", **options: Any
    ) -> None:
        self._http = http
        self._path = path
        self._options = options
        self.size_bytes = size_bytes
        self.content_type = content_type
        self.etag = etag

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`. A server that ignores Range is read from its
        beginning; what comes before `start` is dropped. Raises `OSError` where less comes than was announced."""
        if start >= end:
            return
        # Compressed on the way, a range would be one of other bytes.
        headers = {"range": f"bytes={start}-{end - 1}", "accept-encoding": "identity"}
        if self.etag and not self.etag.startswith("W/"):
            headers["if-match"] = self.etag
        async with self._http.stream("GET", self._path, headers=headers, **self._options) as response:
            at = _first_byte(response, start) if response.status_code == 206 else 0
            async for chunk in response.aiter_bytes(READ_BYTES):
                useful = chunk[max(0, start - at) : max(0, end - at)]
                at += len(chunk)
                if useful:
                    yield useful
                if at >= end:
                    return
        raise OSError(f"the content ended at {at} of {end} bytes")


def _first_byte(response: httpx.Response, wanted: int) -> int:
    told = response.headers.get("content-range", "")
    if told and not told.startswith(f"bytes {wanted}-"):
        raise OSError("the server sent another range than was asked for")
    return wanted

"""One object on its way into a provider that takes a file as one form."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from mediagate.core.errors import (
    MediagateError,
    PayloadTooLarge,
    ProviderFailed,
    ProviderTimeout,
    TruncatedUpload,
)
from mediagate.providers.answers import Tree
from mediagate.providers.files import FileSpec, StoredBlob
from mediagate.providers.http import BodyFeed, ProviderHttp, json_of
from mediagate.providers.http_failures import nowhere
from mediagate.providers.multipart_body import MultipartBody

# An abort asks the provider whether it took the file after all; a caller that is being refused does not wait longer.
ABORT_S = 15.0


class FormWriter:
    """Streams the form while it is written. `read` makes the blob of the provider's answer, `delete` removes a ref, and
    `discard` whatever the provider may have taken without telling its ref."""

    def __init__(
        self,
        http: ProviderHttp,
        spec: FileSpec,
        path: str,
        form: MultipartBody,
        *,
        size_bytes: int | None,
        read: Callable[[Tree], StoredBlob],
        delete: Callable[[str], Awaitable[None]],
        discard: Callable[[], Awaitable[None]],
    ) -> None:
        async def send(body: AsyncIterator[bytes]) -> httpx.Response:
            headers = form.headers(size_bytes)
            return await http.call("POST", path, repeatable=False, content=body, headers=headers)

        self._http = http
        self._spec = spec
        self._form = form
        self._announced = size_bytes
        self._read = read
        self._delete = delete
        self._discard = discard
        self._send = send
        self._feed: BodyFeed | None = None
        self._sent = 0
        # Whether the provider may hold the file although it did not say so.
        self._ended = False
        self._blob: StoredBlob | None = None

    async def _opened(self) -> BodyFeed:
        if self._feed is None:
            self._feed = BodyFeed(self._send)
            await self._feed.write(self._form.head)
        return self._feed

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; waits while the provider is behind. Raises what the provider answers before the end,
        and `PayloadTooLarge` for more than it takes."""
        self._sent += len(chunk)
        refuse_larger(self._spec, self._sent)
        try:
            await (await self._opened()).write(chunk)
        except FileNotFoundError:
            raise nowhere(self._http.title) from None

    async def commit(self) -> StoredBlob:
        """End the form. The object is proven by the size that the provider tells."""
        if self._announced not in (None, self._sent):
            raise TruncatedUpload("The file is not as long as was announced.")
        feed = await self._opened()
        try:
            await feed.write(self._form.tail)
            self._ended = True
            self._blob = self._read(json_of(await feed.finish(), self._http.title))
        except FileNotFoundError:
            self._ended = False
            raise nowhere(self._http.title) from None
        except MediagateError as error:
            self._ended = self._ended and isinstance(error, ProviderFailed | ProviderTimeout)
            raise
        if self._blob.size_bytes != self._sent:
            raise ProviderFailed(f"{self._http.title} stored other bytes.", code="provider_checksum_mismatch")
        return self._blob

    async def abort(self) -> None:
        """Break the form off, or take back what the provider has made of it."""
        feed, self._feed = self._feed, None
        if feed is not None:
            await feed.abort()
        blob, self._blob = self._blob, None
        ended, self._ended = self._ended, False
        # What cannot be removed now is found again by its key.
        with contextlib.suppress(MediagateError, TimeoutError):
            async with asyncio.timeout(ABORT_S):
                if blob is not None:
                    await self._delete(blob.ref)
                elif ended:
                    await self._discard()


def refuse_larger(spec: FileSpec, size_bytes: int) -> None:
    """Raises `PayloadTooLarge` for a file that the provider surely refuses, before all of it has been sent."""
    if spec.file_bytes_max is not None and size_bytes > spec.file_bytes_max:
        raise PayloadTooLarge(
            f"{spec.title} takes files of at most {spec.file_bytes_max} bytes.",
            param="file",
            provider=spec.name,
            bytes_max=spec.file_bytes_max,
        )

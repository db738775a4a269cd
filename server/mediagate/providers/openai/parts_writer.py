"""A file that is too large for one form: `/uploads`, its parts, and what closes it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

from mediagate.core.errors import MediagateError, ProviderFailed, ProviderTimeout, TruncatedUpload
from mediagate.core.limits import MIB
from mediagate.providers.files import NewFile, StoredBlob, marked_name
from mediagate.providers.form_writer import ABORT_S
from mediagate.providers.http import repeated
from mediagate.providers.http_failures import nowhere
from mediagate.providers.multipart_body import MultipartBody
from mediagate.providers.openai.api import FilesApi
from mediagate.providers.openai.wire import expires_after, file_of, id_of

# The provider takes up to 64 MB; what is in flight stays in memory until it is answered.
PART_BYTES: Final = 8 * MIB
IN_FLIGHT_MAX: Final = 4


class PartsWriter:
    """One upload. A part that was perhaps lost is sent again: only the parts that the end names become the file."""

    def __init__(self, api: FilesApi, new: NewFile, size_bytes: int, *, part_bytes: int = PART_BYTES) -> None:
        self._api = api
        self._new = new
        self._size_bytes = size_bytes
        self._part_bytes = part_bytes
        self._taken_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._filling = bytearray()
        self._parts: list[asyncio.Task[str]] = []
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._upload = ""
        # Whether the provider may hold the file although it did not say so.
        self._ended = False
        self._blob: StoredBlob | None = None

    async def begin(self) -> None:
        """Announce the upload. One that nobody closes is dropped by the provider within an hour."""
        expiry = expires_after(self._new.life_s) if self._api.expires else {}
        body: dict[str, Any] = {
            "bytes": self._size_bytes,
            "filename": marked_name(self._new.filename, self._new.key),
            "mime_type": self._new.content_type,
            "purpose": self._new.purpose,
        }
        if expiry:
            body["expires_after"] = expiry
        self._upload = id_of(await self._post("uploads", json=body), self._api.title)

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; waits while four parts are on their way. Raises what ended an earlier part."""
        self._taken_bytes += len(chunk)
        if self._taken_bytes > self._size_bytes:
            raise TruncatedUpload("The file is not as long as was announced.")
        self._md5.update(chunk)
        view = memoryview(chunk)
        while view:
            room = self._part_bytes - len(self._filling)
            self._filling += view[:room]
            view = view[room:]
            if len(self._filling) == self._part_bytes:
                await self._send_filled()

    async def _send_filled(self) -> None:
        self._raise_failed()
        await self._slots.acquire()
        part, self._filling = self._filling, bytearray()
        task = asyncio.create_task(self._send_part(part))
        task.add_done_callback(lambda _: self._slots.release())
        self._parts.append(task)

    def _raise_failed(self) -> None:
        for task in self._parts:
            if task.done():
                task.result()

    async def _send_part(self, part: bytearray) -> str:
        form = MultipartBody({}, "part", file_field="data")

        async def body() -> AsyncIterator[bytes | memoryview]:
            yield form.head
            view = memoryview(part)
            for at in range(0, len(part), MIB):
                yield view[at : at + MIB]
            yield form.tail

        async def once() -> str:
            answer = await self._post("uploads", self._upload, "parts", content=body(), headers=form.headers(len(part)))
            return id_of(answer, self._api.title)

        return await repeated(once, self._api.http.budget)

    async def _post(self, *path: str, **options: Any) -> dict[str, Any]:
        try:
            return await self._api.http.json("POST", self._api.path(*path), repeatable=False, **options)
        except FileNotFoundError:
            raise nowhere(self._api.title) from None

    async def commit(self) -> StoredBlob:
        """Close the upload. The provider compares size and MD5 with what it holds."""
        if self._taken_bytes != self._size_bytes:
            raise TruncatedUpload("The file is not as long as was announced.")
        if self._filling:
            await self._send_filled()
        body = {"part_ids": await asyncio.gather(*self._parts), "md5": self._md5.hexdigest()}
        self._ended = True
        try:
            tree = await self._post("uploads", self._upload, "complete", json=body)
            self._blob = self._api.blob_of(file_of(tree.get("file"), self._api.title), self._size_bytes)
        except MediagateError as error:
            self._ended = isinstance(error, ProviderFailed | ProviderTimeout)
            raise
        if self._blob.size_bytes != self._size_bytes:
            raise ProviderFailed(f"{self._api.title} stored other bytes.", code="provider_checksum_mismatch")
        return self._blob

    async def abort(self) -> None:
        """Stop the parts, cancel the upload, and remove the file where there is or may be one."""
        for task in self._parts:
            task.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        blob, self._blob = self._blob, None
        upload, self._upload = self._upload, ""
        ended, self._ended = self._ended, False
        # What cannot be removed now is found again by its key, or ends by itself within an hour.
        with suppress(MediagateError, TimeoutError):
            async with asyncio.timeout(ABORT_S):
                if blob is not None:
                    await self._api.delete(blob.ref)
                elif upload:
                    await self._drop(upload, ended)

    async def _drop(self, upload: str, ended: bool) -> None:
        try:
            await self._post("uploads", upload, "cancel")
        finally:
            # The provider refuses to cancel what it has perhaps closed without telling us.
            if ended:
                await self._api.discard(self._new.key)

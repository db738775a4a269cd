"""Writes one object: what is small in one request, what is large in a resumable session.

A session takes chunks in order, so one chunk is on its way while the next one fills. The store may keep less of a chunk
than was sent, and says so; after a broken connection it is asked. A session that nobody ends is gone after a week
(https://cloud.google.com/storage/docs/resumable-uploads).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import httpx

from mediagate.core.errors import InvalidRequest, MediagateError, ProviderFailed, Unsupported
from mediagate.providers import http, http_failures
from mediagate.providers.files import NewFile, StoredBlob
from mediagate.providers.http import ProviderHttp
from mediagate.providers.vertex_ai import api, objects
from mediagate.providers.vertex_ai.objects import Place

# A multiple of 256 KiB, as the API asks for; what fits into one is sent in one request.
CHUNK_BYTES: Final = 8 << 20
RESUME_INCOMPLETE: Final = 308
# An object is made only where none is, so that no attempt can overwrite what another one has finished.
_IF_NEW: Final = {"ifGenerationMatch": "0", "fields": objects.OBJECT_FIELDS}


class GcsWriter:
    """One object on its way. Readers see it with `commit`, as a whole. Holds two chunks at most."""

    def __init__(self, calls: ProviderHttp, place: Place, new: NewFile, kms_key: str | None = None) -> None:
        self._http = calls
        self._created = {**_IF_NEW, "kmsKeyName": kms_key} if kms_key else _IF_NEW
        self._place = place
        self._new = new
        self._filling = bytearray()
        self._size_bytes = 0
        self._sent_bytes = 0
        self._crc32c = 0
        self._session: str | None = None
        self._sending: asyncio.Task[dict[str, Any] | None] | None = None
        self._may_exist = False

    @property
    def ref(self) -> str:
        """What the object will be called."""
        return self._place.ref

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; waits while two chunks are full. Raises what the store made of an earlier chunk."""
        data = bytes(chunk)
        self._crc32c = api.crc32c_of(self._crc32c, data)
        self._size_bytes += len(data)
        view = memoryview(data)
        while view:
            if len(self._filling) == CHUNK_BYTES:
                await self._turn()
            room = CHUNK_BYTES - len(self._filling)
            self._filling += view[:room]
            view = view[room:]

    async def _turn(self) -> None:
        """Send the full chunk, now that another follows: the last one has to say that it is the last."""
        await self._settled()
        full, self._filling = self._filling, bytearray()
        at, self._sent_bytes = self._sent_bytes, self._sent_bytes + len(full)
        self._sending = asyncio.create_task(self._send(full, at, None))

    async def _settled(self) -> dict[str, Any] | None:
        # Shielded: a caller who goes away calls `abort`, which ends the request in order.
        return None if self._sending is None else await asyncio.shield(self._sending)

    async def commit(self) -> StoredBlob:
        """Send the rest and make the object visible; its size and crc32c must be what was sent.

        Raises `ProviderFailed`, with the code `provider_checksum_mismatch`, where the store has other bytes.
        """
        await self._settled()
        self._may_exist = True
        if self._session is None:
            self._sending = asyncio.create_task(self._send_whole())
        else:
            self._sending = asyncio.create_task(self._send(self._filling, self._sent_bytes, self._size_bytes))
        try:
            resource = await self._settled()
        except api.PreconditionFailed:
            # An earlier attempt under the same key may have come this far, and nobody heard of it.
            resource = await self._http.json("GET", self._place.path, params={"fields": objects.OBJECT_FIELDS})
            if not self._is_same(resource):
                raise
        if not self._is_same(resource or {}):
            # Where it cannot be removed at once, the caller's own `abort` tries again.
            with suppress(MediagateError):
                await self.abort()
            raise api.checksum_mismatch(self._http.title)
        self._session = None
        return StoredBlob(ref=self.ref, size_bytes=self._size_bytes)

    def _is_same(self, resource: dict[str, Any]) -> bool:
        told = str(resource.get("size")), resource.get("crc32c")
        if None in told:
            raise objects.bad_answer(self._http.title)
        return told == (str(self._size_bytes), api.crc32c_text(self._crc32c))

    async def _send_whole(self) -> dict[str, Any]:
        resource = objects.resource_of(self._new, name=self._place.name, crc32c=api.crc32c_text(self._crc32c))
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(resource)}\r\n"
            f"--{boundary}\r\nContent-Type: {self._new.content_type}\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--".encode()

        async def body() -> AsyncIterator[bytes | memoryview]:
            yield head
            with memoryview(self._filling) as view:
                for at in range(0, len(view), http.PIECE_BYTES):
                    yield view[at : at + http.PIECE_BYTES]
            yield tail

        headers = {
            "content-type": f"multipart/related; boundary={boundary}",
            "content-length": str(len(head) + len(self._filling) + len(tail)),
        }
        params = {"uploadType": "multipart", **self._created}
        try:
            return await self._http.json(
                "POST", self._upload_path, params=params, headers=headers, content=body(), repeatable=False
            )
        except FileNotFoundError:
            raise http_failures.nowhere(self._http.title) from None

    @property
    def _upload_path(self) -> str:
        return f"/upload/storage/v1/b/{self._place.bucket}/o"

    async def _begin(self) -> str:
        """Open the session and return its path. The host stays ours, for the credentials go with every call."""
        headers = {"x-upload-content-type": self._new.content_type}
        if self._new.size_bytes is not None:
            headers["x-upload-content-length"] = str(self._new.size_bytes)
        params = {"uploadType": "resumable", "name": self._place.name, **self._created}
        try:
            answer = await self._http.call(
                "POST",
                self._upload_path,
                params=params,
                headers=headers,
                json=objects.resource_of(self._new),
                repeatable=False,
            )
        except FileNotFoundError:
            raise http_failures.nowhere(self._http.title) from None
        location = httpx.URL(answer.headers.get("location", "")).raw_path.decode()
        if "upload_id=" not in location:
            raise objects.bad_answer(self._http.title)
        return location

    async def _send(self, data: bytearray, at: int, total: int | None) -> dict[str, Any] | None:
        """Send the chunk that begins at `at`; with `total` it is the last one, and the object's resource comes back.

        At most three attempts fail or bring nothing further; in between the store is asked what it has.
        """
        if self._session is None:
            self._session = await self._begin()
        taken, failures, ask = 0, 0, False
        while True:
            try:
                answer = await (self._ask() if ask else self._put(data, at, taken, total))
                if answer.status_code != RESUME_INCOMPLETE:
                    return http.json_of(answer, self._http.title)
                before, taken = taken, api.persisted_bytes(answer) - at
                if not 0 <= taken <= len(data):
                    raise self._lost()
                if taken == len(data) and total is None:
                    return None
                if taken == before and not ask:
                    raise ProviderFailed(f"{self._http.title} takes no more bytes. Try again later.")
                ask = False
            except FileNotFoundError:
                raise self._lost() from None
            except MediagateError as error:
                failures += 1
                await api.pause_after(error, failures, self._http.budget)
                ask = True

    async def _put(self, data: bytearray, at: int, taken: int, total: int | None) -> httpx.Response:
        end = "*" if total is None else str(total)
        first, last = at + taken, at + len(data) - 1
        # Where the store has every byte and did not learn that they are all, there is nothing left but to say it.
        span = f"{first}-{last}" if first <= last else "*"
        return await self._http.call(
            "PUT",
            self._session or "",
            headers={"content-range": f"bytes {span}/{end}"},
            content=memoryview(data)[taken:],
            repeatable=False,
        )

    async def _ask(self) -> httpx.Response:
        headers = {"content-range": "bytes */*", "content-length": "0"}
        return await self._http.call("PUT", self._session or "", headers=headers, repeatable=False)

    def _lost(self) -> ProviderFailed:
        return ProviderFailed(
            f"{self._http.title} has lost an upload that was under way. Try again later.", code="provider_upload_lost"
        )

    async def abort(self) -> None:
        """Cancel the session and remove the object. Raises where the store cannot be told; may be called again."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
            if not self._sending.cancelled():
                self._sending.exception()
        self._filling = bytearray()
        if self._session is not None:
            # An emulator cannot cancel, and a session that has ended cannot be cancelled.
            with suppress(FileNotFoundError, Unsupported, InvalidRequest):
                await self._http.call("DELETE", self._session, headers={"content-length": "0"})
            self._session = None
        if self._may_exist:
            with suppress(FileNotFoundError):
                await self._http.call("DELETE", self._place.path)
            self._may_exist = False

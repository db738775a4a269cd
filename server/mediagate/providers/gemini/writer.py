"""A file on its way to Gemini: in chunks while it arrives, or, where its length is not known, from a spool."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from mediagate.core.errors import InvalidRequest, MediagateError, ProviderFailed, TruncatedUpload
from mediagate.providers.answers import Tree, reading
from mediagate.providers.files import ObjectState, ProviderFile, StoredBlob
from mediagate.providers.form_writer import ABORT_S, refuse_larger
from mediagate.providers.gemini.session import Session
from mediagate.providers.gemini.spec import FILES
from mediagate.providers.gemini.spool import Spool


class Place(Protocol):
    """Where the file goes: what the writer needs of the account."""

    def record(self, tree: Tree) -> ProviderFile:
        """The provider's record of a file."""
        ...

    async def fetch(self, ref: str) -> Tree:
        """The same as the provider sends it."""
        ...

    async def delete(self, ref: str) -> None:
        """Remove a file."""
        ...


class GeminiWriter:
    """One file. `session` is open where the length is known from the start, else it is opened by `start` when the
    spool holds everything. `ref` is the name that the file will have."""

    def __init__(
        self,
        place: Place,
        ref: str,
        *,
        session: Session | None,
        start: Callable[[int], Awaitable[Session]],
        spool: Spool,
    ) -> None:
        self._place = place
        self._ref = ref
        self._session = session
        self._start = start
        self._spool = None if session is not None else spool
        self._pending = bytearray()
        self._sending: asyncio.Task[None] | None = None
        self._offset = 0
        self._size = 0
        self._sha256 = hashlib.sha256()

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes. One chunk is sent while the next one is collected."""
        self._size += len(chunk)
        refuse_larger(FILES, self._size)
        self._sha256.update(chunk)
        if self._spool is not None:
            await self._spool.write(chunk)
            return
        session = self._opened()
        if self._size > session.size_bytes:
            raise TruncatedUpload("The file is longer than was announced.")
        self._pending += chunk
        while len(self._pending) >= session.chunk_bytes and self._offset + session.chunk_bytes < session.size_bytes:
            full = bytes(memoryview(self._pending)[: session.chunk_bytes])
            del self._pending[: session.chunk_bytes]
            await self._push(session, full)

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("the writer was aborted")
        return self._session

    async def _push(self, session: Session, data: bytes) -> None:
        await self._sent()
        self._sending = asyncio.create_task(session.send(self._offset, data))
        self._offset += len(data)

    async def _sent(self) -> None:
        if self._sending is not None:
            await self._sending
            self._sending = None

    async def commit(self) -> StoredBlob:
        """End the upload; the file is proven by size and SHA-256."""
        if self._spool is not None:
            self._session = await self._start(self._size)
            await self._send_spool(self._session, self._spool)
        session = self._opened()
        if self._size != session.size_bytes:
            raise TruncatedUpload("The file is not as long as was announced.")
        await self._sent()
        if not session.ended:
            await session.send(self._offset, bytes(self._pending))
        self._pending.clear()
        return await self._proven(session)

    async def _send_spool(self, session: Session, spool: Spool) -> None:
        await spool.rewind()
        while self._offset < session.size_bytes:
            data = await spool.read(session.chunk_bytes)
            await session.send(self._offset, data)
            self._offset += len(data)
        await spool.close()

    async def _proven(self, session: Session) -> StoredBlob:
        with reading(FILES.title):
            tree = session.answer["file"] if session.answer is not None else await self._place.fetch(self._ref)
            file = self._place.record(tree)
            hashed = tree.get("sha256Hash")
            same = file.size_bytes == self._size and (hashed is None or self._is_hash(hashed))
        if not same:
            raise ProviderFailed(f"{FILES.title} stored other bytes.", code="provider_checksum_mismatch")
        if file.state is ObjectState.FAILED:
            raise InvalidRequest(f"{FILES.title} does not take this file.", code="provider_rejected_file")
        return StoredBlob(
            ref=file.ref,
            size_bytes=self._size,
            ready=file.state is ObjectState.READY,
            expires_at=file.expires_at,
        )

    def _is_hash(self, encoded: str) -> bool:
        # The documentation says base64 of the digest; the API sends base64 of the digest's hexadecimal text.
        try:
            told = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        return told in (self._sha256.digest(), self._sha256.hexdigest().encode())

    async def abort(self) -> None:
        """Forget the upload, or remove the file where it may have been made."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
            if not self._sending.cancelled():
                self._sending.exception()
            self._sending = None
        session, self._session = self._session, None
        self._pending.clear()
        if self._spool is not None:
            await self._spool.close()
        if session is None:
            return
        # What cannot be removed now is found again by its key.
        with contextlib.suppress(MediagateError, TimeoutError):
            async with asyncio.timeout(ABORT_S):
                await (self._place.delete(self._ref) if session.ended else session.cancel())

"""SHA-256 of bytes that pass, computed beside the event loop."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor

# Below this a thread costs more than it saves; hashing it takes a fraction of a millisecond.
INLINE_BYTES = 1 << 17
# A digest has at most one thread at a time.
_threads = ThreadPoolExecutor(8, thread_name_prefix="digest")


class Digest:
    """One running digest. While a thread hashes one chunk, the caller fetches the next."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._running: asyncio.Future[None] | None = None

    async def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes, which must not change afterwards."""
        await self._settle()
        if len(chunk) < INLINE_BYTES:
            self._sha256.update(chunk)
        else:
            self._running = asyncio.get_running_loop().run_in_executor(_threads, self._sha256.update, chunk)

    async def hexdigest(self) -> str:
        """The digest of everything, in lower-case hexadecimal."""
        await self._settle()
        return self._sha256.hexdigest()

    async def _settle(self) -> None:
        if self._running is not None:
            # Shielded: the thread goes on where the caller is cancelled, and nobody else may use the digest then.
            await asyncio.shield(self._running)
            self._running = None

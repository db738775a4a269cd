"""Whose bytes pass this process: some batches at a time."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Turn:
    """One of the places in `room`, for as long as the context lasts. Who waits for something else leaves it to others
    meanwhile."""

    def __init__(self, room: asyncio.Semaphore) -> None:
        self._room = room
        self._held = False

    async def __aenter__(self) -> Turn:
        await self.resume()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Let another have it."""
        if self._held:
            self._held = False
            self._room.release()

    async def resume(self) -> None:
        """Have it again."""
        if not self._held:
            await self._room.acquire()
            self._held = True

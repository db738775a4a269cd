"""How much of files one process holds in memory, because they go into requests."""

from __future__ import annotations

import asyncio
from collections import deque


class InlineRoom:
    """Room for so many bytes. Who comes first is let in first; one that is larger than the room has it alone."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size_bytes: int) -> None:
        """Wait until there is room."""
        if not self._waiting and self._fits(size_bytes):
            self._held += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # It may have stood before others that fit.
                self._let_in()
            else:
                self.leave(size_bytes)
            raise

    def leave(self, size_bytes: int) -> None:
        """Give it back."""
        self._held -= size_bytes
        self._let_in()

    def _fits(self, size_bytes: int) -> bool:
        return not self._held or self._held + size_bytes <= self._bytes_max

    def _let_in(self) -> None:
        while self._waiting:
            size_bytes, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(size_bytes):
                    return
                self._held += size_bytes
                turn.set_result(None)
            self._waiting.popleft()

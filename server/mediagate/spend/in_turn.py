"""Work that is done for many at once: what comes while some is being done waits, and is done together behind it.

    turns = InTurn(do, many_max=64)
    await turns.run(item)            # done when `do` is, for this item

Who comes alone waits for nothing. Of a budget's row, which is locked until its transaction ends, many chats are a turn
each in the place of one after the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from mediagate.core.errors import MediagateError

T = TypeVar("T")


class InTurn(Generic[T]):
    """Does work of one kind, never two pieces at the same time."""

    def __init__(self, do: Callable[[Sequence[T]], Awaitable[None]], many_max: int) -> None:
        """`do` does all of what it gets or, where it raises, nothing."""
        self._do = do
        self._many_max = many_max
        self._waiting: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done or waits."""
        return self._task is None

    async def run(self, item: T) -> None:
        """Have one item done. Raises what `do` raises for it. Who is cancelled while it waits leaves nothing done."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="in turn")
        await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._many_max)
                batch = [self._waiting.popleft() for _ in range(count)]
                await self._done([(item, done) for item, done in batch if not done.cancelled()])
        finally:
            self._task = None

    async def _done(self, batch: list[tuple[T, asyncio.Future[None]]]) -> None:
        if not batch:
            return
        try:
            await self._do([item for item, _ in batch])
        except Exception as error:
            if isinstance(error, MediagateError) and len(batch) > 1:
                # Some of them may not: which, each of them is asked for.
                for one in batch:
                    await self._done([one])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for _, done in batch:
            if not done.done():
                done.set_result(None)

"""Read ahead: the next chunk is fetched while the one before is being used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

DEPTH = 4


async def ahead(chunks: AsyncIterator[bytes], depth: int = DEPTH) -> AsyncGenerator[bytes]:
    """Yield `chunks`, with up to `depth` of them fetched in advance. Raises what they raise, where it stood."""
    queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(depth)

    async def fetch() -> None:
        try:
            async for chunk in chunks:
                await queue.put(chunk)
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(None)

    fetching = asyncio.create_task(fetch())
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        fetching.cancel()
        await asyncio.wait([fetching])

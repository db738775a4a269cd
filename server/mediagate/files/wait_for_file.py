"""Wait for a file that is still being copied."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mediagate.core.errors import StateConflict
from mediagate.core.lifecycle import FileState
from mediagate.core.objects import File, Principal
from mediagate.files.copy_news import CopyNews
from mediagate.files.get_file import GetFile
from mediagate.files.place_copy import LOOK_S


@dataclass(frozen=True, slots=True)
class WaitForFile:
    """Return a file whose bytes are there."""

    get_file: GetFile
    news: CopyNews

    async def run(self, who: Principal, file_id: str, *, wait_s: float) -> File:
        """Raises `NotFound`, `StateConflict` for a file that cannot be copied, and for one that is not done within
        `wait_s`."""
        file = await self.get_file.run(who, file_id)
        if file.state is not FileState.COPYING:
            return _done(file)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        async with self.news.of(file_id) as heard:
            while True:
                file = await self.get_file.run(who, file_id)
                if file.state is not FileState.COPYING:
                    return _done(file)
                left_s = deadline - loop.time()
                if left_s <= 0:
                    raise StateConflict(
                        f"File {file.id} is still being copied. Send the same request again when its status is "
                        "processed.",
                        code="file_not_ready",
                        file_id=file.id,
                    )
                await heard.next(min(left_s, LOOK_S))


def _done(file: File) -> File:
    if file.state is FileState.FAILED:
        raise StateConflict(f"File {file.id} could not be copied: {file.failure}", code="file_failed", file_id=file.id)
    return file

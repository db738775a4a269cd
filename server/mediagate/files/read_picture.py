"""A picture as guardrails take it: small enough, and of a kind that they know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mediagate.core.errors import Unavailable
from mediagate.core.guardrails import IMAGE_BYTES_MAX, IMAGE_TYPES, Picture
from mediagate.core.objects import File
from mediagate.files.open_content import OpenContent
from mediagate.files.spool import Spool
from mediagate.media.containers import BadVideo
from mediagate.media.tools import NotLookedInto, VideoTools

# What is held of pictures is bounded by this.
AT_ONCE: Final = 4
READ_S_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class ReadPicture:
    """Reads them. Whoever does should hold one of `slots` as long as it holds the picture."""

    open_file: OpenContent
    tools: VideoTools
    spool_dir: Path
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def of_file(self, file: File, param: str) -> Picture | None:
        """A stored picture; None for one that no program can show. Raises `Unavailable` where it cannot be read now;
        `param` is the field that names it."""
        try:
            async with asyncio.timeout(READ_S_MAX):
                return await self._read(file)
        except BadVideo:
            return None
        except (OSError, NotLookedInto) as error:
            raise _unreadable(param) from error

    async def of_bytes(self, data: bytes, content_type: str, param: str) -> Picture | None:
        """One that came with a request. As `of_file`."""
        if content_type in IMAGE_TYPES and len(data) <= IMAGE_BYTES_MAX:
            return Picture(data, content_type)
        spool = Spool(self.spool_dir)
        try:
            await spool.write(data)
            return Picture(await self.tools.shrink(spool.fileno()), "image/jpeg")
        except BadVideo:
            return None
        except (OSError, NotLookedInto) as error:
            raise _unreadable(param) from error
        finally:
            spool.close()

    async def _read(self, file: File) -> Picture:
        content = await self.open_file.of(file)
        if file.content_type in IMAGE_TYPES and file.size_bytes <= IMAGE_BYTES_MAX:
            data = b"".join([chunk async for chunk in content.read(0, content.size_bytes)])
            if len(data) != file.size_bytes:
                raise OSError(f"{len(data)} of {file.size_bytes} bytes came")
            return Picture(data, file.content_type)
        spool = Spool(self.spool_dir)
        try:
            async for chunk in content.read(0, content.size_bytes):
                await spool.write(chunk)
            return Picture(await self.tools.shrink(spool.fileno()), "image/jpeg")
        finally:
            spool.close()


def _unreadable(param: str) -> Unavailable:
    return Unavailable(f"The content of '{param}' cannot be read at the moment. Try again later.", param=param)

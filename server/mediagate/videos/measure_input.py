"""How long a stored video is that another is made from: what is made of it is as long, and is priced by that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mediagate.core.errors import InvalidField, Unavailable
from mediagate.core.objects import File
from mediagate.files.open_content import OpenContent
from mediagate.files.spool import Spool
from mediagate.media.containers import BadVideo
from mediagate.media.tools import NotLookedInto, VideoTools

AT_ONCE: Final = 4
# The caller waits with a connection that is quiet meanwhile, and what lies between cuts such a one off.
WHOLE_S_MAX: Final = 45.0


@dataclass(frozen=True, slots=True)
class MeasureInput:
    """Reads a file once, into a file without a name, for a process of its own; `AT_ONCE` at the same time."""

    open_file: OpenContent
    tools: VideoTools
    spool_dir: Path
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def seconds(self, file: File) -> float:
        """Its length in seconds. Raises `InvalidField` where it is no whole video, `Unavailable` where it cannot be
        read in time, and as `OpenContent.of`."""
        spool = Spool(self.spool_dir)
        try:
            async with asyncio.timeout(WHOLE_S_MAX), self._slots:
                return await self._measured(file, spool)
        except BadVideo:
            raise InvalidField(
                "'video' cannot be measured. It must be a whole MP4, QuickTime, WebM or Matroska video.", param="video"
            ) from None
        except (OSError, NotLookedInto) as error:
            raise Unavailable("The content of 'video' cannot be read at the moment. Try again later.") from error
        finally:
            spool.close()

    async def _measured(self, file: File, spool: Spool) -> float:
        content = await self.open_file.of(file)
        async for chunk in content.read(0, content.size_bytes):
            await spool.write(chunk)
        if spool.size_bytes != content.size_bytes:
            raise OSError(f"{spool.size_bytes} of {content.size_bytes} bytes came")
        return (await self.tools.measure(spool.fileno())).duration_s

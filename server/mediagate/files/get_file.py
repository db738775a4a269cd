"""Find one file of the caller."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.objects import File, Principal
from mediagate.store.files import FileLookup


@dataclass(frozen=True, slots=True)
class GetFile:
    """Return a file that may be read now."""

    files: FileLookup
    clock: Clock

    async def run(self, who: Principal, file_id: str) -> File:
        """Raises `NotFound` for an id that is malformed, unknown, deleted, expired or somebody else's."""
        ids.FILE.parse(file_id)
        file = await self.files.get(who, file_id, now=self.clock.now())
        if file is None:
            raise ids.FILE.not_found(file_id)
        return file

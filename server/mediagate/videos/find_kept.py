"""Find what is kept of a finished video here: a copy of it, or a picture."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core.clock import Clock
from mediagate.core.lifecycle import FileState
from mediagate.core.objects import File
from mediagate.store.files import FileLookup


@dataclass(frozen=True, slots=True)
class FindKept:
    """Looks internal files up."""

    files: FileLookup
    clock: Clock

    async def run(self, file_id: str | None) -> File | None:
        """The file, where it is whole and not over."""
        file = None if file_id is None else await self.files.any(file_id)
        if file is None or file.state is not FileState.PROCESSED:
            return None
        return None if file.expires_at is not None and file.expires_at <= self.clock.now() else file

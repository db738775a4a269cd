"""Leases of files that this process is writing: one statement renews them all."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from mediagate.core.clock import Clock
from mediagate.store.database import Database
from mediagate.store.files import FileRepository

log = structlog.get_logger(__name__)
LEASE_S = 30.0
RENEW_S = 8.0
LEASE = timedelta(seconds=LEASE_S)


class Leases:
    """Says of every file that is held here that its bytes are still coming, for as long as this process lives."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._held: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def hold(self, file_id: str) -> None:
        """Renew the lease of this file from now on."""
        self._held.add(file_id)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="leases")

    def release(self, file_id: str) -> None:
        """Let it run out."""
        self._held.discard(file_id)

    async def close(self) -> None:
        """Renew nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            if not self._held:
                self._task = None
                return
            try:
                async with self._db.transaction() as tx:
                    until = self._clock.now() + LEASE
                    await FileRepository(tx.connection).extend_leases(sorted(self._held), until)
            except Exception as error:
                # The database is away for a moment; whoever writes meets that by itself.
                log.warning("leases_not_renewed", held=len(self._held), error=type(error).__name__)

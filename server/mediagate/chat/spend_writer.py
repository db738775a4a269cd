"""The chats of one process that are over and for which nothing was held, on their way to the ledger.

They are written together, a moment later: a caller does not wait for them, and a team's row in the ledger is locked
once for many. A process that is killed loses what has not been written, a fraction of a second; where a hard budget
counts, money is held beforehand and nothing comes this way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from mediagate.spend.record import RecordSpend, Spent
from mediagate.store.database import Database

log = structlog.get_logger(__name__)
WAIT_S: Final = 0.05
"""So long more of them are gathered."""
BATCH_MAX: Final = 500
WAITING_MAX: Final = 50_000
"""Where the database is away for long, more than this are not remembered."""
RETRY_S: Final = 1.0
CLOSE_S: Final = 10.0


@dataclass
class SpendWriter:
    """Takes them, and writes them down."""

    db: Database
    record: RecordSpend
    _waiting: list[Spent] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    def add(self, spent: Spent) -> None:
        """Take one; returns at once."""
        if len(self._waiting) >= WAITING_MAX:
            log.error("spend_not_recorded", ref=spent.charge.ref, usd=spent.usd, reason="too many are waiting")
            return
        self._waiting.append(spent)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="spend writer")

    async def idle(self) -> None:
        """Wait until everything is written."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Write what is waiting; gives up where the database does not answer."""
        self._closing = True
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=CLOSE_S)
            if not task.done():
                log.error("spend_not_recorded", count=len(self._waiting), reason="the database does not answer")
                task.cancel()
                await asyncio.wait([task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                if not self._closing:
                    await asyncio.sleep(WAIT_S)
                batch = self._waiting[:BATCH_MAX]
                if await self._written(batch):
                    del self._waiting[: len(batch)]
                else:
                    await asyncio.sleep(RETRY_S)
        finally:
            self._task = None

    async def _written(self, batch: list[Spent]) -> bool:
        try:
            async with self.db.transaction() as tx:
                await self.record.run(tx, batch)
        except Exception as error:
            log.warning("spend_not_written", count=len(batch), error=type(error).__name__)
            return False
        return True

"""Wakes the workers of queues in which a job can be taken: one question for all, where each would ask for itself.

A new job wakes them by a notification. This finds what falls due, what waited for the lock of another job, and what a
notification was lost of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from mediagate.jobs.connector import PatientConnector

log = structlog.get_logger(__name__)
EVERY_S = 1.0
# How often a worker looks by itself all the same.
LOOK_S = 15.0
_DUE = (
    "SELECT queue FROM unnest(%(queues)s::varchar[]) AS queue WHERE EXISTS (SELECT 1 FROM procrastinate_jobs"
    " WHERE queue_name = queue AND status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()))"
)


class DueJobs:
    """Asks every second."""

    def __init__(self, connector: PatientConnector, queues: Sequence[str]) -> None:
        self._connector = connector
        self._queues = list(queues)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                for row in await self._connector.execute_query_all_async(_DUE, queues=self._queues):
                    self._connector.wake(row["queue"])
            except Exception as error:
                log.warning("due_jobs_not_found", error=type(error).__name__)

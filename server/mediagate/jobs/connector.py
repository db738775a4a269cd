"""The job engine's way to the database, through restarts of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import get_channel_for_queues

from mediagate.store.database import Database
from mediagate.store.listener import Listener

T = TypeVar("T")
ATTEMPTS = 3
WAIT_S = 0.5
# As the engine's trigger says it.
SOME_JOB = '{"type": "job_inserted", "job_id": 0}'


class PatientConnector(procrastinate.PsycopgConnector):
    """Asks again where the database went away; one broken connection would end a worker and everything it runs.

    Every query of the engine may be repeated: at worst a job is fetched that nobody runs, which the rescue finds. Its
    notifications come by the connection that hears all others.
    """

    def __init__(self, db: Database, **pool: Any) -> None:
        super().__init__(conninfo=db.url, **pool)
        self._db = db
        self._said: list[tuple[frozenset[str], asyncio.Queue[tuple[str, str]]]] = []

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        """Execute, waiting out a restart of the database."""
        await _patiently(lambda: super(PatientConnector, self).execute_query_async(query, **arguments))

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        """Return one row, waiting out a restart of the database."""
        return await _patiently(lambda: super(PatientConnector, self).execute_query_one_async(query, **arguments))

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        """Return all rows, waiting out a restart of the database."""
        return await _patiently(lambda: super(PatientConnector, self).execute_query_all_async(query, **arguments))

    async def listen_notify(self, on_notification: Any, channels: Any) -> None:
        """Listen until cancelled."""
        said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def hears(channel: str) -> Listener:
            async def look() -> None:
                said.put_nowait((channel, SOME_JOB))

            def take(payload: str) -> None:
                said.put_nowait((channel, payload))

            return self._db.listener(channel, on_payload=take, on_reconnect=look)

        listeners = [hears(channel) for channel in channels]
        self._said.append((frozenset(channels), said))
        try:
            for listener in listeners:
                await listener.start()
            while True:
                channel, payload = await said.get()
                await on_notification(channel=channel, payload=payload)
        finally:
            self._said.remove((frozenset(channels), said))
            for listener in listeners:
                await listener.close()

    def wake(self, queue: str) -> None:
        """Have the workers of a queue look for a job."""
        (channel,) = get_channel_for_queues(queues=[queue])
        for channels, said in self._said:
            if channel in channels:
                said.put_nowait((channel, SOME_JOB))


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    for _ in range(ATTEMPTS - 1):
        try:
            return await ask()
        except ConnectorException as error:
            if not _is_absence(error):
                raise
        await asyncio.sleep(WAIT_S)
    return await ask()


def _is_absence(error: ConnectorException) -> bool:
    """Whether the database could not be asked, rather than refused."""
    return isinstance(error.__cause__, psycopg.OperationalError | psycopg.InterfaceError)

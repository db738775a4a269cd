"""The job engine's way to the database, through restarts of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException

T = TypeVar("T")
ATTEMPTS = 3
WAIT_S = 0.5


class PatientConnector(procrastinate.PsycopgConnector):
    """Asks again where the database went away; one broken connection would end a worker and everything it runs.

    Every query of the engine may be repeated: at worst a job is fetched that nobody runs, which the rescue finds.
    """

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
        """Listen until cancelled. What was said while the connection was away is found by polling."""
        while True:
            try:
                await super().listen_notify(on_notification, channels)
            except ConnectorException as error:
                if not _is_absence(error):
                    raise
            await asyncio.sleep(WAIT_S)


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

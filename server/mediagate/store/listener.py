"""NOTIFY, heard on a connection of its own: one that goes back to a pool would lose what it listens to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

log = structlog.get_logger(__name__)
RETRY_S = 0.5


class Listener:
    """Hears one channel until it is closed, through restarts of the database."""

    def __init__(
        self,
        database_url: str,
        channel: str,
        *,
        on_payload: Callable[[str], None],
        on_reconnect: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_reconnect` runs after every connection but the first: what was said meanwhile was not heard."""
        self._url = database_url
        self._channel = channel
        self._on_payload = on_payload
        self._on_reconnect = on_reconnect
        self._task: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns once the first connection hears."""
        self._task = asyncio.create_task(self._run(), name=f"listen {self._channel}")
        waiter = asyncio.create_task(self._heard.wait())
        await asyncio.wait([waiter, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    application_name="mediagate listener",
                    # A connection that only listens would not notice that its other end is gone.
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                )
                async with connection:
                    await connection.execute(f'LISTEN "{self._channel}"')
                    if self._heard.is_set():
                        await self._on_reconnect()
                    self._heard.set()
                    async for notification in connection.notifies():
                        self._on_payload(notification.payload)
                    log.warning("listener_lost", channel=self._channel)
            except Exception as error:
                # Whatever it was, deaf for ever would be worse.
                log.warning("listener_lost", channel=self._channel, error=type(error).__name__)
            await asyncio.sleep(RETRY_S)

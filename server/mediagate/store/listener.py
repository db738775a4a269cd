"""NOTIFY, heard on a connection of its own: one that goes back to a pool would lose what it listens to.

A process has one such connection for all that it listens to; each costs the database a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog

log = structlog.get_logger(__name__)
RETRY_S = 0.5
# What begins at the same time is heard by the same connection.
TOGETHER_S = 0.01


class Listener:
    """Hears one channel until it is closed, through restarts of the database."""

    def __init__(
        self,
        ear: Ear,
        channel: str,
        *,
        on_payload: Callable[[str], None],
        on_reconnect: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_reconnect` runs after every connection but the first: what was said meanwhile was not heard."""
        self.channel = channel
        self.take = on_payload
        self._ear = ear
        self._on_reconnect = on_reconnect
        self._heard = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns once the channel is heard."""
        self._ear.open()
        await self._heard.wait()

    def is_heard(self) -> None:
        """The connection that is there hears the channel already."""
        self._heard.set()

    async def connected(self) -> None:
        """There is a new connection, which hears the channel."""
        if self._heard.is_set():
            await self._on_reconnect()
        self._heard.set()

    async def close(self) -> None:
        """Stop listening."""
        self._ear.remove(self)


class Ear:
    """The connection that listens. A channel that comes later is heard by a new one in its place."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._listeners: list[Listener] = []
        # Of the connection that is there or being made, and of that the ones that are heard.
        self._channels: set[str] = set()
        self._hearing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def listener(
        self, channel: str, *, on_payload: Callable[[str], None], on_reconnect: Callable[[], Awaitable[None]]
    ) -> Listener:
        """What hears a channel, to be started and closed."""
        added = Listener(self, channel, on_payload=on_payload, on_reconnect=on_reconnect)
        self._listeners.append(added)
        if channel in self._hearing:
            added.is_heard()
        elif self._task is not None and channel not in self._channels:
            self._task.cancel()
            self._task = None
            self.open()
        return added

    def remove(self, listener: Listener) -> None:
        """Hear no more for it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def open(self) -> None:
        """Begin to hear, where that has not begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="listen")

    async def close(self) -> None:
        """Hear nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        await asyncio.sleep(TOGETHER_S)
        while True:
            try:
                await self._hear()
                log.warning("listener_lost")
            except Exception as error:
                # Whatever it was, deaf for ever would be worse.
                log.warning("listener_lost", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
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
            self._channels = {listener.channel for listener in self._listeners}
            try:
                for channel in sorted(self._channels):
                    await connection.execute(f'LISTEN "{channel}"')
                self._hearing = self._channels
                for listener in tuple(self._listeners):
                    if listener.channel in self._hearing:
                        await listener.connected()
                async for notification in connection.notifies():
                    self._tell(notification.channel, notification.payload)
            finally:
                self._hearing = set()

    def _tell(self, channel: str, payload: str) -> None:
        for listener in tuple(self._listeners):
            if listener.channel == channel:
                try:
                    listener.take(payload)
                except Exception as error:
                    log.warning("listener_failed", channel=channel, error=type(error).__name__)

"""The connection to PostgreSQL: transactions that hold a state change and the jobs that follow from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import procrastinate
from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Select, text
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from mediagate.store.listener import Ear, Listener

VIDEO_CHANNEL = "mediagate_video"
"""NOTIFY channel; the payload is `VIDEO_ID SEQ`."""


def engine_url(database_url: str) -> str:
    """A libpq URL as SQLAlchemy's URL for psycopg."""
    scheme, separator, rest = database_url.partition("://")
    if not separator or scheme not in ("postgres", "postgresql"):
        raise ValueError("the database URL must start with postgresql://")
    return f"postgresql+psycopg://{rest}"


def compiled(statement: Select[Any]) -> str:
    """A SELECT as the text that psycopg takes."""
    return str(statement.compile(dialect=psycopg_dialect()))  # type: ignore[no-untyped-call]


class Transaction:
    """One unit of work. Everything done through it becomes true together, or not at all."""

    def __init__(self, connection: AsyncConnection, queue: procrastinate.App) -> None:
        self.connection = connection
        self._queue = queue

    async def enqueue(
        self,
        task: str,
        *,
        queue: str = "default",
        lock: str | None = None,
        delay_s: int | None = None,
        priority: int = 0,
        **arguments: Any,
    ) -> None:
        """Enqueue a job that exists exactly if this transaction commits. Jobs of one `lock` run one at a time; one of a
        higher `priority` goes before those that wait."""
        raw = await self.connection.get_raw_connection()
        schedule: Mapping[str, Any] = {"schedule_in": {"seconds": delay_s}} if delay_s else {}
        await self._queue.configure_task(
            task, queue=queue, lock=lock, priority=priority, connection=raw.driver_connection, **schedule
        ).defer_async(**arguments)

    async def notify(self, channel: str, payload: str) -> None:
        """Tell every listener, once this transaction commits."""
        await self.connection.execute(
            text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload}
        )


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, database_url: str, *, connections_max: int = 16) -> None:
        self.url = database_url
        self._engine: AsyncEngine = create_async_engine(
            engine_url(database_url),
            # None beyond these: each that is opened for a moment of load costs the server a process (measured).
            pool_size=connections_max,
            max_overflow=0,
            # Thousands of trackers may want to write at once: they wait, and calls have a time limit of their own.
            pool_timeout=600,
            pool_recycle=1800,
            pool_pre_ping=True,
            connect_args={"prepare_threshold": 1, "application_name": "mediagate"},
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # Look-ups go past SQLAlchemy: a statement through its layers costs four times what the driver needs (measured).
        self._direct = AsyncConnectionPool(
            database_url,
            min_size=1,
            max_size=2,
            open=False,
            kwargs={"autocommit": True, "prepare_threshold": 0, "application_name": "mediagate look-up"},
        )
        self._ear = Ear(database_url)
        self._queue = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database_url))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises."""
        async with self._engine.begin() as connection:
            yield Transaction(connection, self._queue)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for single statements, without the round trips of a transaction."""
        async with self._autocommit.connect() as connection:
            yield connection

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement from `compiled`, each a tuple in the order of its columns."""
        if self._direct.closed:
            await self._direct.open()
        try:
            return await self._fetch(statement, parameters)
        except OperationalError:
            # A pooled connection outlived the server it led to; reading again is harmless.
            await self._direct.check()
            return await self._fetch(statement, parameters)

    async def _fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        async with self._direct.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall()

    def listener(
        self, channel: str, *, on_payload: Callable[[str], None], on_reconnect: Callable[[], Awaitable[None]]
    ) -> Listener:
        """What hears a channel, to be started and closed. `on_reconnect` runs after every connection but the first:
        what was said meanwhile was not heard."""
        return self._ear.listener(channel, on_payload=on_payload, on_reconnect=on_reconnect)

    async def ping(self) -> None:
        """Raises whatever the driver raises when the database does not answer."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._ear.close()
        await self._direct.close()
        await self._engine.dispose()

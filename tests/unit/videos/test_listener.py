"""One connection hears everything that a process listens to, through restarts, and also what is listened to later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import text

from mediagate.store.database import Database


class Heard:
    """What one listener was told, and how often it had to catch up."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self.reconnects = 0

    async def again(self) -> None:
        self.reconnects += 1


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def tell(db: Database, channel: str, payload: str) -> None:
    async with db.transaction() as tx:
        await tx.notify(channel, payload)


async def listening(db: Database) -> list[int]:
    async with db.reading() as connection:
        query = text(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'mediagate listener'"
            " AND datname = current_database()"
        )
        return [row.pid for row in (await connection.execute(query)).all()]


async def test_channels_share_a_connection_and_one_that_comes_later_joins(db: Database) -> None:
    before = set(await listening(db))
    first, second, later = Heard(), Heard(), Heard()
    listeners = [
        db.listener("test one", on_payload=first.payloads.append, on_reconnect=first.again),
        db.listener("test two", on_payload=second.payloads.append, on_reconnect=second.again),
    ]
    for listener in listeners:
        await listener.start()
    await tell(db, "test one", "a")
    await tell(db, "test two", "b")
    await until(lambda: (first.payloads, second.payloads) == (["a"], ["b"]))
    assert first.reconnects == second.reconnects == 0
    listeners.append(db.listener("test later", on_payload=later.payloads.append, on_reconnect=later.again))
    await listeners[-1].start()
    # The others may have missed something while the connection was made anew.
    assert (first.reconnects, second.reconnects, later.reconnects) == (1, 1, 0)
    await tell(db, "test one", "c")
    await tell(db, "test later", "d")
    await until(lambda: (first.payloads, later.payloads) == (["a", "c"], ["d"]))
    await until_one(db, before)
    listeners.append(db.listener("test one", on_payload=later.payloads.append, on_reconnect=later.again))
    async with asyncio.timeout(30):
        await listeners[-1].start()
    assert first.reconnects == 1, "the connection hears it already"
    await listeners[0].close()
    await tell(db, "test one", "e")
    await tell(db, "test two", "f")
    await until(lambda: second.payloads == ["b", "f"])
    assert (first.payloads, later.payloads) == (["a", "c"], ["d", "e"])
    for listener in listeners[1:]:
        await listener.close()


async def until_one(db: Database, before: set[int]) -> int:
    """The one connection that listens, once that which it took the place of is gone."""
    async with asyncio.timeout(30):
        while len(new := set(await listening(db)) - before) != 1:
            await asyncio.sleep(0.01)
    return new.pop()


async def test_a_lost_connection_is_made_anew_and_what_was_missed_is_looked_for(
    db: Database, database_url: str
) -> None:
    own = Database(database_url)
    before = set(await listening(own))
    heard, broken = Heard(), Heard()

    def fails(payload: str) -> None:
        broken.payloads.append(payload)
        raise ValueError(payload)

    listeners = [
        own.listener("test lost", on_payload=fails, on_reconnect=broken.again),
        own.listener("test lost", on_payload=heard.payloads.append, on_reconnect=heard.again),
    ]
    for listener in listeners:
        await listener.start()
    await tell(db, "test lost", "a")
    # What one makes of it is nothing to the other.
    await until(lambda: broken.payloads == heard.payloads == ["a"])
    pid = await until_one(own, before)
    async with db.reading() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await until(lambda: heard.reconnects == broken.reconnects == 1)
    await tell(db, "test lost", "b")
    await until(lambda: heard.payloads == ["a", "b"])
    await own.close()
    await until_gone(db, before)


async def until_gone(db: Database, before: set[int]) -> None:
    async with asyncio.timeout(30):
        while set(await listening(db)) - before:
            await asyncio.sleep(0.01)

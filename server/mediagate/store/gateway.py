"""What tells this gateway from others that use the same accounts."""

from __future__ import annotations

from sqlalchemy import select

from mediagate.store.database import Database
from mediagate.store.tables import GatewayRow, table


async def stamp_of(db: Database) -> int:
    """The number that every id of this gateway ends with. Raises what the driver raises."""
    async with db.reading() as connection:
        return int((await connection.execute(select(table(GatewayRow).c.stamp))).scalar_one())

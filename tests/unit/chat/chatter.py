"""`python -m tests.unit.chat.chatter URL TEAM LIMIT COUNT`: a process whose chats of one team cost 0.2 dollars each.

It prints `ready`, waits for a line, and prints how many of COUNT chats, 8 at once, were let in.
"""

from __future__ import annotations

import asyncio
import sys

from mediagate.core.access import Policy
from mediagate.core.chat import Usage, Used
from mediagate.core.errors import InsufficientQuota
from mediagate.store.database import Database
from tests.unit.chat.purse import Purse


async def main(url: str, team: str, limit: float, count: int) -> None:
    db = Database(url)
    purse = Purse(db, {"team": Policy(max_budget_usd=limit, budget_period="30d")}, team=team)
    many = asyncio.Semaphore(8)

    async def one() -> bool:
        async with many:
            try:
                bill = await purse.open()
            except InsufficientQuota:
                return False
            bill.note(Used(Usage(100, 10)))
            await bill.end()
            return True

    await db.ping()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(sum(await asyncio.gather(*(one() for _ in range(count)))), flush=True)
    await purse.money.close()
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))

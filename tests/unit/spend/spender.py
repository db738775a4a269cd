"""`python -m tests.unit.spend.spender URL TEAM LIMIT COUNT`: a process that reserves a dollar COUNT times at once.

It prints `ready`, waits for a line, and prints how many were accepted and how many seconds it took.
"""

from __future__ import annotations

import asyncio
import sys
import time

from mediagate.core.access import Policy
from mediagate.core.errors import InsufficientQuota
from mediagate.store.database import Database
from tests.unit.spend.books import Books


async def main(url: str, team: str, limit: float, count: int) -> None:
    db = Database(url)
    books = Books(db, {"team": Policy(max_budget_usd=limit, budget_period="30d")}, team=team)

    async def one() -> bool:
        try:
            await books.reserve("1")
        except InsufficientQuota:
            return False
        return True

    await db.ping()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = time.perf_counter()
    accepted = await asyncio.gather(*(one() for _ in range(count)))
    print(sum(accepted), time.perf_counter() - began, flush=True)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))

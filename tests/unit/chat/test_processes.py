"""Several processes whose chats share one budget, also when one of them is killed in the middle."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import ExitStack

from sqlalchemy import text

from mediagate.store.database import Database
from tests.unit.spend.books import audit, unique


def chatters(stack: ExitStack, url: str, team: str, limit: float, count: int) -> list[subprocess.Popen[str]]:
    """Two processes that begin at the same time."""
    program = [sys.executable, "-m", "tests.unit.chat.chatter", url, team, str(limit), str(count)]
    running = [
        stack.enter_context(subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for _ in range(2)
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return running


async def sums(db: Database, team: str) -> tuple[float, float, int]:
    """What is spent and what is held, and how many chats there are."""
    query = text(
        "SELECT coalesce(sum(charged_usd), 0), coalesce(sum(held_usd), 0), count(*) FROM spend WHERE team_id = :id"
    )
    async with db.reading() as connection:
        row = (await connection.execute(query, {"id": team})).one()
    return float(row[0]), float(row[1]), row[2]


async def test_two_processes_do_not_overspend_a_budget_together(db: Database, database_url: str) -> None:
    team = unique("team")
    with ExitStack() as stack:
        running = chatters(stack, database_url, team, 5, 60)
        let_in = sum([int((await asyncio.to_thread(one.communicate))[0]) for one in running])
    spent, held, _ = await sums(db, team)
    assert round(spent, 6) == round(let_in * 0.2, 6) <= 5
    # Another would have held 0.6.
    assert spent > 4.4 - 0.2
    assert held == 0
    await audit(db)


async def test_a_process_that_is_killed_leaves_its_chats_held_and_nothing_else(db: Database, database_url: str) -> None:
    team = unique("team")
    with ExitStack() as stack:
        victim, survivor = chatters(stack, database_url, team, 1000, 150)
        while (await sums(db, team))[2] < 20:
            await asyncio.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        assert int((await asyncio.to_thread(survivor.communicate))[0]) == 150
    async with db.transaction() as tx:
        await tx.connection.execute(text("SELECT 1 FROM budget_scope WHERE id = :id FOR UPDATE"), {"id": team})
    spent, held, count = await sums(db, team)
    # At most the eight that it had under way.
    assert round(held / 0.6, 6) in range(9)
    assert round(spent + held / 0.6 * 0.2, 6) == round(count * 0.2, 6)
    await audit(db)

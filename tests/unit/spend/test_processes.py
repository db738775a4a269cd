"""Several processes and one budget: it stays exact, also when one of them is killed at work."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import text

from mediagate.core.access import Policy
from mediagate.store.database import Database
from tests.unit.spend.books import Books, audit, unique


@contextmanager
def spenders(
    url: str, team: str, limit: float, count: int, processes: int = 2
) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that begin to reserve at the same time."""
    program = [sys.executable, "-m", "tests.unit.spend.spender", url, team, str(limit), str(count)]
    with ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(processes)
        ]
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        yield running


async def reserved(db: Database, team: str) -> tuple[int, float]:
    """How many requests of a team there are, and what its budget says is held for them."""
    async with db.reading() as connection:
        query = text(
            "SELECT (SELECT count(*) FROM spend WHERE team_id = :id), (SELECT coalesce(sum(reserved_usd), 0)"
            " FROM budget_window WHERE kind = 'team' AND id = :id)"
        )
        row = (await connection.execute(query, {"id": team})).one()
    return row[0], float(row[1])


async def test_two_processes_do_not_overspend_a_budget_together(db: Database, database_url: str) -> None:
    team = unique("team")
    with spenders(database_url, team, 60, 50) as running:
        said = [(await asyncio.to_thread(one.communicate))[0].split() for one in running]
    assert sum(int(accepted) for accepted, _ in said) == 60
    assert await reserved(db, team) == (60, 60.0)
    await audit(db)


async def test_a_process_that_is_killed_at_work_leaves_whole_reservations(db: Database, database_url: str) -> None:
    team = unique("team")
    with spenders(database_url, team, 1000, 400) as (victim, survivor):
        while (await reserved(db, team))[0] < 20:
            assert victim.poll() is None
        victim.send_signal(signal.SIGKILL)
        accepted = (await asyncio.to_thread(survivor.communicate))[0].split()[0]
    assert int(accepted) == 400
    # The server rolls back what the victim had open once it notices that nobody is there.
    async with db.transaction() as tx:
        await tx.connection.execute(text("SELECT 1 FROM budget_scope WHERE id = :id FOR UPDATE"), {"id": team})
    count, held = await reserved(db, team)
    assert 400 <= count < 800
    assert held == count
    await audit(db)
    books = Books(db, {"team": Policy(max_budget_usd=count + 1.0, budget_period="30d")}, team=team)
    await books.reserve("1")

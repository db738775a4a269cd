"""1,000 reservations at once against one budget, by two processes: exact, and how many a second; and how many chats,
held and settled, eight at once in each process.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import psycopg

from bench.harness import report
from tests.conftest import data_folder, start_gateway
from tests.unit.spend.books import UNBALANCED

PROCESSES, EACH, LIMIT = 2, 500, 600
CHATS_EACH = 300
ROUNDS = 3


def one_round(url: str, team: str) -> tuple[int, float]:
    """How many were accepted, and the seconds of the slower process."""
    said = _both("tests.unit.spend.spender", url, team, str(LIMIT), str(EACH))
    return sum(int(accepted) for accepted, _ in said), max(float(seconds) for _, seconds in said)


def chats_a_second(url: str, team: str) -> float:
    """Chats of one team that are let in and settled."""
    begun_s = time.perf_counter()
    said = _both("tests.unit.chat.chatter", url, team, "1000000", str(CHATS_EACH))
    assert sum(int(accepted) for (accepted,) in said) == PROCESSES * CHATS_EACH
    return PROCESSES * CHATS_EACH / (time.perf_counter() - begun_s)


def _both(module: str, *arguments: str) -> list[list[str]]:
    """What two processes say that begin at the same time."""
    program = [sys.executable, "-m", module, *arguments]
    running = [
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [one.communicate()[0].split() for one in running]


def main() -> None:
    with data_folder() as folder, start_gateway(folder) as running:
        url = running.database_url
        rounds = [one_round(url, f"team-{number}") for number in range(ROUNDS)]
        chats = statistics.median(chats_a_second(url, f"chats-{number}") for number in range(ROUNDS))
        with psycopg.connect(url) as connection:
            wrong = connection.execute(UNBALANCED.encode()).fetchall()
    rate = statistics.median(PROCESSES * EACH / seconds for _, seconds in rounds)
    print(f"{rate:.0f} reservations/s against one budget, {LIMIT} of {PROCESSES * EACH} accepted")
    print(f"{chats:.0f} chats/s under one hard budget, held and settled")
    bars = {
        "reservations accepted above or below the budget": (
            float(max(abs(accepted - LIMIT) for accepted, _ in rounds)),
            "<",
            1.0,
        ),
        "sums that are not those of the ledger": (float(len(wrong)), "<", 1.0),
    }
    report("spend", {"rounds": rounds, "reservations_per_s": rate, "chats_per_s": chats}, bars)


if __name__ == "__main__":
    main()

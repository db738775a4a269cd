"""Work that is done for many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mediagate.core.errors import InsufficientQuota
from mediagate.spend.in_turn import InTurn


class Doing:
    """What is done. Items below 0 may not; `gate` holds a turn open."""

    def __init__(self) -> None:
        self.turns: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def __call__(self, items: Sequence[int]) -> None:
        self.turns.append(list(items))
        await self.gate.wait()
        if self.broken:
            raise OSError("the database is away")
        if any(item < 0 for item in items):
            raise InsufficientQuota("no money")


async def test_what_comes_while_one_is_done_is_done_together() -> None:
    doing = Doing()
    doing.gate.clear()
    turns = InTurn(doing, 3)
    tasks = [asyncio.create_task(turns.run(number)) for number in range(6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[4].cancel()
    doing.gate.set()
    await asyncio.wait(tasks)
    assert doing.turns == [[0, 1, 2], [3, 5]]
    assert tasks[4].cancelled()
    assert turns.is_idle


async def test_who_may_not_takes_nobody_along() -> None:
    doing = Doing()
    answers = await asyncio.gather(*(_run(InTurn(doing, 8), [1, -1, 2, -2])))
    assert [type(answer) for answer in answers] == [type(None), InsufficientQuota, type(None), InsufficientQuota]
    assert doing.turns == [[1, -1, 2, -2], [1], [-1], [2], [-2]]


async def test_what_nobody_can_do_is_said_to_all_at_once() -> None:
    doing = Doing()
    doing.broken = True
    turns = InTurn(doing, 8)
    assert [type(answer) for answer in await asyncio.gather(*_run(turns, [1, 2, 3]))] == [OSError] * 3
    assert doing.turns == [[1, 2, 3]]
    doing.broken = False
    await turns.run(4)


def _run(turns: InTurn[int], items: Sequence[int]) -> list[asyncio.Task[Exception | None]]:
    async def one(item: int) -> Exception | None:
        try:
            await turns.run(item)
        except (InsufficientQuota, OSError) as error:
            return error
        return None

    return [asyncio.create_task(one(item)) for item in items]


@pytest.mark.parametrize("count", [1, 200])
async def test_each_is_done_once(count: int) -> None:
    doing = Doing()
    turns = InTurn(doing, 64)
    await asyncio.gather(*(turns.run(number) for number in range(count)))
    assert sorted(item for turn in doing.turns for item in turn) == list(range(count))
    assert max(map(len, doing.turns)) <= 64

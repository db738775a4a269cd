"""How much of files is held in memory at once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.chat.inline_room import InlineRoom


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 3), st.booleans()), max_size=30))
def test_no_more_is_held_than_there_is_room_and_everybody_gets_a_turn(visits: list[tuple[int, int, bool]]) -> None:
    async def run() -> None:
        room, held, most = InlineRoom(100), [0], [0]

        async def visit(size: int, pauses: int, goes_away: bool) -> None:
            entering = asyncio.create_task(room.enter(size))
            if goes_away:
                await asyncio.sleep(0)
                entering.cancel()
            try:
                await entering
            except asyncio.CancelledError:
                return
            held[0] += size
            assert held[0] <= 100 or held[0] == size or not held[0] - size
            most[0] = max(most[0], held[0])
            for _ in range(pauses):
                await asyncio.sleep(0)
            held[0] -= size
            room.leave(size)

        await asyncio.wait_for(asyncio.gather(*(visit(*one) for one in visits)), 20)
        await asyncio.wait_for(room.enter(100), 5)

    asyncio.run(run())


def test_one_that_is_larger_than_the_room_has_it_alone() -> None:
    async def run() -> None:
        room = InlineRoom(10)
        await room.enter(1)
        large = asyncio.create_task(room.enter(50))
        small = asyncio.create_task(room.enter(1))
        await asyncio.sleep(0)
        assert not large.done()
        assert not small.done(), "nobody overtakes"
        room.leave(1)
        await large
        assert not small.done()
        room.leave(50)
        await small

    asyncio.run(run())


def test_who_is_cancelled_just_as_the_turn_comes_gives_it_back() -> None:
    async def run() -> None:
        room = InlineRoom(10)
        await room.enter(10)
        waiting = asyncio.create_task(room.enter(10))
        await asyncio.sleep(0)
        room.leave(10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(room.enter(10), 1)

    asyncio.run(run())

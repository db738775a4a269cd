"""Rounds: each video in its own time, woken at most once a second, stopped in the middle."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from mediagate.videos import rounds as module
from mediagate.videos.rounds import Rounds
from mediagate.videos.track_video import Run


class Sight:
    """What a look sees: `waits` are what it answers, the last one for ever."""

    def __init__(self) -> None:
        self.waits: list[float | None] = [60.0]
        self.looks: list[tuple[str, float]] = []
        self.over: list[str] = []
        self.runs: dict[str, Run] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def look(self, video_id: str, run: Run) -> float | None:
        """Look."""
        assert self.runs.setdefault(video_id, run) is run, "what is remembered stays with its video"
        self.looks.append((video_id, asyncio.get_running_loop().time()))
        await self.gate.wait()
        return self.waits.pop(0) if len(self.waits) > 1 else self.waits[0]

    async def ended(self, video_id: str) -> None:
        """Hear of an end."""
        self.over.append(video_id)

    def count(self, video_id: str = "a") -> int:
        """How often one was looked at."""
        return sum(1 for seen, _ in self.looks if seen == video_id)


@pytest.fixture
async def sight() -> Sight:
    """A sight."""
    return Sight()


@pytest.fixture
async def rounds(sight: Sight) -> AsyncIterator[Rounds]:
    """Rounds that look by it."""
    made = Rounds(sight.look, sight.ended)
    yield made
    await made.stop(1)


async def settle() -> None:
    """Long enough for what would be wrong; what is right does not depend on it."""
    await asyncio.sleep(0.1)


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.005)


async def test_a_video_is_looked_at_until_it_is_over(rounds: Rounds, sight: Sight) -> None:
    sight.waits = [0.05, 0.05, None]
    rounds.add("a")
    await until(lambda: sight.over)
    assert (sight.count(), sight.over, len(rounds)) == (3, ["a"], 0)
    times = [at for _, at in sight.looks]
    assert all(after - before >= 0.05 for before, after in itertools.pairwise(times))


async def test_what_is_added_twice_is_looked_at_once(rounds: Rounds, sight: Sight) -> None:
    rounds.add("a")
    rounds.add("a")
    await settle()
    assert (sight.count(), len(rounds), "a" in rounds) == (1, 1, True)


async def test_what_is_due_together_looks_together(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Rounds] = []
    ring = Rounds._ring
    monkeypatch.setattr(Rounds, "_ring", lambda self: rung.append(self) or ring(self))  # type: ignore[func-returns-value]
    rounds = Rounds(sight.look, sight.ended)
    sight.waits = [0.1] * 50 + [60.0]
    for number in range(50):
        rounds.add(str(number))
    await until(lambda: len(sight.looks) == 100)
    assert len(rung) < 25
    await rounds.stop(1)


async def test_a_wake_comes_at_once_and_the_next_one_later(
    rounds: Rounds, sight: Sight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAKE_S", 60.0)
    rounds.add("a")
    await until(sight.count)
    for _ in range(5):
        rounds.wake("a")
        await settle()
    assert sight.count() == 2


async def test_a_wake_that_waits_is_not_lost(rounds: Rounds, sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAKE_S", 0.2)
    rounds.add("a")
    await until(sight.count)
    rounds.wake("a")
    await until(lambda: sight.count() == 2)
    rounds.wake("a")
    rounds.wake("a")
    await until(lambda: sight.count() == 3)
    await settle()
    await settle()
    await settle()
    assert sight.count() == 3


async def test_a_wake_while_it_looks_is_followed_by_another_look(rounds: Rounds, sight: Sight) -> None:
    sight.gate.clear()
    rounds.add("a")
    await until(sight.count)
    rounds.wake("a")
    sight.gate.set()
    await until(lambda: sight.count() == 2)


async def test_a_wake_of_another_is_nothing(rounds: Rounds, sight: Sight) -> None:
    rounds.wake("b")
    await settle()
    assert not sight.looks


async def test_a_stop_waits_for_looks_and_begins_none(rounds: Rounds, sight: Sight) -> None:
    sight.waits = [0.02]
    sight.gate.clear()
    rounds.add("a")
    await until(sight.count)
    stopping = asyncio.create_task(rounds.stop(60))
    await settle()
    assert not stopping.done()
    sight.gate.set()
    await stopping
    rounds.add("b")
    rounds.wake("a")
    await settle()
    assert (sight.count(), sight.count("b"), sight.over) == (1, 0, [])


async def test_a_stop_does_not_wait_for_ever(rounds: Rounds, sight: Sight) -> None:
    sight.gate.clear()
    rounds.add("a")
    await until(sight.count)
    async with asyncio.timeout(60):
        await rounds.stop(0.05)
    assert "a" in rounds


async def test_a_look_that_something_cancels_is_made_again(
    rounds: Rounds, sight: Sight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CANCELLED_S", 0.05)
    sight.gate.clear()
    rounds.add("a")
    await until(sight.count)
    (turn,) = rounds._turns
    turn.cancel()
    sight.gate.set()
    await until(lambda: sight.count() == 2)

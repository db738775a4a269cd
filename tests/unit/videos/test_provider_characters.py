"""Characters of ours at the account that shows them: told once, remembered, and never a reason to pay twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mediagate.core import ids
from mediagate.core.errors import NotFound
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Character, Video
from mediagate.providers.base import (
    CharacterMaker,
    Failure,
    FailureStage,
    FateUnknown,
    MediaInput,
    ProviderBusy,
    SubmitRefused,
)
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository
from tests.unit.videos.test_provider_request import Shelf
from tests.unit.videos.tracking import Tracker
from tests.unit.videos.world import DONE, OWNER, Bytes, Script, World, script

Make = Callable[[Script], World]
REFUSED = Failure(FailureStage.INPUT, "provider_rejected_request", "No face is seen.", retryable=False)


@dataclass
class Cast(Script):
    """A provider that keeps characters; `answers` are what it says to each."""

    answers: list[Any] = field(default_factory=lambda: ["their-1"])

    async def make_character(self, name: str, video: MediaInput) -> str:
        """Keep one."""
        assert b"".join([chunk async for chunk in video.open()])
        return str(await self._answer(f"character {name}", self.answers))


@dataclass
class Stage:
    """A world, and a character of the owner's."""

    world: World
    provider: Cast
    character_id: str

    async def ask(self) -> Video:
        """A video with the character."""
        return await self.world.ask(characters=(self.character_id,))


@pytest.fixture
async def stage(world: Make, db: Database) -> Stage:
    """Answers to the first character with the job's name."""
    plain = script(polls=[DONE])
    model = replace(plain.spec.models["m"], characters_max=2)
    provider = Cast(replace(plain.spec, models={"m": model}), polls=[DONE])
    w = world(provider)
    request = replace(w.track_video.make_request, open_file=Shelf([Bytes()]))  # type: ignore[arg-type]
    w.track_video = replace(w.track_video, make_request=request)
    w.tracker = Tracker(w.track_video)
    character = Character(ids.new_character_id(), OWNER.owner_id, "Bo", "file-1", w.clock.now())
    async with db.transaction() as tx:
        await VideoRepository(tx.connection).add_character(character)
    return Stage(w, provider, character.id)


async def test_an_account_is_told_once(stage: Stage) -> None:
    assert isinstance(stage.provider, CharacterMaker)
    for _ in range(2):
        video = await stage.world.track(await stage.ask())
        assert video.phase is VideoPhase.READY
    assert stage.provider.calls.count("character Bo") == 1
    assert [request.characters for request in stage.provider.requests] == [("their-1",)] * 2
    assert all("characters" not in request.extra for request in stage.provider.requests)


async def test_what_is_refused_ends_the_video_unpaid(stage: Stage) -> None:
    stage.provider.answers = [SubmitRefused(REFUSED)]
    video = await stage.world.track(await stage.ask())
    assert video.failure is not None
    assert (video.failure["code"], video.failure["charged"]) == ("provider_rejected_request", False)
    assert "submit" not in stage.provider.calls


@pytest.mark.parametrize("trouble", [FateUnknown("lost"), ProviderBusy("full", 0.01)], ids=["unknown", "busy"])
async def test_what_is_not_known_is_asked_again_before_anything_is_paid(stage: Stage, trouble: Exception) -> None:
    stage.provider.answers = [trouble, "their-1"]
    video = await stage.world.track(await stage.ask())
    assert (video.phase, video.attempts) == (VideoPhase.READY, 1)
    assert stage.provider.calls.count("character Bo") == 2
    assert stage.provider.calls.count("submit") == 1


async def test_whoever_tells_it_second_uses_the_first_ones(stage: Stage) -> None:
    waiting = asyncio.Event()

    async def late() -> str:
        await waiting.wait()
        return "their-late"

    stage.provider.answers = [late, "their-1"]
    first = asyncio.create_task(stage.world.track(await stage.ask()))
    await asyncio.sleep(0.2)
    await stage.world.track(await stage.ask())
    waiting.set()
    await first
    assert [request.characters for request in stage.provider.requests] == [("their-1",)] * 2


async def test_a_character_of_somebody_else_does_not_exist(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await stage.world.ask(replace(OWNER, owner_id="other"), characters=(stage.character_id,))

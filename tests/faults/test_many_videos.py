"""All video providers in one process with two hundred videos under way, while a network does what networks do."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import VideoEvent
from mediagate.store.database import Database
from tests.api.videos_kit import mp4
from tests.contract.conftest import moto_url
from tests.contract.video_stands import Stand, every_stand
from tests.doubles.chaos import Chaos, Fault
from tests.faults.video_fleet import (
    DEADLINE_S,
    INTERVAL_S,
    USD_BY_PROVIDER,
    USD_PER_SECOND,
    Boat,
    Fate,
    Sea,
    Weather,
    fleet,
    is_over,
)
from tests.unit.videos.conftest import database_url, db

__all__ = ["database_url", "db", "moto_url"]
pytestmark = pytest.mark.soak
VIDEOS = 200
SEED = 20261121
CLIP_S = (1.0, 1.5)
# A hang is what this is for.
PATIENCE_S = 240
VERDICTS = {
    Fate.NO_VIDEO: (VideoPhase.FAILED, "output", "no_video"),
    Fate.CANCELLED: (VideoPhase.CANCELLED, "gateway", "cancelled"),
    Fate.LOST: (VideoPhase.FAILED, "deadline", "provider_unreachable"),
    Fate.REFUSED: (VideoPhase.FAILED, "gateway", "provider_credentials_refused"),
}


@dataclass
class Voyage:
    """The fleet when all is over."""

    boats: list[Boat]
    lives: dict[int, list[VideoEvent]]
    stands: dict[str, Stand]
    weather: Weather
    sea: Sea
    lost_before: list[tuple[VideoPhase, Any]]


@pytest.fixture(scope="module")
async def voyage(db: Database, moto_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Voyage]:
    """Runs it once; the tests look at what came of it."""
    folder = tmp_path_factory.mktemp("fleet")
    with structlog.testing.capture_logs(), pytest.MonkeyPatch.context() as patch, Chaos.running() as chaos:
        for provider in ("fal", "replicate"):
            patch.setattr(f"mediagate.providers.{provider}.videos.CANCEL_CHECK_S", 0.01)
        weather = Weather(chaos, SEED)
        async with every_stand(moto_url, folder / "local", weather.front) as stands:
            clips = [await asyncio.to_thread(mp4, seconds) for seconds in CLIP_S]
            weather.boats = fleet(list(stands.values()), VIDEOS, random.Random(SEED), clips)
            sea = Sea(db, stands, folder)
            lost_before = await sail(sea, weather.boats)
            lives = {boat.number: await sea.life(boat) for boat in weather.boats}
            yield Voyage(weather.boats, lives, stands, weather, sea, lost_before)
            await sea.close()


async def sail(sea: Sea, boats: list[Boat]) -> list[tuple[VideoPhase, Any]]:
    """From the first request to the last end. Returns how the lost ones stood before their deadline."""
    await asyncio.gather(*(sea.ask(boat) for boat in boats))
    lost = [boat for boat in boats if boat.is_lost]
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(sea.direct(boats))
        tracked = [group.create_task(sea.track(boat)) for boat in boats if not boat.is_lost]
        waiting = [group.create_task(sea.track(boat)) for boat in lost]
        await asyncio.wait(tracked)
        before = await settled(sea, lost)
        sea.clock.forward(DEADLINE_S + 1)
        for boat in lost:
            boat.leash.wake()
        await asyncio.wait(waiting)
    await sea.look(boats)
    return before


async def settled(sea: Sea, lost: Sequence[Boat]) -> list[tuple[VideoPhase, Any]]:
    """Phase and failure of the lost ones, once each submit is known to be lost."""
    while True:
        await sea.look(lost)
        if all(boat.ended.phase is VideoPhase.FATE_UNKNOWN for boat in lost) or any(map(is_over, lost)):
            return [(boat.ended.phase, boat.ended.failure) for boat in lost]
        await asyncio.sleep(0.1)


def test_every_video_has_its_end(voyage: Voyage) -> None:
    wrong = {boat.prompt: told for boat in voyage.boats if (told := _end(boat)) != _expected(boat)}
    assert not wrong, [
        (number, boat.stand.name, boat.fate.value, boat.planned, wrong[boat.prompt], _expected(boat))
        for number, boat in enumerate(voyage.boats)
        if boat.prompt in wrong
    ]


def _end(boat: Boat) -> tuple[Any, ...]:
    video = boat.ended
    failure = video.failure or {}
    stage = "" if boat.fate is Fate.MODERATED else failure.get("stage", "")
    return video.phase, stage, failure.get("code", "")


def _expected(boat: Boat) -> tuple[Any, ...]:
    if boat.fate is Fate.READY or (boat.fate is Fate.LOST and not boat.is_lost):
        return VideoPhase.READY, "", ""
    if boat.fate is Fate.FAILED:
        return VideoPhase.FAILED, *boat.stand.failed
    if boat.fate is Fate.MODERATED:
        return VideoPhase.FAILED, "", "content_policy_violation"
    return VERDICTS[boat.fate]


def test_every_provider_had_every_fate_that_it_can_tell(voyage: Voyage) -> None:
    seen = Counter((boat.stand.name, boat.fate) for boat in voyage.boats)
    assert len(voyage.boats) == VIDEOS
    assert all(seen[name, Fate.READY] >= 5 and seen[name, Fate.CANCELLED] >= 1 for name in voyage.stands)
    assert all(seen[name, Fate.LOST] >= 2 for name, stand in voyage.stands.items() if stand.wire)
    met = {met.fault for proxies in voyage.weather.proxies.values() for proxy in proxies for met in proxy.met}
    assert met == {None, *Fault}


def test_what_was_made_is_what_the_provider_holds(voyage: Voyage) -> None:
    for boat in voyage.boats:
        if boat.ended.phase is VideoPhase.READY:
            output = boat.ended.output
            assert output is not None
            assert output["sha256"] == hashlib.sha256(boat.clip).hexdigest(), boat
            assert output["duration_seconds"] in CLIP_S


def test_a_life_is_told_without_a_gap_and_ends_once(voyage: Voyage) -> None:
    for boat in voyage.boats:
        life = voyage.lives[boat.number]
        assert [event.seq for event in life] == list(range(1, boat.ended.seq + 1))
        assert [event.type for event in life].count("end") == 1
        assert life[-1].type == "end"
        attempts = [event.payload["number"] for event in life if event.type == "attempt"]
        assert attempts == list(range(1, boat.ended.attempts + 1))


def test_money_is_settled_once(voyage: Voyage) -> None:
    for boat in voyage.boats:
        lines = [event.payload for event in voyage.lives[boat.number] if event.type == "cost"]
        count, usd = Counter(line["kind"] for line in lines), {line["kind"]: line["usd"] for line in lines}
        assert max(count.values()) == 1, boat
        settled = usd.get("charged", 0.0) + usd.get("released", 0.0)
        if boat.is_lost:
            assert (set(usd), boat.ended.cost_usd) == ({"estimate", "held"}, None)
        else:
            assert settled == pytest.approx(usd["held"]), (boat, usd)
            assert boat.ended.cost_usd == usd.get("charged", 0.0)
        if boat.ended.phase is VideoPhase.READY:
            assert boat.ended.output is not None
            seconds = boat.ended.output["duration_seconds"]
            by_us = round(USD_PER_SECOND * seconds, 6)
            is_told = boat.stand.bench.provider.spec.reports_cost
            assert boat.ended.cost_usd == (USD_BY_PROVIDER if is_told else by_us), boat


def test_a_submit_without_an_answer_is_not_repeated_and_no_verdict(voyage: Voyage) -> None:
    assert voyage.lost_before == [(VideoPhase.FATE_UNKNOWN, None)] * len(voyage.lost_before)
    assert len(voyage.lost_before) >= 20
    repeatable = {name for name, stand in voyage.stands.items() if stand.bench.provider.spec.idempotent_submit}
    assert repeatable == {"bedrock", "local"}
    for boat in voyage.boats:
        if boat.stand.wire is None:
            continue
        submits = voyage.weather.submits(boat)
        assert boat.ended.attempts == len(submits) >= 1
        taken_or_unknown = [met for met in submits if met.fault is not Fault.BUSY]
        repeats = boat.fate is Fate.LOST and not boat.is_lost
        assert len(taken_or_unknown) == (2 if repeats else 1), boat


def test_no_provider_has_a_job_too_many(voyage: Voyage) -> None:
    jobs = {name: stand.bench.jobs() for name, stand in voyage.stands.items()}
    assert jobs == Counter(boat.stand.name for boat in voyage.boats if boat.is_taken)


def test_no_job_is_asked_about_twice_within_an_interval(voyage: Voyage) -> None:
    for boat in voyage.boats:
        ref = boat.ended.provider_ref
        if ref is None:
            continue
        asked = voyage.sea.polls[ref]
        assert asked
        _apart([at for at in asked if boat.cancelled_at is None or at < boat.cancelled_at], boat)
        if boat.stand.wire is not None:
            # Behind the end, the same request gives the link to the video.
            until = boat.ended_at or boat.cancelled_at or time.monotonic()
            _apart([at for at in voyage.weather.polls(boat) if at < until], boat)


def _apart(times: Sequence[float], boat: Boat) -> None:
    for before, after in itertools.pairwise(times):
        # The event loop's clock may be a tick early.
        assert after - before >= INTERVAL_S - 0.01, (boat.stand.name, boat.prompt, after - before)

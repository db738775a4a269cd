"""A watch of all videos that runs for ever, and never is silent: what it keeps in mind, and what it does not lose."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from mediagate.core.lifecycle import PhaseEvent
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.store.database import Database
from mediagate.videos.fate import advanced
from mediagate.videos.feed import FeedItem, OwnersSubscription
from mediagate.videos.journal import phase_change
from mediagate.videos.watch_videos import LOOK, WatchVideos
from tests.unit.videos.world import World, script

FAILED = {"stage": "gateway", "code": "x", "message": "x", "retryable": False, "charged": False}


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """A world whose feed listens."""
    made = World(db, script())
    await made.feed.start()
    yield made
    await made.feed.close()


async def end(world: World, video: Video) -> None:
    after = advanced(video, PhaseEvent.FAILED, failure=FAILED)
    assert await world.journal.write(video, after, [phase_change(video.phase, after)]) is not None


async def lives(world: World, who: Principal, stream: AsyncIterator[FeedItem | None], end_user: str) -> list[str]:
    """Ask for a video, let it end, and read the stream until that was told, or until another one is; its events."""
    shown = await world.ask(who, end_user="shown")
    hidden = shown if end_user == "shown" else await world.ask(who, end_user=end_user)
    if hidden is not shown:
        await end(world, hidden)
    await end(world, shown)
    kinds: list[str] = []
    async for got in stream:
        if got is not None:
            assert got.event.video_id == shown.id
            kinds.append(got.event.type)
            if got.event.type == "end" or (got.event.type == "snapshot" and got.video and got.video.phase == "failed"):
                break
    return kinds


@pytest.mark.parametrize("end_user", ["shown", "somebody else"])
async def test_videos_that_ended_are_forgotten_without_a_silence(world: World, end_user: str) -> None:
    who = Principal(f"owner-{secrets.token_hex(4)}")
    watch = WatchVideos(world.db, world.feed, world.get_video, world.clock, 60)
    stream = watch.run(who, after=None, end_user="shown")
    first = await world.ask(who, end_user="shown")
    got = await anext(stream)
    assert got is not None
    assert got.event.type == "snapshot"
    (subscription,) = world.feed._owners[who.owner_id]
    assert isinstance(subscription, OwnersSubscription)
    for _ in range(40):
        assert await lives(world, who, stream, end_user)
        world.clock.forward(LOOK.total_seconds() / 3)
    # What ended in the last look, in the one before, and in their overlap.
    most = 3 * 2 + 2 * 2 + 2
    assert len(subscription.seqs) < most
    assert first.id in subscription.seqs
    await stream.aclose()


async def test_what_still_waits_to_be_read_is_not_forgotten() -> None:
    subscription = OwnersSubscription()
    subscription.seqs = {"read": 3, "waits": 4}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    subscription.push([FeedItem(VideoEvent(video_id, 1, now, "phase")) for video_id in ("waits",)])
    subscription.renew({"alive": 1})
    assert subscription.seqs == {"waits": 4, "alive": 1}

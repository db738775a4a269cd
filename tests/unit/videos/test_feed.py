"""Events on their way to watchers: what may be left out, what never is, and who notices what no notification told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import grpc
import pytest
from sqlalchemy import text

from mediagate._gen.mediagate.v1 import videos_pb2, videos_pb2_grpc
from mediagate.access.authenticate import Authenticate
from mediagate.api.callers import Callers
from mediagate.api.pipeline import Pipeline
from mediagate.api.server import ApiServer
from mediagate.api.videos import VideoServicer
from mediagate.core.errors import NotFound, RateLimited, Unavailable
from mediagate.core.lifecycle import PhaseEvent, VideoPhase
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.store.database import Database
from mediagate.videos.fate import advanced
from mediagate.videos.feed import BACKLOG_MAX, Due, FeedItem, OwnersSubscription, Subscription, VideoFeed
from mediagate.videos.journal import phase_change, progress_made
from mediagate.videos.tasks import news
from mediagate.videos.watch_video import WatchVideo
from tests.unit.videos.world import OWNER, World, script

KEY = "sk-unit"
NEXT = {"held": PhaseEvent.SUBMIT_STARTED, "submitting": PhaseEvent.LOST_CONTACT}


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """A world whose feed listens."""
    made = World(db, script())
    await made.feed.start()
    yield made
    await made.feed.close()


def watching(world: World, keepalive_s: float = 60) -> WatchVideo:
    return WatchVideo(world.feed, world.get_video, world.clock, keepalive_s)


async def move(world: World, video: Video) -> Video:
    """Write the next change of phase."""
    event = NEXT.get(video.phase.value, PhaseEvent.SUBMIT_STARTED)
    after = advanced(video, event)
    written = await world.journal.write(video, after, [phase_change(video.phase, after)])
    assert written is not None
    return written


async def end(world: World, video: Video) -> Video:
    """Write the end."""
    failed = {"stage": "gateway", "code": "x", "message": "x", "retryable": False, "charged": False}
    after = advanced(video, PhaseEvent.FAILED, failure=failed)
    written = await world.journal.write(video, after, [phase_change(video.phase, after)])
    assert written is not None
    return written


def item(seq: int, kind: str) -> FeedItem:
    return FeedItem(VideoEvent("video_x", seq, datetime(2026, 1, 1, tzinfo=UTC), kind))


class TestSubscription:
    async def drain(self, subscription: Subscription) -> list[int]:
        found = []
        while (got := await subscription.next(0)) is not None:
            found.append(got.event.seq)
        return found

    async def test_progress_that_was_not_read_gives_way_to_newer_progress_and_nothing_else_does(self) -> None:
        subscription = Subscription()
        kinds = [
            "phase",
            "progress",
            "progress",
            "phase",
            "phase",
            "progress",
            "attempt",
            "progress",
            "progress",
            "end",
        ]
        for seq, kind in enumerate(kinds, start=1):
            subscription.push([item(seq, kind)])
        assert await self.drain(subscription) == [1, 3, 4, 5, 6, 7, 9, 10]

    async def test_a_reader_that_keeps_up_gets_all(self) -> None:
        subscription = Subscription()
        found = []
        for seq in range(1, 20):
            subscription.push([item(seq, "progress")])
            found += await self.drain(subscription)
        assert found == list(range(1, 20))

    async def test_what_was_seen_does_not_come_again(self) -> None:
        subscription = Subscription()
        subscription.seq = 3
        subscription.push([item(seq, "phase") for seq in (1, 2, 3, 4)])
        subscription.push([item(seq, "phase") for seq in (3, 4, 5)])
        assert await self.drain(subscription) == [4, 5]

    async def test_a_stalled_reader_costs_what_its_phases_cost(self) -> None:
        subscription = Subscription()
        for seq in range(1, 10_000):
            subscription.push([item(seq, "phase" if seq % 2000 == 0 else "progress")])
        assert len(subscription._items) < 12
        assert (await self.drain(subscription))[-1] == 9999

    @pytest.mark.parametrize("kind", [Subscription, OwnersSubscription])
    async def test_what_a_stalled_reader_does_not_read_has_a_bound(self, kind: type[Subscription]) -> None:
        subscription = kind()
        most = 0
        for seq in range(1, 3 * kind.backlog_max):
            subscription.push([item(seq, "phase")])
            most = max(most, len(subscription._items))
        assert most == kind.backlog_max
        assert not subscription._items
        with pytest.raises(RateLimited):
            await subscription.next(0)

    async def test_a_reader_that_waits_learns_of_a_flood(self) -> None:
        subscription = Subscription()
        waiting = asyncio.create_task(subscription.next(5))
        await asyncio.sleep(0.01)
        subscription.push([item(seq, "phase") for seq in range(1, BACKLOG_MAX + 2)])
        with pytest.raises(RateLimited):
            await waiting

    async def test_a_wait_ends_by_time_by_a_nudge_or_by_the_end_of_the_process(self) -> None:
        subscription = Subscription()
        assert await subscription.next(0.01) is None
        subscription.nudge()
        subscription.push([item(1, "phase")])
        got = await subscription.next(5)
        assert got is not None
        assert await asyncio.wait_for(subscription.next(30), 20) is None
        subscription.push([item(2, "phase")])
        subscription.close()
        assert await subscription.next(5) is not None
        for _ in range(2):
            with pytest.raises(Unavailable):
                await subscription.next(5)


class TestWatch:
    async def test_every_event_comes_to_every_watcher_in_order(self, world: World) -> None:
        video = await world.ask()

        async def watch() -> list[tuple[int, str]]:
            run = watching(world).run(OWNER, video.id, after_seq=None)
            return [(got.event.seq, got.event.type) async for got in run if got is not None]

        watchers = [asyncio.create_task(watch()) for _ in range(20)]
        while len(world.feed._watched.get(video.id, ())) < 20:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await end(world, await move(world, video))
        lives = await asyncio.wait_for(asyncio.gather(*watchers), 40)
        assert lives == [[(1, "snapshot"), (2, "phase"), (3, "phase"), (4, "end")]] * 20
        assert not world.feed._watched
        assert not world.feed._delivered

    async def test_one_encoding_serves_all(self, world: World) -> None:
        video = await world.ask()

        async def watch() -> FeedItem:
            async for got in watching(world).run(OWNER, video.id, after_seq=None):
                if got is not None and got.event.type == "phase":
                    return got
            raise AssertionError

        watchers = [asyncio.create_task(watch()) for _ in range(3)]
        await asyncio.sleep(0.1)
        await move(world, video)
        items = await asyncio.wait_for(asyncio.gather(*watchers), 40)
        assert len({id(got) for got in items}) == 1

    async def test_what_no_notification_told_is_found_at_the_next_silence(self, world: World) -> None:
        video = await world.ask()
        run = watching(world, keepalive_s=0.3).run(OWNER, video.id, after_seq=None)
        assert (await anext(run)).event.type == "snapshot"  # type: ignore[union-attr]
        world.feed._listener._on_payload = lambda _payload: None
        later = await end(world, await move(world, await move(world, video)))
        found = [got.event.seq async for got in run if got is not None]
        assert found == list(range(2, later.seq + 1))

    async def test_a_listener_that_lost_its_connection_hears_again(self, world: World, db: Database) -> None:
        video = await world.ask()
        run = watching(world).run(OWNER, video.id, after_seq=None)
        await anext(run)
        async with db.transaction() as tx:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listener'"
            await tx.connection.execute(text(query))
        moved = await move(world, video)
        got = await asyncio.wait_for(anext(run), 40)
        while got is None:
            got = await asyncio.wait_for(anext(run), 40)
        assert got.event.seq == moved.seq
        await end(world, moved)
        assert [late.event.type async for late in run if late is not None] == ["phase", "end"]

    async def test_a_deletion_is_told_at_once(self, world: World) -> None:
        video = await world.ask()
        run = watching(world).run(OWNER, video.id, after_seq=None)
        await anext(run)
        waiting = asyncio.create_task(world.get_video.wait(OWNER, video.id, wait_s=30, after_seq=None))
        await asyncio.sleep(0.1)
        await world.delete_video.run(OWNER, video.id)
        with pytest.raises(NotFound):
            await asyncio.wait_for(anext(run), 5)
        with pytest.raises(NotFound):
            await asyncio.wait_for(waiting, 5)
        assert not world.feed._watched

    async def test_somebody_else_sees_nothing(self, world: World) -> None:
        video = await world.ask()
        with pytest.raises(NotFound):
            await anext(watching(world).run(Principal("somebody else"), video.id, after_seq=None))
        assert not world.feed._watched

    async def test_a_process_that_stops_sends_its_watchers_elsewhere(self, world: World) -> None:
        video = await world.ask()
        run = watching(world).run(OWNER, video.id, after_seq=None)
        await anext(run)
        waiting = asyncio.create_task(world.get_video.wait(OWNER, video.id, wait_s=30, after_seq=None))
        await asyncio.sleep(0.1)
        await world.feed.close()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(anext(run), 2)
        assert (await asyncio.wait_for(waiting, 2)).seq == video.seq
        late = watching(world).run(OWNER, video.id, after_seq=None)
        await anext(late)
        with pytest.raises(Unavailable):
            await anext(late)

    async def test_a_reader_that_does_not_read_is_told_to_come_back(self, world: World) -> None:
        video = await world.ask()
        run = watching(world).run(OWNER, video.id, after_seq=None)
        await anext(run)
        (subscription,) = world.feed._watched[video.id]
        subscription.push([item(seq, "phase") for seq in range(2, BACKLOG_MAX + 4)])
        with pytest.raises(RateLimited):
            await anext(run)
        assert not world.feed._watched

    async def test_a_wait_sleeps_through_what_is_no_news(self, world: World) -> None:
        video = await world.ask()
        clock = asyncio.get_running_loop().time
        began = clock()
        waiting = asyncio.create_task(world.get_video.wait(OWNER, video.id, wait_s=0.4, after_seq=None))
        await asyncio.sleep(0.1)
        await world.feed._on_reconnect()
        assert (await waiting).seq == video.seq
        assert clock() - began > 0.39

    async def test_a_wait_for_an_event_that_never_comes_ends_with_the_video(self, world: World) -> None:
        video = await world.ask()
        wait = asyncio.create_task(world.get_video.wait(OWNER, video.id, wait_s=200, after_seq=1000))
        await asyncio.sleep(0.1)
        await end(world, await move(world, video))
        assert (await asyncio.wait_for(wait, 40)).phase is VideoPhase.FAILED

    async def test_progress_and_phases_in_one_stream(self, world: World) -> None:
        video = await world.ask()
        run = watching(world).run(OWNER, video.id, after_seq=0)
        moved = await move(world, video)
        made = advanced(moved, PhaseEvent.ACCEPTED, progress=40, progress_source="reported")
        written = await world.journal.write(moved, made, [phase_change(moved.phase, made), progress_made(made)])
        assert written is not None
        await end(world, written)
        kinds = [got.event.type async for got in run if got is not None]
        assert kinds == ["snapshot", "phase", "phase", "phase", "progress", "phase", "end"]


class TestDue:
    """News that were told and not yet delivered."""

    async def test_news_that_come_while_older_ones_could_not_be_read_hide_nothing(self, world: World) -> None:
        video = await world.ask()
        load, failed = world.feed._load, asyncio.Event()

        async def once_away(seqs: Mapping[str, int]) -> dict[str, list[FeedItem]]:
            if not failed.is_set():
                # What happens next is told while this one fails.
                world.feed._on_payload(news(video, 3, 3))
                failed.set()
                raise ConnectionError
            return await load(seqs)

        with world.feed.subscribe_all(OWNER) as subscription:
            subscription.seqs[video.id] = video.seq
            world.feed._load = once_away  # type: ignore[method-assign]
            moved = await end(world, await move(world, video))
            found: list[int] = []
            while moved.seq not in found:
                got = await asyncio.wait_for(subscription.next(10), 10)
                assert got is not None
                if got.event.video_id == video.id:
                    found.append(got.event.seq)
        assert found == list(range(2, moved.seq + 1))

    @pytest.mark.parametrize("deletion_first", [True, False])
    async def test_a_deletion_stays_one_whatever_is_told_with_it(self, db: Database, deletion_first: bool) -> None:
        feed = VideoFeed(db)
        told = ["video_x 5 5 - owner", "video_x 2 4 + owner"]
        with feed.subscribe_all(Principal("owner")):
            for payload in told if deletion_first else reversed(told):
                feed._on_payload(payload)
        assert feed._due == {"video_x": Due(2, 5, "owner", deleted=True)}

    async def test_an_end_user_hears_of_his_own_alone_even_of_a_deletion(self, db: Database) -> None:
        feed = VideoFeed(db)
        owner, alice = Principal("owner"), Principal("owner", end_user="a lice")
        with feed.subscribe_all(owner) as all_of_owner, feed.subscribe_all(alice) as hers:
            for video_id, end_user in (
                ("video_1", "\na lice"),
                ("video_2", "\nbob"),
                ("video_3", ""),
                ("video_4", "\n"),
            ):
                feed._on_payload(f"{video_id} 5 5 - owner{end_user}")
            due, feed._due = feed._due, {}
            await feed._deliver(due)
        assert [item.event.video_id for item in all_of_owner._items] == ["video_1", "video_2", "video_3", "video_4"]
        assert [item.event.video_id for item in hers._items] == ["video_1"]


class TestOverGrpc:
    async def test_watchers_that_go_away_are_forgotten(self, world: World, tmp_path: Any) -> None:
        servicer = object.__new__(VideoServicer)
        object.__setattr__(servicer, "watch_video", watching(world))
        pipeline = Pipeline(Callers(Authenticate(KEY)))
        server = ApiServer({"mediagate.v1.VideoService": servicer}, pipeline)
        address = f"unix:{tmp_path}/api.sock"
        await server.start(address)
        video = await world.ask()
        who = await pipeline.callers.authenticate.run(f"Bearer {KEY}", None)
        async with world.db.transaction() as tx:
            owner = {"owner": who.owner_id, "id": video.id}
            await tx.connection.execute(text("UPDATE video SET owner_id = :owner WHERE id = :id"), owner)
        metadata = (("authorization", f"Bearer {KEY}"),)
        request = videos_pb2.WatchVideoRequest(video_id=video.id)
        for leaving in ("cancel", "close"):
            async with grpc.aio.insecure_channel(address) as channel:
                stub = cast(Any, videos_pb2_grpc.VideoServiceStub(channel))  # type: ignore[no-untyped-call]
                calls = [method(request, metadata=metadata) for method in [stub.WatchVideo, stub.WatchVideoHttp] * 15]
                for call in calls:
                    assert await call.read() is not grpc.aio.EOF
                assert len(world.feed._watched[video.id]) == 30
                if leaving == "cancel":
                    for call in calls:
                        call.cancel()
            async with asyncio.timeout(5):
                while world.feed._watched:
                    await asyncio.sleep(0.02)
        assert not world.feed._delivered
        await server.stop(grace_s=1)

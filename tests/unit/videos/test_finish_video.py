"""What becomes of a provider's output: read whole, looked into, kept once; and what is no verdict about it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from sqlalchemy import text

from mediagate.core.errors import ProviderRefused, Unavailable
from mediagate.core.objects import File, Principal, Video
from mediagate.files.get_file import GetFile
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.reconcile import Reconcile
from mediagate.media.tools import NotLookedInto, VideoTools
from mediagate.providers.account import Account
from mediagate.providers.base import Content, Failure, FailureStage, FateUnknown, JobState, JobStatus
from mediagate.providers.files import Origin
from mediagate.providers.video_spool import VideoSpool
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import VideoRepository
from mediagate.videos import archive as archive_module
from mediagate.videos.archive import Archive, ArchiveRules
from mediagate.videos.find_kept import FindKept
from mediagate.videos.finish_video import Finished, FinishVideo, pieces
from tests.unit.media.clips import box, clip, with_credentials
from tests.unit.videos.world import Script, World, script

CLIP = with_credentials(clip(sound=True))
DONE = JobStatus(JobState.SUCCEEDED)
DAY = timedelta(days=1)


@dataclass
class Clip:
    """Content that ends where it is told to."""

    data: bytes = CLIP
    announced: int | None = None
    breaks_at: int | None = None
    content_type: str = "video/mp4"
    etag: str = ""

    @property
    def size_bytes(self) -> int:
        return len(self.data) if self.announced is None else self.announced

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, len(self.data) if self.breaks_at is None else self.breaks_at, 1000):
            yield self.data[at : at + 1000]
        if self.breaks_at is not None:
            raise OSError("the connection broke")


class Direct(Script):
    """A provider from which the edge can stream."""

    async def origin(self, ref: str, *, method: str) -> Origin:
        return Origin("https://video.example/1")

    def forget(self, ref: str) -> None:
        self.calls.append(f"forget {ref}")


@dataclass
class Desk:
    """One video whose provider says that it is done, and everything behind that."""

    world: World
    finish: FinishVideo
    stores: FileStores
    folder: Path
    provider: Script
    video: Video
    archive: Archive = field(init=False)

    def __post_init__(self) -> None:
        self.archive = self.finish.archive

    async def run(self, status: JobStatus = DONE) -> Finished | Failure:
        return await self.finish.run(await self.world.now(self.video), self.provider, status)

    async def finished(self, status: JobStatus = DONE) -> Finished:
        found = await self.run(status)
        assert isinstance(found, Finished), found
        return found

    async def files(self) -> list[tuple[str, str, bool]]:
        """Id, state and whether it is internal of every file of this test's owner."""
        async with self.world.db.reading() as connection:
            query = text("SELECT id, state, internal FROM file WHERE owner_id = :owner ORDER BY id")
            return [tuple(row) for row in await connection.execute(query, {"owner": self.video.owner_id})]

    async def bytes_of(self, file: File) -> bytes:
        content = await self.finish.open_file.of(file)
        return b"".join([chunk async for chunk in content.read(0, content.size_bytes)])

    def spooled(self) -> list[Path]:
        return list((self.folder / "spool").glob("*"))


Desks = Callable[..., Any]


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> AsyncIterator[Desks]:
    """Makes a desk for a provider whose `open` answers these, one after the other."""
    tools = VideoTools()
    opened: list[Intake] = []

    async def make(
        *opens: Any, rules: ArchiveRules | None = None, direct: bool = True, life_s: int | None = None
    ) -> Desk:
        made = script(opens=list(opens) or [Clip()])
        kind = Direct if direct else Script
        provider = kind(replace(made.spec, output_life_s=life_s), opens=made.opens)
        world = World(db, provider)
        stores = FileStores([Account("local", "local", options={"root": str(tmp_path / "files"), "fsync": False})])
        files = FileLookup(db)
        open_file = OpenContent(
            stores,
            GetFile(files, world.clock),
            Reconcile(db, stores, world.clock, timedelta(seconds=60)),
            world.clock,
        )
        intake = Intake(db, stores, world.clock)
        opened.append(intake)
        archive = Archive(intake, FindKept(files, world.clock), world.journal, world.clock, rules or ArchiveRules())
        finish = FinishVideo(open_file, archive, tools, world.clock, tmp_path / "spool")
        video = await world.ask()
        submitted = await world.track_video.fate.submitting(video)
        assert submitted is not None
        assert await world.track_video.fate.accepted(submitted, "job-1")
        archiving = await world.track_video.fate.archiving(await world.now(video))
        assert archiving is not None
        return Desk(world, finish, stores, tmp_path, provider, archiving)

    yield make
    for intake in opened:
        await intake.leases.close()
    tools.close()


ARCHIVED = ArchiveRules("local", 3600)


class TestWhole:
    async def test_it_is_measured_in_the_file_itself(self, desk: Desks) -> None:
        at = await desk()
        found = await at.finished()
        output = found.output
        assert (output.duration_s, output.width, output.height, output.has_audio) == (2.0, 64, 36, True)
        assert (output.size_bytes, output.sha256) == (len(CLIP), hashlib.sha256(CLIP).hexdigest())
        assert found.video.archive_file_id is None
        assert at.provider.calls == ["open"]
        assert at.spooled() == []

    async def test_it_goes_when_the_provider_says(self, desk: Desks) -> None:
        at = await desk(life_s=7200)
        now = at.world.clock.now()
        assert (await at.finished()).expires_at == now + timedelta(hours=2)
        assert (await at.finished(replace(DONE, expires_at=now + DAY))).expires_at == now + DAY

    async def test_nobody_says(self, desk: Desks) -> None:
        assert (await (await desk()).finished()).expires_at is None


class TestArchive:
    async def test_a_copy_is_kept_byte_for_byte(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        found = await at.finished()
        kept = await at.archive.kept(found.video)
        assert kept is not None
        assert await at.bytes_of(kept) == CLIP
        assert (kept.sha256, kept.content_type) == (hashlib.sha256(CLIP).hexdigest(), "video/mp4")
        assert kept.filename == f"{at.video.id}.mp4"
        assert found.expires_at == kept.expires_at == at.world.clock.now() + timedelta(hours=1)
        assert await at.world.now(at.video) == found.video
        assert [internal for id, _, internal in await at.files() if id == kept.id] == [True]

    async def test_whoever_comes_behind_a_crash_finds_the_copy(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        first = await at.finished()
        again = await at.finished()
        assert again.video.archive_file_id == first.video.archive_file_id
        assert again.output == first.output
        assert again.expires_at == first.expires_at
        # Not even the provider is asked: what counts is the copy.
        assert at.provider.calls == ["open"]

    @pytest.mark.soak
    async def test_a_crash_in_the_middle_leaves_one_copy(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        before = {id for id, _, _ in await at.files()}
        store = at.stores.account("local")
        reached = asyncio.Event()
        create = store.create

        async def stuck(new: Any) -> Any:
            reached.set()
            await asyncio.sleep(60)
            return await create(new)

        store.create = stuck
        running = asyncio.create_task(at.run())
        await reached.wait()
        named = (await at.world.now(at.video)).archive_file_id
        assert named is not None
        running.cancel()
        await asyncio.wait([running])
        store.create = create
        found = await at.finished()
        assert found.video.archive_file_id != named
        kept = [id for id, state, _ in await at.files() if state == "processed" and id not in before]
        assert kept == [found.video.archive_file_id]

    async def test_a_store_that_is_away_is_waited_for(self, desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
        at = await desk(rules=ARCHIVED)
        store = at.stores.account("local")
        create = store.create

        async def away(new: Any) -> Any:
            raise Unavailable("gone for a moment")

        store.create = away
        with pytest.raises(FateUnknown):
            await at.run()
        store.create = create
        assert (await at.finished()).video.archive_file_id is not None
        # Not for ever: the video is there.
        late = await desk(rules=ARCHIVED, life_s=60)
        late.stores.account("local").create = away
        with pytest.raises(FateUnknown):
            await late.run()
        now = time.monotonic()
        monkeypatch.setattr(archive_module.time, "monotonic", lambda: now + archive_module.PATIENCE_S + 1)
        found = await late.finished()
        assert found.video.archive_file_id is None
        assert (await late.world.now(late.video)).archive_file_id is None
        assert found.expires_at == late.world.clock.now() + timedelta(seconds=60)

    async def test_a_store_that_refuses_is_not_waited_for(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)

        async def refuse(new: Any) -> Any:
            raise ProviderRefused("no such bucket")

        at.stores.account("local").create = refuse
        assert (await at.finished()).video.archive_file_id is None

    async def test_what_the_edge_cannot_fetch_is_kept_as_long_as_the_provider_would(self, desk: Desks) -> None:
        at = await desk(direct=False, life_s=600)
        found = await at.finished()
        kept = await at.archive.kept(found.video)
        assert kept is not None
        assert await at.bytes_of(kept) == CLIP
        assert found.expires_at == at.world.clock.now() + timedelta(minutes=10)

    async def test_a_copy_that_was_lost_is_made_anew(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        first = await at.finished()
        kept = await at.archive.kept(first.video)
        assert kept is not None
        await at.stores.account("local").delete(kept.replicas[0].ref)
        second = await at.finished()
        assert second.video.archive_file_id != first.video.archive_file_id
        assert second.output == first.output
        again = await at.archive.kept(second.video)
        assert again is not None
        assert await at.bytes_of(again) == CLIP

    async def test_bytes_that_come_inside_of_json_are_kept(self, desk: Desks) -> None:
        async def fill(file: IO[bytes]) -> str:
            file.write(CLIP)
            return "video/mp4"

        at = await desk(await VideoSpool().copy("1", fill), life_s=600)
        found = await at.finished()
        at.provider.opens.clear()
        kept = await at.archive.kept(found.video)
        assert kept is not None
        assert await at.bytes_of(kept) == CLIP
        assert found.expires_at == at.world.clock.now() + timedelta(minutes=10)

    async def test_a_copy_is_no_unused_input(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        copy = (await at.finished()).video.archive_file_id
        assert copy is not None
        before = at.world.clock.now() + DAY
        async with at.world.db.transaction() as tx:
            videos = VideoRepository(tx.connection)
            assert copy not in await videos.unused_inputs(before=before, limit=10_000)
            assert await videos.uses_input(copy)
            await videos.entomb(Principal(at.video.owner_id), at.video.id, now=before)
            assert copy not in await videos.unused_inputs(before=before, limit=10_000)
            await videos.purge(at.video.id)
            assert copy in await videos.unused_inputs(before=before, limit=10_000)

    async def test_a_copy_that_is_over_is_none(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        found = await at.finished()
        at.world.clock.forward(3601)
        assert await at.archive.kept(found.video) is None

    async def test_a_video_that_was_changed_meanwhile_is_left_alone(self, desk: Desks) -> None:
        at = await desk(rules=ARCHIVED)
        stale = await at.world.now(at.video)
        await at.world.ask_to_cancel(at.video)
        with pytest.raises(FateUnknown):
            await at.finish.run(stale, at.provider, DONE)
        assert (await at.world.now(at.video)).archive_file_id is None


class TestNoVideo:
    @pytest.mark.parametrize(
        "bad",
        [Clip(b"<html>sorry</html>"), Clip(CLIP[:-1]), Clip(CLIP[: len(CLIP) // 2]), Clip(b"")],
        ids=["page", "a_byte_short", "half", "empty"],
    )
    async def test_it_is_read_again_and_then_a_failure_that_was_paid_for(self, desk: Desks, bad: Content) -> None:
        at = await desk(bad, bad, rules=ARCHIVED)
        failure = await at.run()
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.code) == (FailureStage.OUTPUT, "invalid_output")
        assert (failure.charged, failure.retryable) == (True, True)
        assert at.provider.calls.count("open") == 2
        assert (await at.world.now(at.video)).archive_file_id is None
        assert at.spooled() == []

    async def test_the_second_reading_counts_and_is_by_a_fresh_link(self, desk: Desks) -> None:
        at = await desk(Clip(CLIP[:-1]), Clip())
        assert (await at.finished()).output.size_bytes == len(CLIP)
        assert at.provider.calls == ["open", "forget job-1", "open"]

    async def test_none_at_all_is_a_failure_that_nobody_is_charged_for(self, desk: Desks) -> None:
        failure = await (await desk(FileNotFoundError("gone"))).run()
        assert isinstance(failure, Failure)
        assert (failure.code, failure.charged) == ("invalid_output", False)

    async def test_a_dead_link_is_asked_for_again(self, desk: Desks) -> None:
        at = await desk(FileNotFoundError("expired"), Clip())
        assert (await at.finished()).output.duration_s == 2.0

    @pytest.mark.parametrize("announced", [len(CLIP) + 1, len(CLIP) - 1])
    async def test_another_length_than_announced_is_no_whole_video(self, desk: Desks, announced: int) -> None:
        at = await desk(Clip(announced=announced))
        failure = await at.run()
        assert isinstance(failure, Failure)
        assert failure.charged

    async def test_an_end_at_the_same_byte_is_the_outputs_own(self, desk: Desks) -> None:
        failure = await (await desk(Clip(breaks_at=3000))).run()
        assert isinstance(failure, Failure)
        assert (failure.code, failure.charged) == ("invalid_output", True)


class TestNoVerdict:
    @pytest.mark.parametrize(
        "opens",
        [
            [Clip(breaks_at=1000), Clip(breaks_at=2000)],
            [Clip(breaks_at=0), Clip(breaks_at=0)],
            [Unavailable("away")],
            [TimeoutError()],
        ],
        ids=["breaks_anywhere", "never_begins", "away", "silent"],
    )
    async def test_what_cannot_be_read_now_may_be_later(self, desk: Desks, opens: list[Any]) -> None:
        at = await desk(*opens, Clip())
        with pytest.raises(FateUnknown):
            await at.run()
        at.provider.opens[:] = [Clip()]
        assert (await at.finished()).output.duration_s == 2.0

    async def test_what_trickles_is_given_up_though_it_is_never_silent(self) -> None:
        class Trickle(Clip):
            async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
                for at in range(start, end):
                    await asyncio.sleep(0.01)
                    yield self.data[at : at + 1]

        read = 0

        async def take() -> None:
            nonlocal read
            async for piece in pieces(Trickle(), longest_s=lambda size_bytes: size_bytes / len(CLIP) / 5):
                read += len(piece)

        with pytest.raises(TimeoutError):
            await take()
        assert 0 < read < len(CLIP)

    async def test_a_process_that_was_ended_says_nothing(self, desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
        at = await desk()

        async def ended(self: VideoTools, descriptor: int) -> Any:
            raise NotLookedInto("exit -9")

        monkeypatch.setattr(VideoTools, "measure", ended)
        with pytest.raises(FateUnknown):
            await at.run()

    async def test_a_full_disk_is_our_own_trouble(self, desk: Desks, tmp_path: Path) -> None:
        at = await desk()
        (tmp_path / "spool").write_text("in the way")
        with pytest.raises(OSError, match="spool") as raised:
            await at.run()
        assert not isinstance(raised.value, FileNotFoundError)


async def test_an_open_that_has_to_read_it_all_may_take_its_time(desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    at = await desk()
    loop, opened = asyncio.get_running_loop(), at.provider.open
    now = loop.time

    async def slow(*of: Any) -> Content:
        monkeypatch.setattr(loop, "time", lambda: now() + 3600)
        await asyncio.sleep(0.05)
        content: Content = await opened(*of)
        return content

    at.provider.open = slow
    assert (await at.finished()).output.size_bytes == len(CLIP)


async def test_a_large_video_costs_no_memory(desk: Desks) -> None:
    """256 MiB pass in pieces."""
    padding = 256 << 20

    class Large(Clip):
        @property
        def size_bytes(self) -> int:
            return len(CLIP) + 8 + padding

        async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
            yield CLIP + (padding + 8).to_bytes(4, "big") + b"free"
            zeros = bytes(1 << 20)
            for _ in range(padding >> 20):
                yield zeros

    assert box(b"free", b"") == b"\0\0\0\x08free"
    at = await desk(Large(), rules=ARCHIVED)
    before = _resident()
    found = await at.finished()
    assert found.output.size_bytes == len(CLIP) + 8 + padding
    kept = await at.archive.kept(found.video)
    assert kept is not None
    assert kept.size_bytes == found.output.size_bytes
    assert _peak() - before < 48 << 20


def _resident() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS:")


def _peak() -> int:
    return _status("VmHWM:")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

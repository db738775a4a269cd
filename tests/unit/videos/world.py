"""One video, one scripted provider, and a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mediagate.core.lifecycle import OVER, VideoPhase
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.files.get_file import GetFile
from mediagate.files.open_content import OpenContent
from mediagate.files.reconcile import Reconcile
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    JobState,
    JobStatus,
    VideoKind,
    VideoModel,
    VideoOutput,
    VideoRequest,
    VideoSpec,
    VideoVariant,
)
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import VideoLookup, VideoRepository
from mediagate.videos.cancel_video import CancelVideo
from mediagate.videos.delete_video import DeleteVideo, RemoveVideo
from mediagate.videos.feed import VideoFeed
from mediagate.videos.get_video import GetVideo
from mediagate.videos.journal import Journal
from mediagate.videos.start_video import StartVideo, VideoDraft
from mediagate.videos.track_video import Leash, TrackVideo

OWNER = Principal("owner")
RENDERING = JobStatus(JobState.RENDERING, progress_percent=10.0)
QUEUED = JobStatus(JobState.QUEUED, position=1)
DONE = JobStatus(JobState.SUCCEEDED, output=VideoOutput(2.0, 320, 180, 3))
REJECTED = JobStatus(
    JobState.FAILED, failure=Failure(FailureStage.OUTPUT, "content_policy_violation", "No.", retryable=False)
)
Answer = Any
"""What a script says: a value to return, an exception to raise, or a function to await."""


class Clock:
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Bytes:
    """Content of three bytes."""

    size_bytes: int = 3
    content_type: str = "video/mp4"
    etag: str = ""

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        yield b"mp4"[start:end]


@dataclass
class Script:
    """A provider that answers what it is told to; the last answer of each kind is given for ever."""

    spec: VideoSpec
    submits: list[Answer] = field(default_factory=lambda: ["job-1"])
    polls: list[Answer] = field(default_factory=lambda: [RENDERING, DONE])
    cancels: list[Answer] = field(default_factory=lambda: [True])
    opens: list[Answer] = field(default_factory=lambda: [Bytes()])
    deletes: list[Answer] = field(default_factory=lambda: [None])
    calls: list[str] = field(default_factory=list)
    requests: list[VideoRequest] = field(default_factory=list)

    async def _answer(self, name: str, answers: list[Answer]) -> Any:
        self.calls.append(name)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return await answer() if callable(answer) else answer

    async def submit(self, request: VideoRequest) -> str:
        self.requests.append(request)
        return str(await self._answer("submit", self.submits))

    async def poll(self, ref: str) -> JobStatus:
        status: JobStatus = await self._answer("poll", self.polls)
        return status

    async def cancel(self, ref: str) -> bool:
        return bool(await self._answer("cancel", self.cancels))

    async def delete(self, ref: str) -> None:
        self.calls.append(f"delete {ref}")
        await self._answer("delete", self.deletes)

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        content: Content = await self._answer("open", self.opens)
        return content


def script(*, idempotent: bool = False, interval_s: float = 0.005, **answers: list[Answer]) -> Script:
    """A provider of one model."""
    model = VideoModel("m", ("320x180",), (2,), "320x180", 2, 100, ("text",), 0.0, tuple(VideoKind))
    return Script(VideoSpec("fake", {"m": model}, idempotent, True, interval_s, 100.0), **answers)


class World:
    """Everything between a request and its end, without a process of its own."""

    def __init__(self, db: Database, provider: Script) -> None:
        self.db = db
        self.clock = Clock()
        self.provider = provider
        self.catalog = ModelCatalog([Deployment("d", "m", "fake", "m")], {"fake": provider})
        self.videos = VideoLookup(db)
        self.feed = VideoFeed(db)
        self.journal = Journal(db, self.clock)
        get_file = GetFile(FileLookup(db), self.clock)
        stores = FileStores([])
        open_content = OpenContent(stores, get_file, Reconcile(db, stores, self.clock), self.clock)
        self.get_video = GetVideo(self.videos, self.feed)
        self.cancel_video = CancelVideo(db, self.get_video, self.clock)
        self.delete_video = DeleteVideo(db, self.clock)
        self.remove_video = RemoveVideo(db, self.catalog)
        self.start = StartVideo(db, self.videos, self.catalog, self.journal, get_file, self.clock, 100.0)
        self.tracker = TrackVideo(db, self.videos, self.catalog, self.journal, open_content, self.clock, None)

    async def ask(self) -> Video:
        """A new video."""
        return await self.start.run(OWNER, VideoDraft("a boat"))

    async def track(self, video: Video, timeout_s: float = 5) -> Video:
        """Track to the end; the video as it is then."""
        async with asyncio.timeout(timeout_s):
            assert await self.tracker.run(video.id, Leash())
        return await self.now(video)

    async def now(self, video: Video) -> Video:
        """The video as it is, deleted or not."""
        async with self.db.reading() as connection:
            repository = VideoRepository(connection)
            found = await repository.find(video.id) or await repository.entombed(video.id)
        assert found is not None
        return found

    async def events(self, video: Video) -> list[VideoEvent]:
        """Its life as it is stored."""
        async with self.db.reading() as connection:
            return await VideoRepository(connection).events(video.id, after_seq=0)

    async def phases(self, video: Video) -> list[str]:
        """Every phase it went through."""
        return [str(event.payload["to"]) for event in await self.events(video) if event.type == "phase"]

    async def kinds(self, video: Video) -> list[str]:
        """The types of its events."""
        return [event.type for event in await self.events(video)]

    async def ask_to_cancel(self, video: Video) -> None:
        """What a cancel writes, without the wait for what comes of it."""
        async with self.db.transaction() as tx:
            assert await VideoRepository(tx.connection).request_cancel(video.id, now=self.clock.now())

    async def until(self, video: Video, phase: VideoPhase) -> Video:
        """The video once it is in a phase."""
        async with asyncio.timeout(5):
            while (found := await self.now(video)).phase is not phase:
                assert found.phase not in OVER
                await asyncio.sleep(0.005)
            return found

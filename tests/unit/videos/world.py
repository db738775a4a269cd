"""One video, one scripted provider, and a clock that the test turns."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mediagate.core.lifecycle import OVER, VideoPhase
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.files.get_file import GetFile
from mediagate.files.open_content import OpenContent
from mediagate.files.reconcile import Reconcile
from mediagate.media.tools import VideoTools
from mediagate.pricing.prices import Prices
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    VideoKind,
    VideoModel,
    VideoOutput,
    VideoProvider,
    VideoRequest,
    VideoSpec,
    VideoVariant,
)
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.router import Router
from mediagate.routing.rules import RoutingRules
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import EventLookup, VideoLookup, VideoRepository
from mediagate.videos.callbacks import Callbacks
from mediagate.videos.cancel_video import CancelVideo
from mediagate.videos.characters import GetCharacter
from mediagate.videos.cost import Costs
from mediagate.videos.delete_video import DeleteVideo, RemoveVideo
from mediagate.videos.feed import VideoFeed
from mediagate.videos.find_kept import FindKept
from mediagate.videos.finish_video import NO_OUTPUT, Finished
from mediagate.videos.get_video import GetVideo
from mediagate.videos.journal import Journal
from mediagate.videos.line import Line
from mediagate.videos.measure_input import MeasureInput
from mediagate.videos.open_output import OpenOutput
from mediagate.videos.places import VideoPlaces
from mediagate.videos.plan_video import PlanVideo, VideoDraft
from mediagate.videos.provider_characters import ProviderCharacters
from mediagate.videos.provider_request import MakeRequest
from mediagate.videos.route_video import RouteVideo
from mediagate.videos.start_video import StartVideo
from mediagate.videos.track_video import TrackVideo
from tests.unit.videos.tracking import Tracker

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

    async def close(self) -> None:
        """Nothing is open."""


def script(*, idempotent: bool = False, interval_s: float = 0.005, **answers: list[Answer]) -> Script:
    """A provider of one model."""
    model = VideoModel("m", ("320x180",), (2,), "320x180", 2, 100, ("text",), tuple(VideoKind))
    spec = VideoSpec(
        name="fake",
        title="Fake",
        source="tests",
        models={"m": model},
        idempotent_submit=idempotent,
        reports_progress=True,
        cancels=True,
        poll_interval_s=interval_s,
        deadline_s=100.0,
    )
    return Script(spec, **answers)


class Believes:
    """Finishes a video with what its provider says of it, and looks at nothing but the length of its content."""

    async def run(self, video: Video, provider: VideoProvider, status: JobStatus) -> Finished | Failure:
        assert video.provider_ref is not None
        try:
            content = await provider.open(video.provider_ref, VideoVariant.VIDEO)
        except FileNotFoundError:
            return NO_OUTPUT
        except Exception as error:
            raise FateUnknown(str(error)) from error
        if content.size_bytes == 0 or status.output is None:
            return NO_OUTPUT
        return Finished(video, replace(status.output, size_bytes=content.size_bytes), status.expires_at)


@dataclass(frozen=True)
class Other:
    """A deployment of a world; `own` are members of `Deployment`. The first in a world's list is the world's own."""

    provider: Script
    group: str = "m"
    own: Mapping[str, Any] = field(default_factory=dict)


class World:
    """Everything between a request and its end, without a process of its own."""

    def __init__(
        self,
        db: Database,
        provider: Script,
        costs: Costs | None = None,
        *,
        others: Sequence[Other] = (),
        rules: RoutingRules | None = None,
    ) -> None:
        self.db = db
        self.clock = Clock()
        self.provider = provider
        self.parallel_max: int | None = None
        # The database is for all tests, so each has an account of its own.
        self.account = f"fake-{secrets.token_hex(4)}"
        first = Deployment("d", "m", "fake", "m", model_account=self.account)
        if others:
            first = replace(first, id=f"d-{self.account}", **others[0].own)
        self.scripts = {first.id: provider}
        deployments, specs = [first], {"fake": provider.spec}
        for number, other in enumerate(others[1:], start=1):
            name = f"fake-{number}"
            one = Deployment(f"{name}-{self.account}", other.group, name, "m", model_account=f"{self.account}-{number}")
            deployments.append(replace(one, **other.own))
            self.scripts[one.id], specs[name] = other.provider, other.provider.spec
        self.deployments = deployments
        self.catalog = ModelCatalog(
            deployments,
            {found.model_account: self.scripts[found.id] for found in deployments},
            spec_of=specs.__getitem__,
            parallel_max=lambda _: self.parallel_max,
        )
        self.videos = VideoLookup(db)
        self.feed = VideoFeed(db)
        self.journal = Journal(db, self.clock)
        get_file = GetFile(FileLookup(db), self.clock)
        stores = FileStores([])
        open_content = OpenContent(stores, get_file, Reconcile(db, stores, self.clock), self.clock)
        self.get_video = GetVideo(self.videos, self.feed)
        self.cancel_video = CancelVideo(db, self.get_video, self.clock)
        self.delete_video = DeleteVideo(db, self.clock)
        self.costs = costs or Costs(Prices({}, {}))
        self.remove_video = RemoveVideo(db, self.catalog, self.clock, self.costs)
        measure = MeasureInput(open_content, VideoTools(), Path(tempfile.gettempdir()))
        plan = PlanVideo(self.videos, self.catalog, get_file, measure, GetCharacter(db))
        self.router = Router(db, self.catalog, rules)
        route = RouteVideo(plan, self.costs, self.router, VideoPlaces(db, stores, {}))
        self.start = StartVideo(db, route, self.catalog, self.journal, self.clock, 100.0)
        open_output = OpenOutput(self.catalog, FindKept(FileLookup(db), self.clock), open_content)
        self.track_video = TrackVideo(
            db,
            self.videos,
            self.catalog,
            self.journal,
            self.costs,
            MakeRequest(
                self.videos,
                open_content,
                open_output,
                Callbacks("https://gateway.example", b"secret"),
                ProviderCharacters(db, self.catalog),
            ),
            Believes(),
            Line(db, self.catalog),
            self.clock,
            None,
            self.router,
            100.0,
        )
        self.tracker = Tracker(self.track_video)

    async def ask(self, who: Principal = OWNER, **wishes: Any) -> Video:
        """A new video."""
        return await self.start.run(who, VideoDraft("a boat", **wishes))

    async def track(self, video: Video, timeout_s: float = 30) -> Video:
        """Track to the end; the video as it is then."""
        async with asyncio.timeout(timeout_s):
            assert await self.tracker.run(video.id)
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
        return (await EventLookup(self.db).after({video.id: 0})).get(video.id, [])

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
        async with asyncio.timeout(30):
            while (found := await self.now(video)).phase is not phase:
                assert found.phase not in OVER
                await asyncio.sleep(0.005)
            return found

"""Two hundred videos at all providers at once: what is to become of each, and what the networks do meanwhile."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.files.get_file import GetFile
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.reconcile import Reconcile
from mediagate.media.tools import VideoTools
from mediagate.pricing.prices import OwnRates, Prices
from mediagate.pricing.rates import rates_in
from mediagate.providers.account import Account
from mediagate.providers.base import JobStatus
from mediagate.routing.catalog import MODE, Deployment, ModelCatalog
from mediagate.routing.router import Router
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import EventLookup, VideoLookup, VideoRepository
from mediagate.videos.archive import Archive, ArchiveRules
from mediagate.videos.callbacks import Callbacks
from mediagate.videos.characters import GetCharacter
from mediagate.videos.cost import Costs
from mediagate.videos.find_kept import FindKept
from mediagate.videos.finish_video import FinishVideo
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
from tests.contract.video_bench import Said
from tests.contract.video_stands import WIRES, Server, Stand
from tests.doubles.chaos import FORWARDED, Chaos, Fault, Met, Proxy
from tests.unit.videos.tracking import Leash, Tracker
from tests.unit.videos.world import Clock

INTERVAL_S: Final = 1.0
DEADLINE_S: Final = 3600.0
USD_PER_SECOND: Final = 0.1
USD_BY_PROVIDER: Final = 0.35
TICK_S: Final = 0.25
# How many requests about one thing may go wrong, so that the pauses between them stay short.
POLLS_WRONG_MAX: Final = 3
READS_WRONG_MAX: Final = 1
_NUMBER: Final = re.compile(rb"boat (\d{3}) of the fleet")

POLL_FAULTS: Final = (
    *(Fault.ERROR, Fault.AWAY, Fault.BUSY, Fault.UNAUTHORIZED),
    *(Fault.LOST, Fault.UNHEARD, Fault.GARBLED, Fault.SLOW),
)
CONTENT_FAULTS: Final = (Fault.ERROR, Fault.AWAY, Fault.BUSY, Fault.LOST, Fault.TORN, Fault.SLOW)
CANCEL_FAULTS: Final = (Fault.ERROR, Fault.AWAY, Fault.LOST, Fault.UNHEARD)
AMBIGUOUS: Final = (Fault.UNHEARD, Fault.LOST, Fault.GARBLED, Fault.ERROR, Fault.AWAY)
"""After these, nobody knows whether a submit was taken."""


class Fate(StrEnum):
    """What becomes of a video, decided before it is asked for."""

    READY = "ready"
    FAILED = "failed"
    MODERATED = "moderated"
    NO_VIDEO = "no_video"
    CANCELLED = "cancelled"
    LOST = "lost"
    """The answer to its submit does not come."""
    REFUSED = "refused"


SAYS: Final[Mapping[Fate, Said]] = {
    Fate.READY: Said.SUCCEEDED,
    Fate.FAILED: Said.FAILED,
    Fate.MODERATED: Said.MODERATED,
    Fate.NO_VIDEO: Said.NO_VIDEO,
    Fate.LOST: Said.SUCCEEDED,
}
FATES: Final = (
    *(Fate.READY, Fate.FAILED, Fate.CANCELLED, Fate.LOST, Fate.READY, Fate.MODERATED, Fate.READY, Fate.REFUSED),
    *(Fate.CANCELLED, Fate.LOST, Fate.FAILED, Fate.READY, Fate.NO_VIDEO, Fate.CANCELLED, Fate.READY, Fate.MODERATED),
    *(Fate.READY, Fate.LOST),
)


@dataclass
class Boat:
    """One video. `faults` are those of its submits, one after the other; `steps` what its provider says and for how
    many ticks. The times are of the monotonic clock."""

    number: int
    stand: Stand
    fate: Fate
    faults: list[Fault]
    steps: list[tuple[int, Said]]
    clip: bytes
    planned: tuple[Fault, ...] = ()
    video: Video | None = None
    leash: Leash = field(default_factory=Leash)
    ended_at: float | None = None
    cancelled_at: float | None = None

    def __post_init__(self) -> None:
        self.planned = tuple(self.faults)

    @property
    def prompt(self) -> str:
        """By which it is known at its provider."""
        return f"boat {self.number:03} of the fleet"

    @property
    def is_lost(self) -> bool:
        """Whether nobody can find out what became of its submit."""
        return self.fate is Fate.LOST and not self.stand.bench.provider.spec.idempotent_submit

    @property
    def is_taken(self) -> bool:
        """Whether its provider has a job."""
        if self.fate is Fate.REFUSED:
            return False
        return not self.is_lost or self.planned[-1] in FORWARDED

    @property
    def ended(self) -> Video:
        """The row."""
        assert self.video is not None
        return self.video


def fleet(stands: Sequence[Stand], count: int, rng: random.Random, clips: Sequence[bytes]) -> list[Boat]:
    """So many videos, shared out over the providers, of which each gets some of every fate that it can express."""
    return [_boat(number, stands[number % len(stands)], len(stands), rng, clips) for number in range(count)]


def _boat(number: int, stand: Stand, stands: int, rng: random.Random, clips: Sequence[bytes]) -> Boat:
    fate = FATES[number // stands % len(FATES)]
    if (stand.wire is None and fate in (Fate.LOST, Fate.REFUSED)) or SAYS.get(fate, Said.RENDERING) not in (
        stand.bench.says
    ):
        fate = Fate.READY
    faults = [Fault.BUSY] if rng.random() < 0.2 else [Fault.SLOW] if rng.random() < 0.2 else []
    if stand.wire is None:
        faults = []
    elif fate is Fate.LOST:
        faults = [
            *(fault for fault in faults if fault is Fault.BUSY),
            AMBIGUOUS[(number + number // stands) % len(AMBIGUOUS)],
        ]
    elif fate is Fate.REFUSED:
        faults = [Fault.UNAUTHORIZED]
    steps = [(rng.randrange(1, 4), Said.RENDERING), (rng.randrange(1, 7), SAYS.get(fate, Said.RENDERING))]
    return Boat(number, stand, fate, faults, steps, rng.choice(clips))


class Weather:
    """What happens to each request, and the journals of all proxies."""

    def __init__(self, chaos: Chaos, seed: int) -> None:
        self._chaos = chaos
        self._rng = random.Random(seed)
        self._wrong: Counter[tuple[str, str, bytes]] = Counter()
        self.proxies: dict[str, list[Proxy]] = defaultdict(list)
        self.boats: list[Boat] = []

    def front(self, name: str, server: Server) -> None:
        """Come in front of a server."""
        proxy = self._chaos.before(server.port, lambda met: self._choose(name, met))
        server.port = proxy.port
        self.proxies[name].append(proxy)

    def submits(self, boat: Boat) -> list[Met]:
        """The requests to start this job, in their order."""
        submit = WIRES[boat.stand.name].submit
        return [met for met in self._journal(boat.stand) if _fits(submit, met) and _number(met) == boat.number]

    def polls(self, boat: Boat) -> list[float]:
        """When this job was asked about."""
        if boat.ended.provider_ref is None:
            return []
        poll, job = WIRES[boat.stand.name].poll, boat.stand.job_of(boat.ended.provider_ref)
        return [met.at for met in self._journal(boat.stand) if _fits(poll, met) and met.names(job)]

    def faults(self) -> int:
        """How much has gone wrong."""
        return sum(met.fault is not None for proxies in self.proxies.values() for proxy in proxies for met in proxy.met)

    def _journal(self, stand: Stand) -> Iterator[Met]:
        for proxy in self.proxies[stand.name]:
            yield from proxy.met

    def _choose(self, name: str, met: Met) -> Fault | None:
        if _fits(WIRES[name].submit, met):
            faults = self.boats[_number(met)].faults
            return faults.pop(0) if faults else None
        if "/models" in met.target and met.method == "GET":
            return None
        if _fits(WIRES[name].poll, met):
            return self._at_random(met, 0.3, POLL_FAULTS, POLLS_WRONG_MAX)
        if met.method in ("GET", "HEAD"):
            return self._at_random(met, 0.3, CONTENT_FAULTS, READS_WRONG_MAX)
        return self._at_random(met, 0.4, CANCEL_FAULTS, READS_WRONG_MAX)

    def _at_random(self, met: Met, share: float, faults: Sequence[Fault], wrong_max: int) -> Fault | None:
        about = (met.method, met.target, met.body)
        if self._wrong[about] >= wrong_max or self._rng.random() >= share:
            return None
        self._wrong[about] += 1
        return self._rng.choice(faults)


def _fits(pattern: re.Pattern[str], met: Met) -> bool:
    return pattern.match(f"{met.method} {met.target.partition('?')[0]}") is not None


def _number(met: Met) -> int:
    found = _NUMBER.search(met.body)
    assert found is not None, met.target
    return int(found[1])


class Sea:
    """The product over all providers: everything between a request and its end, without a process of its own."""

    def __init__(self, db: Database, stands: Mapping[str, Stand], folder: Path) -> None:
        self.db = db
        self.clock = Clock()
        self.owner = Principal(f"owner-{secrets.token_hex(4)}")
        self.polls: dict[str, list[float]] = defaultdict(list)
        run = secrets.token_hex(4)
        deployments = [
            Deployment(
                f"{name}-{run}",
                name,
                stand.provider,
                stand.bench.model,
                model_account=f"{name}-{run}",
                info={"mode": MODE},
            )
            for name, stand in stands.items()
        ]
        providers = {f"{name}-{run}": stand.bench.provider for name, stand in stands.items()}
        for stand in stands.values():
            self._count(stand)
        catalog = ModelCatalog(deployments, providers)
        own = {found.id: OwnRates(rates_in({"output_cost_per_second": USD_PER_SECOND})) for found in deployments}
        costs = Costs(Prices(own))
        videos, files = VideoLookup(db), FileLookup(db)
        self._videos = videos
        journal = Journal(db, self.clock)
        stores = FileStores([Account("local", "local", options={"root": str(folder / "files"), "fsync": False})])
        get_file = GetFile(files, self.clock)
        open_file = OpenContent(stores, get_file, Reconcile(db, stores, self.clock), self.clock)
        kept = FindKept(files, self.clock)
        self._tools, self._intake = VideoTools(), Intake(db, stores, self.clock)
        archive = Archive(self._intake, kept, journal, self.clock, ArchiveRules())
        router = Router(db, catalog)
        plan = PlanVideo(
            videos, catalog, get_file, MeasureInput(open_file, self._tools, folder / "spool"), GetCharacter(db)
        )
        self.start = StartVideo(
            db,
            RouteVideo(plan, costs, router, VideoPlaces(db, stores, {})),
            catalog,
            journal,
            self.clock,
            DEADLINE_S,
        )
        track_video = TrackVideo(
            db,
            videos,
            catalog,
            journal,
            costs,
            MakeRequest(
                videos,
                open_file,
                OpenOutput(catalog, kept, open_file),
                Callbacks("https://gateway.example", b"secret"),
                ProviderCharacters(db, catalog),
            ),
            FinishVideo(open_file, archive, self._tools, self.clock, folder / "spool"),
            Line(db, catalog),
            self.clock,
            INTERVAL_S,
            router,
            DEADLINE_S,
        )
        self.tracker = Tracker(track_video)

    def _count(self, stand: Stand) -> None:
        asked: Callable[[str], Awaitable[JobStatus]] = stand.bench.provider.poll

        async def poll(ref: str) -> JobStatus:
            self.polls[ref].append(time.monotonic())
            return await asked(ref)

        setattr(stand.bench.provider, "poll", poll)  # noqa: B010 - a method of one object

    async def close(self) -> None:
        """Wait for what runs."""
        await self._intake.leases.close()
        self._tools.close()

    async def ask(self, boat: Boat) -> None:
        """Create its video."""
        boat.video = await self.start.run(self.owner, VideoDraft(boat.prompt, model=boat.stand.name))

    async def track(self, boat: Boat) -> None:
        """Track to the end."""
        assert await self.tracker.run(boat.ended.id, boat.leash)

    async def look(self, boats: Sequence[Boat]) -> None:
        """Read every row anew."""
        rows = await asyncio.gather(*(self._videos.find(boat.ended.id) for boat in boats))
        for boat, row in zip(boats, rows, strict=True):
            boat.video = row

    async def life(self, boat: Boat) -> list[VideoEvent]:
        """Everything that happened to it."""
        return (await EventLookup(self.db).after({boat.ended.id: 0})).get(boat.ended.id, [])

    async def cancel(self, boat: Boat) -> None:
        """What a caller's cancel does."""
        boat.cancelled_at = time.monotonic()
        async with self.db.transaction() as tx:
            assert await VideoRepository(tx.connection).request_cancel(boat.ended.id, now=self.clock.now())
        boat.leash.wake()

    async def direct(self, boats: Sequence[Boat]) -> None:
        """Play the providers: every job that is known goes on, until each has said its last word."""
        going = [boat for boat in boats if not boat.is_lost and boat.fate is not Fate.REFUSED]
        while going:
            await self.look(going)
            for boat in going:
                ref = boat.ended.provider_ref
                if ref is not None:
                    await self._go_on(boat, ref)
            going = [boat for boat in going if boat.steps]
            await asyncio.sleep(TICK_S)

    async def _go_on(self, boat: Boat, ref: str) -> None:
        ticks, said = boat.steps[0]
        if ticks:
            boat.steps[0] = (ticks - 1, said)
            return
        boat.steps.pop(0)
        if boat.steps:
            await boat.stand.bench.advance(ref, said)
        elif boat.fate is Fate.CANCELLED:
            await self.cancel(boat)
        else:
            boat.ended_at = time.monotonic()
            await boat.stand.bench.advance(ref, said, video=boat.clip, reason="it broke", cost_usd=USD_BY_PROVIDER)


def is_over(boat: Boat) -> bool:
    """Whether its end is written."""
    return boat.ended.phase in (VideoPhase.READY, VideoPhase.FAILED, VideoPhase.CANCELLED)

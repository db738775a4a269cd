"""What tests of downloads by decision share: files in memory, origins over HTTP, the real decision, the real Envoy."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_harness import Edge

from mediagate._gen.mediagate.v1 import files_pb2_grpc
from mediagate.access.authenticate import Authenticate
from mediagate.api.callers import Callers
from mediagate.api.content import Download, head_http, stream_http
from mediagate.api.decision import ContentDecision
from mediagate.api.files import served_type
from mediagate.api.pipeline import Pipeline
from mediagate.api.server import ApiServer
from mediagate.api.system import SystemServicer
from mediagate.api.targets import TargetReader
from mediagate.core.clock import SystemClock
from mediagate.core.ids import new_file_id
from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.core.objects import File, Principal, Replica
from mediagate.files.find_origin import FindOrigin, Health
from mediagate.files.get_file import GetFile
from mediagate.files.open_content import OpenContent
from mediagate.files.provider_files import ProviderFiles
from mediagate.providers.account import Account
from mediagate.providers.base import Content
from mediagate.providers.files import FileSpec, ProviderFile
from mediagate.providers.files import Origin as Where
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_content import HttpContent
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.health import ReadHealth
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import Targets
from tests.doubles.origin import Origin

KEY = "sk-decision"
AUTH = {"authorization": f"Bearer {KEY}"}
CREDENTIALS = {"authorization": "Bearer origin-secret", "api-key": "origin-key"}


SPEC = FileSpec("openai", "OpenAI", "https://example.com")


class Direct:
    """An account whose objects the edge can fetch; `refuses` is raised where they shall be handed out."""

    spec = SPEC

    def __init__(self, url: str) -> None:
        self.url = url
        self.refuses: Exception | None = None
        self._http = ProviderHttp("OpenAI", url, self._headers, silence_s=2)

    async def _headers(self) -> dict[str, str]:
        return CREDENTIALS

    async def get(self, ref: str) -> ProviderFile:
        head = await self._http.call("HEAD", f"{self.url}{ref}")
        return ProviderFile(ref, "theirs.bin", int(head.headers["content-length"]))

    async def origin(self, ref: str, *, method: str) -> Where:
        if self.refuses is not None:
            raise self.refuses
        return Where(f"{self.url}{ref}", CREDENTIALS)

    async def open(self, ref: str) -> Content:
        url = f"{self.url}{ref}"
        head = await self._http.call("HEAD", url)
        return HttpContent(self._http, url, size_bytes=int(head.headers["content-length"]), content_type="")

    async def close(self) -> None:
        await self._http.close()


class Here:
    """An account whose bytes pass the server."""

    spec = SPEC

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    async def open(self, ref: str) -> Content:
        return Memory(self.held[ref])

    async def close(self) -> None:
        pass


class Files:
    """The rows of files, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, File] = {}

    async def get(self, who: Principal, file_id: str, *, now: datetime) -> File | None:
        file = self.rows.get(file_id)
        if file is None or file.owner_id != who.owner_id or (file.expires_at is not None and file.expires_at <= now):
            return None
        return file


class Memory:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.content_type = ""
        self.etag = ""

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        yield self.data[start:end]


class Losses:
    """What was found to be lost."""

    def __init__(self) -> None:
        self.lost: list[Replica] = []

    async def mark_lost(self, replica: Replica) -> None:
        self.lost.append(replica)


class ThroughPython(files_pb2_grpc.FileServiceServicer):
    """The two methods that content goes through where the decision says so. `served` are the files they were asked
    for."""

    def __init__(self, open_content: OpenContent) -> None:
        self.open_content = open_content
        self.served: list[str] = []

    async def _download(self, call: Any, file_id: str) -> Download:
        self.served.append(file_id)
        file, content = await self.open_content.run(call.principal, file_id)
        etag = f'"{file.sha256}"' if file.sha256 else ""
        return Download(content, file.filename, served_type(file.content_type), etag)

    async def GetFileContentHttp(self, request: Any, call: Any) -> AsyncIterator[bytes]:
        async for message in stream_http(await self._download(call, request.file_id), call):
            yield message

    async def HeadFileContentHttp(self, request: Any, call: Any) -> bytes:
        return head_http(await self._download(call, request.file_id), call)


class DecidingServer:
    """The real gRPC server with the real decision, in a thread; it stands where the edge's harness has its stub."""

    def __init__(self, target: str, stores: FileStores) -> None:
        self.target = target
        self._stores = stores
        self.files = Files()
        get_file = GetFile(self.files, SystemClock())  # type: ignore[arg-type]
        self.losses = Losses()
        reconcile: Any = self.losses
        self.python = ThroughPython(OpenContent(stores, get_file, reconcile, SystemClock()))
        self.find_origin = FindOrigin(stores, SystemClock())
        self.decision = ContentDecision(
            Callers(Authenticate(KEY)),
            get_file,
            self.find_origin,
            ProviderFiles(stores, Targets(stores, ModelCatalog([], {}))),
            TargetReader(stores),
            hasty_s=0.5,
            patience_s=0.5,
        )
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        ready = threading.Event()

        async def always() -> None:
            return None

        async def serve() -> None:
            servicers = {
                "mediagate.v1.FileService": self.python,
                "mediagate.v1.SystemService": SystemServicer(always, ReadHealth.__new__(ReadHealth)),
            }
            server = ApiServer(servicers, Pipeline(Callers(Authenticate(KEY))), self.decision)
            await server.start(self.target)
            ready.set()
            await self._stopping.wait()
            await server.stop(grace_s=0)
            await self._stores.close()

        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(serve()), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(60)
            self._thread = None
        self._loop.close()


@dataclass
class World:
    """One edge, its server, the accounts `here`, `a`, `b`, ... with their origins; and an edge before the same server
    that asks it nothing."""

    edge: Edge
    plain: Edge
    server: DecidingServer
    origins: dict[str, Origin]
    accounts: dict[str, Any] = field(default_factory=dict)

    def add(self, data: bytes, *places: str, state: ReplicaState = ReplicaState.READY, **members: Any) -> str:
        """A file that lies in these accounts; what the origins hold is right, until a test changes it."""
        file_id = new_file_id()
        ref = f"/objects/{file_id}?sig=a%2Fb"
        replicas = tuple(
            Replica(file_id, place, "local" if place == "here" else "openai", ref, state) for place in places
        )
        known: dict[str, Any] = {
            "owner_id": "master",
            "filename": "naïve.bin",
            "purpose": "user_data",
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "content_type": "video/mp4",
            "state": FileState.PROCESSED,
            "created_at": datetime.now(UTC) - timedelta(hours=1),
            "replicas": replicas,
        }
        self.server.files.rows[file_id] = File(id=file_id, **{**known, **members})
        self.accounts["here"].held[ref] = data
        for place in places:
            if place in self.origins:
                self.origins[place].hold(f"/objects/{file_id}", data)
        return file_id

    def held(self, place: str, file_id: str) -> Any:
        """What one origin holds, to be spoilt."""
        return self.origins[place].objects[f"/objects/{file_id}"]

    def heal(self) -> None:
        """Forget what failed a moment ago."""
        self.server.find_origin._health = Health()
        self.server.find_origin._without_ranges.clear()

    def served_by_python(self, file_id: str) -> int:
        """How often the server itself sent it."""
        return self.server.python.served.count(file_id)

    def asked(self, place: str, file_id: str) -> list[Any]:
        """By what requests for its bytes one origin was asked. The server's own begin with a HEAD."""
        return [asked for asked in self.origins[place].asked if file_id in asked.raw_path and asked.method == "GET"]


@contextmanager
def running_world(origins: dict[str, Origin], **options: Any) -> Iterator[World]:
    """A deciding edge over these origins."""
    accounts: dict[str, Any] = {"here": Here(), **{name: Direct(origin.url) for name, origin in origins.items()}}
    stores = FileStores([Account(name, "openai") for name in accounts], build=lambda account: accounts[account.id])
    edge = Edge(options={"content_by_decision": True, **options})
    server = DecidingServer(edge.stubs[0].target, stores)
    edge.stubs = [server]  # type: ignore[list-item]
    plain = Edge(servers=0)
    plain.settings.api_targets.append(server.target)
    edge.start()
    plain.start_envoy()
    try:
        yield World(edge, plain, server, origins, accounts)
    finally:
        edge.stop()
        plain.stop()

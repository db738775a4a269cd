"""Find what a copy is made of, and whether the caller may copy it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mediagate.core.errors import InvalidField, PermissionDenied
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import File, Principal
from mediagate.core.placement import Required
from mediagate.files.get_file import GetFile
from mediagate.files.open_content import OpenContent
from mediagate.net.fetcher import Fetcher
from mediagate.providers.base import Content
from mediagate.providers.files import CopiesObjects
from mediagate.routing.sources import FileSource, ObjectSource, SourceRules, UrlSource, VideoSource, parse_source
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileRepository


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that can be read once. `uris` are where they lie, for stores that can copy from there by themselves;
    `sha256` is empty where it is not known before. `required` is what places of a copy must be like, by label."""

    read: Callable[[], AsyncIterator[bytes]]
    size_bytes: int | None
    filename: str
    content_type: str | None
    sha256: str = ""
    uris: tuple[str, ...] = ()
    required: Required = field(default_factory=dict)

    def uri_for(self, provider: CopiesObjects) -> str | None:
        """Where `provider` may copy from."""
        return next((uri for uri in self.uris if provider.copies(uri)), None)


OpenVideo = Callable[[Principal, str], Awaitable[Source]]
"""Opens a finished video of the caller's by its id."""


@dataclass(frozen=True, slots=True)
class FindSource:
    """Opens sources."""

    stores: FileStores
    get_file: GetFile
    open_content: OpenContent
    fetcher: Fetcher
    rules: SourceRules
    videos: OpenVideo
    db: Database

    @asynccontextmanager
    async def open(self, who: Principal, text: str, *, allowed: bool = False) -> AsyncIterator[Source]:
        """Open what `text` names; what it holds open ends with the context. `allowed` skips the allow-list, for what
        was checked before.

        Raises `InvalidField` for what is no source or does not exist, `PermissionDenied` outside the allow-list,
        `NotFound` for an id that is no file or video of the caller's.
        """
        parsed = parse_source(text)
        if not allowed:
            self.rules.require(parsed)
        match parsed:
            case FileSource(file_id):
                yield await self._file(who, file_id)
            case VideoSource(video_id):
                yield await self.videos(who, video_id)
            case ObjectSource():
                if who.end_user is not None:
                    raise PermissionDenied(
                        "What lies in a bucket is the owner's alone: leave out the end user for whom you call, and "
                        "name the one that the copy is for as 'user'.",
                        param="source",
                        code="owner_only",
                    )
                yield await self._object(parsed)
            case UrlSource(url):
                async with self.fetcher.open(url, param="source") as fetched:
                    yield Source(fetched.read, fetched.size_bytes, fetched.filename, None)

    async def _file(self, who: Principal, file_id: str) -> Source:
        file = await self.get_file.run(who, file_id)
        content = await self.open_content.of(file)
        return Source(
            lambda: content.read(0, content.size_bytes),
            file.size_bytes,
            file.filename,
            file.content_type,
            file.sha256,
            ready_uris(file),
            await self._required(file_id),
        )

    async def _required(self, file_id: str) -> Required:
        async with self.db.reading() as connection:
            return await FileRepository(connection).required(file_id)

    async def _object(self, source: ObjectSource) -> Source:
        provider = self.stores.account(self._account(source))
        try:
            content: Content = await provider.open(source.uri)
        except FileNotFoundError:
            raise InvalidField(
                "The source does not exist, or the gateway may not read it.", param="source", code="source_not_found"
            ) from None
        return Source(
            lambda: content.read(0, content.size_bytes),
            content.size_bytes,
            PurePosixPath(source.key).name,
            content.content_type,
            uris=(source.uri,),
        )

    def _account(self, source: ObjectSource) -> str:
        """The account that reads the source: the one with its bucket, else the provider's first."""
        mine = [account for account in self.stores.accounts.values() if account.provider == source.provider]
        exact = next((account.id for account in mine if account.bucket_name == source.bucket), None)
        found = exact or (mine[0].id if mine else None)
        if found is None:
            raise InvalidField(
                f"This gateway has no account of '{source.provider}' to read the source with.",
                param="source",
                code="unknown_provider",
            )
        return found


def ready_uris(file: File) -> tuple[str, ...]:
    """Where the copies of a file lie, as stores name them."""
    ready = (replica for replica in file.replicas if replica.state is ReplicaState.READY)
    return tuple(replica.ref for replica in ready if replica.ref is not None and "://" in replica.ref)

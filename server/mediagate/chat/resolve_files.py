"""Tell a provider what a request mentions: the provider's own names of copies, links, or the bytes themselves.

files = await resolve.load(who, mentions(body, dialect))
for plan in resolve.plans(who, files, readers):
    async with resolve.uses(plan) as uses:
        ...  # the request is made and sent here; where its files are stale: `await resolve.lost(plan)`, and again
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from mediagate.chat.choose_ways import BY_COPY, Choice, ChooseWays, Plan, too_much
from mediagate.chat.inline_room import InlineRoom
from mediagate.chat.load_files import LoadFiles, require_kind, settled_type
from mediagate.chat.mentioned import Mentioned, Reader
from mediagate.core.chat import FileUse, MediaKind, Mention, Uses, Way
from mediagate.core.errors import (
    InvalidField,
    InvalidRequest,
    MediagateError,
    NotFound,
    PayloadTooLarge,
    Unavailable,
    Unsupported,
)
from mediagate.core.media_kinds import is_among, kind_of
from mediagate.core.objects import File, Principal
from mediagate.files.link_file import LinkFile
from mediagate.files.open_content import OpenContent
from mediagate.files.place_copy import PlaceCopy
from mediagate.net.errors import TransferBroken, not_reachable
from mediagate.net.fetcher import Fetcher
from mediagate.providers.files import NamesUris
from mediagate.routing.stores import FileStores

log = structlog.get_logger(__name__)
_HEAD_BYTES = 8192
# Callers' links that one request has fetched at the same time.
_FETCHES = 4
# Base64 of every three bytes is text of its own.
_STEP_BYTES = 3 << 18


@dataclass(frozen=True, slots=True)
class ResolveFiles:
    """The three steps that a request with files takes before it is sent."""

    load_files: LoadFiles
    choose_ways: ChooseWays
    place_copy: PlaceCopy
    link_file: LinkFile
    open_content: OpenContent
    fetcher: Fetcher
    stores: FileStores
    room: InlineRoom
    wait_s: float
    fetch_s: float
    inline_bytes_max: int

    def patient(self, wait_s: float) -> ResolveFiles:
        """The same for somebody who has more time than a request."""
        return replace(self, wait_s=wait_s, load_files=replace(self.load_files, wait_s=wait_s))

    async def load(self, who: Principal, mentions: Sequence[Mention]) -> tuple[Mentioned, ...]:
        """What is mentioned, checked; see `LoadFiles.run`."""
        return await self.load_files.run(who, mentions) if mentions else ()

    def plans(self, who: Principal, files: Sequence[Mentioned], readers: Iterable[Reader]) -> list[Plan]:
        """Who can be asked and how, those that hold everything first; see `ChooseWays.run`."""
        return self.choose_ways.run(who, files, readers)

    @asynccontextmanager
    async def uses(self, plan: Plan) -> AsyncIterator[Uses]:
        """What to tell the provider, copied there first where it has to be. What is sent inside the request holds room
        in memory until the context ends; end it when the request is out.

        Raises with the mention's `param`: `StateConflict` where copying takes too long, `NotFound` for what was deleted
        meanwhile, `InvalidField` for what the provider or the fetcher refuses, and what stores and the provider raise.
        """
        inline_bytes = self._inline_bytes(plan)
        await self.room.enter(inline_bytes)
        try:
            making = _Making(plan, self.choose_ways.inline_limit(plan.reader.spec))
            tasks = [asyncio.ensure_future(self._use(one, choices, making)) for one, choices in plan.choices]
            try:
                done = await asyncio.gather(*tasks)
            except BaseException:
                for task in (*tasks, *making.known.values()):
                    task.cancel()
                await asyncio.gather(*tasks, *making.known.values(), return_exceptions=True)
                raise
            yield {one.mention.path: use for (one, _), use in zip(plan.choices, done, strict=True)}
        finally:
            self.room.leave(inline_bytes)

    def _inline_bytes(self, plan: Plan) -> int:
        """What will be read into memory, all at once, so that no two requests wait for each other half-way."""
        sizes: dict[object, int] = {}
        for number, (one, choices) in enumerate(plan.choices):
            if choices[0].way is Way.DATA and one.mention.data is None:
                sizes[number if one.file is None else one.file.id] = one.size_bytes or self.inline_bytes_max
        return min(sum(sizes.values()), self.choose_ways.inline_limit(plan.reader.spec))

    async def lost(self, plan: Plan) -> bool:
        """Ask the provider, which did not find a file, for every copy that the plan counts on. True where one is gone:
        `uses` makes it anew."""
        account = plan.reader.deployment.account
        asked = (self.place_copy.lost(file_id, account, ref) for file_id, ref in sorted(plan.told.items()))
        return any(await asyncio.gather(*asked))

    async def _use(
        self,
        one: Mentioned,
        choices: tuple[Choice, ...],
        making: _Making,
    ) -> tuple[MediaKind, FileUse]:
        if one.file is None:
            return await self._given(one, choices[0], making)
        for number, choice in enumerate(choices, 1):
            # Mentioned twice, it is told twice and read once.
            key = (one.file.id, choice.way)
            if key not in making.known:
                making.known[key] = asyncio.ensure_future(self._told(one, one.file, choice.way, making.plan))
            try:
                if choice.way is Way.DATA:
                    making.hold(one.file.size_bytes, one.mention)
                return one.kind, await asyncio.shield(making.known[key])
            except MediagateError as error:
                if number == len(choices) or isinstance(error, InvalidRequest | NotFound):
                    error.param = one.mention.param
                    raise
                log.warning("file_told_otherwise", file_id=one.file.id, way=choice.way, code=error.code)
        raise AssertionError("a plan has a way for every mention")

    async def _told(self, one: Mentioned, file: File, way: Way, plan: Plan) -> FileUse:
        if way in BY_COPY:
            account = plan.reader.deployment.account
            held = next((copy for copy in file.replicas if copy.account == account), None)
            if held is None or not self.place_copy.usable(held) or file.id in plan.told:
                # Missing when the file was looked at, or gone since it was told.
                held = await self.place_copy.run(file.id, account, wait_s=self.wait_s)
            value = plan.told[file.id] = held.ref or ""
            provider = self.stores.account(account)
            if way is Way.URI and isinstance(provider, NamesUris):
                value = provider.uri_of(value)
        elif way is Way.LINK:
            value = await self.link_file.run(file)
        else:
            value = await self._encoded(file)
        return FileUse(way, value, one.media_type, file.filename, file.size_bytes, one.mention.file_id)

    async def _encoded(self, file: File) -> str:
        """The bytes in base64."""
        try:
            content = await self.open_content.of(file)
        except Unsupported:
            raise InvalidField(
                f"No copy of file {file.id} can be read back from where it lies. Upload it to a store as well, such as "
                "'local', to use it elsewhere.",
                code="no_readable_copy",
            ) from None
        encoder = _Encoder()
        try:
            async for chunk in content.read(0, content.size_bytes):
                encoder.add(chunk)
        except OSError:
            raise Unavailable("The file's content cannot be read at the moment. Try again later.") from None
        return encoder.end()

    async def _given(self, one: Mentioned, choice: Choice, making: _Making) -> tuple[MediaKind, FileUse]:
        mention = one.mention
        if mention.data is not None:
            making.hold(one.size_bytes or 0, mention)
            return one.kind, FileUse(Way.DATA, mention.data, one.media_type, mention.filename, one.size_bytes)
        link = mention.link or ""
        if choice.way is Way.LINK:
            return one.kind, FileUse(Way.LINK, link, one.media_type, mention.filename)
        async with making.fetching:
            return await self._fetched(one, link, making)

    async def _fetched(self, one: Mentioned, link: str, making: _Making) -> tuple[MediaKind, FileUse]:
        """What a caller's link leads to, for a provider that does not follow it."""
        mention, encoder, head, size_bytes = one.mention, _Encoder(), b"", 0
        try:
            async with self.fetcher.open(
                link, param=mention.param, bytes_max=self.inline_bytes_max, whole_s=self.fetch_s
            ) as found:
                async for chunk in found.read():
                    head = head if len(head) >= _HEAD_BYTES else head + chunk[:_HEAD_BYTES]
                    size_bytes += len(chunk)
                    making.hold(len(chunk), mention)
                    encoder.add(chunk)
                filename = mention.filename or found.filename
        except TransferBroken:
            raise not_reachable(mention.param, "its content broke off") from None
        except PayloadTooLarge as error:
            raise InvalidField(error.message, param=mention.param, code=error.code) from None
        media_type = settled_type(head, mention, filename)
        kind = kind_of(media_type)
        require_kind(mention, kind, f"what the URL leads to is {media_type}")
        _require_taken(making.plan, kind, media_type, size_bytes, mention)
        return kind, FileUse(Way.DATA, encoder.end(), media_type, filename, size_bytes)


def _require_taken(plan: Plan, kind: MediaKind, media_type: str, size_bytes: int, mention: Mention) -> None:
    """Raises `InvalidField` where the provider does not take inline what was fetched for it."""
    spec, model = plan.reader.spec, plan.reader.deployment.provider_model
    inline = [taken for taken in spec.ways(kind, plan.reader.dialect, model) if taken.way is Way.DATA]
    fitting = [taken for taken in inline if is_among(media_type, taken.media_types)]
    if not fitting:
        raise InvalidField(
            f"What the URL leads to is {media_type}, which {spec.title} does not take.",
            param=mention.param,
            code="wrong_media_type",
        )
    if all(taken.bytes_max is not None and size_bytes > taken.bytes_max for taken in fitting):
        raise InvalidField(
            f"What the URL leads to has {size_bytes} bytes, more than {spec.title} takes inline. Make a file of it "
            "with POST /v1/files and its 'source', and name the file's id here.",
            param=mention.param,
            code="file_too_large",
        )


class _Making:
    """The uses of one request while they are made: what is under way for whom, and how much is held."""

    def __init__(self, plan: Plan, limit_bytes: int) -> None:
        self.plan = plan
        self.known: dict[tuple[str, Way], asyncio.Task[FileUse]] = {}
        self.fetching = asyncio.Semaphore(_FETCHES)
        self._left_bytes = self._limit_bytes = limit_bytes

    def hold(self, size_bytes: int, mention: Mention) -> None:
        """Count what goes into the request. Raises `InvalidField` where it is too much."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise too_much(self.plan.reader.spec.title, self._limit_bytes, mention.param)


class _Encoder:
    """Base64 piece by piece, so that the bytes and their text are not held side by side."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._texts: list[str] = []

    def add(self, chunk: bytes) -> None:
        self._rest += chunk
        whole = len(self._rest) // _STEP_BYTES * _STEP_BYTES
        if whole:
            self._texts.append(base64.b64encode(self._rest[:whole]).decode())
            del self._rest[:whole]

    def end(self) -> str:
        self._texts.append(base64.b64encode(self._rest).decode())
        text = "".join(self._texts)
        self._texts.clear()
        return text

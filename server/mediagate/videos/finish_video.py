"""What a provider says is finished, proven to be a whole video before anybody is told so, and kept where it has to be.

The bytes are read once, into a file without a name, and looked into by a process of their own. A link that is dead, a
connection that breaks, a store that is away are no verdicts: the tracker comes back. Bytes that are all there and are
no video are one, at the second reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError
from mediagate.core.objects import File, Video
from mediagate.core.pace import transfer_s_max
from mediagate.files.digest import Digest
from mediagate.files.open_content import OpenContent
from mediagate.files.spool import Spool
from mediagate.media.containers import BadVideo
from mediagate.media.tools import NotLookedInto, VideoTools
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    FateUnknown,
    JobStatus,
    VideoOutput,
    VideoProvider,
    VideoVariant,
)
from mediagate.providers.files import ForgetsLinks, ServesDirectly
from mediagate.providers.inline_video import InlineVideo
from mediagate.routing.stores import LOCAL
from mediagate.videos.archive import Archive
from mediagate.videos.guard_output import GuardsOutputs, NoOutputGuard

log = structlog.get_logger(__name__)
READINGS: Final = 2
AT_ONCE: Final = 8
SILENCE_S: Final = 60.0
OUTPUT_BYTES_MAX: Final = 8 << 30
# A provider may have to read all of an output to tell its length. What falls silent meanwhile is its adapter's to end.
OPEN_S_MAX: Final = transfer_s_max(OUTPUT_BYTES_MAX)
NO_OUTPUT: Final = Failure(
    FailureStage.OUTPUT, "invalid_output", "The provider finished without a video that can be read.", retryable=True
)


@dataclass(frozen=True, slots=True)
class Finished:
    """A video that is whole. `video` is its row as it is written by now; `expires_at` is when its bytes go."""

    video: Video
    output: VideoOutput
    expires_at: datetime | None


class Finishes(Protocol):
    """What a tracker wants of `FinishVideo`."""

    async def run(self, video: Video, provider: VideoProvider, status: JobStatus) -> Finished | Failure:
        """See `FinishVideo.run`."""
        ...


class BrokeOff(Exception):
    """Fewer bytes came than were announced."""

    def __init__(self, read_bytes: int) -> None:
        super().__init__(f"broke off after {read_bytes} bytes")
        self.read_bytes = read_bytes


@dataclass(frozen=True, slots=True)
class FinishVideo:
    """Reads, proves and keeps one output; `AT_ONCE` at the same time in this process."""

    open_file: OpenContent
    archive: Archive
    tools: VideoTools
    clock: Clock
    spool_dir: Path
    guard: GuardsOutputs = field(default_factory=NoOutputGuard)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self, video: Video, provider: VideoProvider, status: JobStatus) -> Finished | Failure:
        """`video` has the phase `archiving`, and may have been here before. Raises `FateUnknown` where nothing is
        learnt about the output, and where somebody else changed the video meanwhile."""
        async with self._slots:
            failure, broke_at = NO_OUTPUT, -1
            kept = await self.archive.kept(video)
            for _ in range(READINGS):
                with _spooled(self.spool_dir) as spool:
                    try:
                        return await self._proven(video, provider, status, kept, spool)
                    except FileNotFoundError:
                        pass
                    except BadVideo as error:
                        log.warning("output_invalid", video_id=video.id, provider=provider.spec.name, why=str(error))
                        failure = _invalid(str(error))
                    except BrokeOff as error:
                        log.warning("output_broke_off", video_id=video.id, at_bytes=error.read_bytes)
                        if error.read_bytes and error.read_bytes == broke_at:
                            # Twice at the same byte: that is where the output ends, and no accident of a connection.
                            return _invalid("The provider's video ends before its announced length.")
                        broke_at = error.read_bytes
                # Whatever was read, the next reading is of the provider's own, by a fresh link.
                kept = None
                if isinstance(provider, ForgetsLinks) and video.provider_ref is not None:
                    provider.forget(video.provider_ref)
            if broke_at >= 0:
                raise FateUnknown("the output could not be read to its end")
            return failure

    async def _proven(
        self, video: Video, provider: VideoProvider, status: JobStatus, kept: File | None, spool: Spool
    ) -> Finished | Failure:
        """Raises `FileNotFoundError`, `BrokeOff`, `BadVideo`, `FateUnknown`."""
        try:
            async with asyncio.timeout(OPEN_S_MAX):
                content = await self._open(video, provider, kept)
            output = await self._read(content, spool)
        except TimeoutError as error:
            raise FateUnknown("the provider does not hand the output over") from error
        except (MediagateError, NotLookedInto) as error:
            raise FateUnknown(str(error)) from error
        refused = await self.guard.run(video, spool)
        if refused is not None:
            return refused
        life_s = provider.spec.output_life_s
        until = status.expires_at or (None if life_s is None else self.clock.now() + timedelta(seconds=life_s))
        if kept is None:
            direct = isinstance(provider, ServesDirectly) and not isinstance(content, InlineVideo)
            keeps = not direct and provider.spec.name != LOCAL
            video, kept = await self.archive.keep(video, spool, output, until, anyway=keeps)
        return Finished(video, output, until if kept is None else kept.expires_at)

    async def _open(self, video: Video, provider: VideoProvider, kept: File | None) -> Content:
        if kept is not None:
            try:
                return await self.open_file.of(kept)
            except MediagateError as error:
                if error.retryable:
                    raise
                raise FileNotFoundError(kept.id) from error
        if video.provider_ref is None:
            raise FileNotFoundError(video.id)
        return await provider.open(video.provider_ref, VideoVariant.VIDEO)

    async def _read(self, content: Content, spool: Spool) -> VideoOutput:
        digest = Digest()
        async with aclosing(pieces(content)) as chunks:
            async for chunk in chunks:
                await digest.update(chunk)
                await spool.write(chunk)
        found = await self.tools.measure(spool.fileno())
        return VideoOutput(
            duration_s=found.duration_s,
            width=found.width,
            height=found.height,
            size_bytes=spool.size_bytes,
            has_audio=found.has_audio,
            sha256=await digest.hexdigest(),
            content_type=found.content_type,
        )


async def pieces(
    content: Content, *, longest_s: Callable[[int], float] = transfer_s_max
) -> AsyncGenerator[bytes, None]:
    """All bytes of a video, just as many as were announced. Raises `BrokeOff`, `BadVideo` for a length that no video
    has, `FileNotFoundError`, and `TimeoutError` where they stop coming, or take longer than `longest_s` of their
    number."""
    size = content.size_bytes
    if not 0 < size <= OUTPUT_BYTES_MAX:
        raise BadVideo("The provider's output is empty." if size <= 0 else "The provider's output is too large.")
    read = 0
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + longest_s(size)
    chunks = content.read(0, size)
    try:
        while (chunk := await _next(chunks, read, min(loop.time() + SILENCE_S, ends_at))) is not None:
            read += len(chunk)
            yield chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    if read != size:
        raise BrokeOff(read)


async def _next(chunks: AsyncIterator[bytes], read: int, until: float) -> bytes | None:
    try:
        async with asyncio.timeout_at(until):
            return await anext(chunks, None)
    except (FileNotFoundError, TimeoutError):
        raise
    except OSError as error:
        raise BrokeOff(read) from error


@contextmanager
def _spooled(folder: Path) -> Iterator[Spool]:
    spool = Spool(folder)
    try:
        yield spool
    finally:
        spool.close()


def _invalid(message: str) -> Failure:
    return Failure(FailureStage.OUTPUT, "invalid_output", message, retryable=True, charged=True)

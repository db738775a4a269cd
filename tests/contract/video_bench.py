"""What a video provider's tests give to `video_suite`: the provider, and a way to say what its double answers next.

    class FalBench(VideoBench):
        says = ALL_SAID - {Said.CANCELLED}
        words = {"IN_QUEUE": JobState.QUEUED, ...}
        def __init__(self, double, provider): ...
        async def advance(self, ref, said, **details): ...

A bench subclasses `VideoBench`: its attributes have defaults, its methods raise until they are given.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, ClassVar, TypedDict, Unpack

from mediagate.providers.base import JobState, MediaInput, VideoKind, VideoModel, VideoProvider, VideoRequest

PIECE_BYTES = 1 << 16
# What an account has to allow so that outputs may lie on another host of this machine, over TLS.
ELSEWHERE = "127.0.0.1:*"
# Deep enough to reach from an encoder to the code of ours that called it.
FRAMES = 8
VIDEO = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + os.urandom(300_007)


class Said(StrEnum):
    """What the provider says of a job, whatever its words are."""

    QUEUED = "queued"
    RENDERING = "rendering"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The provider says failed, with a reason."""
    MODERATED = "moderated"
    """Refused for its content, in the provider's own way."""
    CANCELLED = "cancelled"
    WITH_ERROR = "with_error"
    """The word for a good end, together with an error."""
    NO_VIDEO = "no_video"
    """The word for a good end, without a video and without a reason."""
    GONE = "gone"
    """It had succeeded, and the provider has removed the output."""
    WORD = "word"
    """The state is `word`, and else the job looks as it does when it is done."""


ALL_SAID = frozenset(Said)


class Details(TypedDict, total=False):
    """More that the next answers say. A double leaves out what its provider cannot express."""

    word: str
    progress_percent: float
    position: int
    poll_after_s: float
    video: bytes
    reason: str
    cost_usd: float


class VideoBench:
    """One account at a double. Everything here is about this one; a new bench has no jobs.

    `says` are the states that the provider can express, `words` its documented words, each with what it means when
    nothing else is said. `secret` is the credential, which no other host may see. `extra` are members of a caller's
    body, of which one should be nested in what the adapter sets, and one should be in the place of what it sets; empty
    where nothing is sent anywhere. `cost_usd` is what a succeeded job costs where the provider reports that.
    `cancels_at` is the latest state in which a cancel stops the job. `streams_inputs`: the wire lets an input pass
    without being held. `reads_inputs` is False where an input is a name in the provider's own store. `forgets`: a
    deleted job's output cannot be read any more. `pictures`: the provider makes thumbnails. `far_content`: the content
    is behind HTTP links that can lead to another host.
    """

    provider: VideoProvider
    model: str
    secret: str = "test-key"
    absent_ref: str = "absent"
    says: ClassVar[frozenset[Said]] = ALL_SAID
    words: ClassVar[Mapping[str, JobState]] = {}
    extra: ClassVar[Mapping[str, Any]] = {}
    cost_usd: ClassVar[float] = 0.35
    cancels_at: ClassVar[Said] = Said.RENDERING
    tells_position: ClassVar[bool] = False
    tells_when_to_poll: ClassVar[bool] = False
    streams_inputs: ClassVar[bool] = False
    reads_inputs: ClassVar[bool] = True
    forgets: ClassVar[bool] = False
    pictures: ClassVar[bool] = False
    far_content: ClassVar[bool] = True

    def submits(self) -> int:
        """How many requests have come that can start a job."""
        raise NotImplementedError

    def jobs(self) -> int:
        """How many jobs there are."""
        raise NotImplementedError

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        """Set what the answers about this job say from now on. `SUCCEEDED` has `video` as its output."""
        raise NotImplementedError

    async def made(self, ref: str) -> bytes:
        """The output as the provider holds it: the `video` of `advance`, unless it makes its own."""
        raise NotImplementedError

    def sent(self, ref: str) -> Mapping[str, Any]:
        """The body that started this job, as the provider understood it, without what differs from submit to submit
        (a token). Fields of a form are texts."""
        raise NotImplementedError

    def image_of(self, ref: str) -> bytes:
        """The reference image that the provider received for this job, by whatever way."""
        raise NotImplementedError

    def source_of(self, ref: str) -> bytes:
        """The source video that the provider received for this job."""
        raise NotImplementedError

    async def cut(self, ref: str, at: int) -> None:
        """Break every transfer of this output off after `at` bytes, whatever length was announced."""
        raise NotImplementedError

    async def expire_links(self) -> None:
        """Links that were given so far answer 403 or 404; those given from now on are good."""
        raise NotImplementedError

    async def redirect_content(self, url: str) -> None:
        """Answer every request for content with 302 to `url`."""
        raise NotImplementedError


def media(data: bytes, content_type: str, *, size_bytes: int | None = None) -> MediaInput:
    """An input that can be opened any number of times."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]

    return MediaInput(content_type, len(data) if size_bytes is None else size_bytes, chunks)


@contextmanager
def weighed_media(data: bytes, content_type: str) -> Iterator[tuple[MediaInput, list[int]]]:
    """An input, and how many bytes the calls of the provider's code hold when the last piece is taken of them: one
    figure each time that the input is read to its end."""
    held: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]
        ours = [tracemalloc.Filter(True, "*/server/mediagate/*", all_frames=True)]
        held.append(sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces))

    tracemalloc.start(FRAMES)
    try:
        yield MediaInput(content_type, len(data), chunks), held
    finally:
        tracemalloc.stop()


def model_of(bench: VideoBench) -> VideoModel:
    """What the spec says of the bench's model."""
    found = bench.provider.spec.models.get(bench.model) or bench.provider.spec.any_model
    assert found is not None
    return found


def request_for(bench: VideoBench, token: str = "video_0001", **fields: Any) -> VideoRequest:
    """A request for the model's default video."""
    model = model_of(bench)
    width, height = (int(side) for side in (model.default_size or "1280x720").split("x"))
    values = {
        "kind": VideoKind.CREATE,
        "prompt": "a paper boat in the rain",
        "seconds": model.default_seconds,
        "width": width,
        "height": height,
    }
    return VideoRequest(token=token, model=bench.model, **{**values, **fields})

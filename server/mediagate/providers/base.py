"""What a provider's content is, and what a video provider is: small required protocols, and what each can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Content(Protocol):
    """Readable bytes of known length: a stored file, a finished video, a thumbnail."""

    @property
    def size_bytes(self) -> int:
        """Length of the whole content in bytes."""
        ...

    @property
    def content_type(self) -> str:
        """Media type."""
        ...

    @property
    def etag(self) -> str:
        """Strong entity tag with its quotes, or an empty text where the content has none of its own."""
        ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`. Raises `OSError` where they cannot be read."""
        ...


class VideoKind(StrEnum):
    """How a video came to be asked for."""

    CREATE = "create"
    REMIX = "remix"
    EDIT = "edit"
    EXTEND = "extend"


class VideoVariant(StrEnum):
    """What of a finished video is read."""

    VIDEO = "video"
    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"


class JobState(StrEnum):
    """A provider's own words, mapped to these by a table in its folder."""

    QUEUED = "queued"
    RENDERING = "rendering"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureStage(StrEnum):
    """Where a video failed."""

    INPUT = "input"
    OUTPUT = "output"
    PROVIDER = "provider"
    GATEWAY = "gateway"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a video failed. `message` is safe to show to an end user."""

    stage: FailureStage
    code: str
    message: str
    retryable: bool
    charged: bool = False
    field: str | None = None


@dataclass(frozen=True, slots=True)
class MediaInput:
    """Bytes that go into a video: a reference image or a source video. `open` may be called again after a failure."""

    content_type: str
    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One video to make. `token` is the same for every attempt at the same video: a provider that can, uses it so that
    two submits make one job."""

    token: str
    kind: VideoKind
    model: str
    prompt: str
    seconds: int
    width: int
    height: int
    image: MediaInput | None = None
    source_video: MediaInput | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VideoOutput:
    """A finished video, measured in the file itself."""

    duration_s: float
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One answer to one poll."""

    state: JobState
    progress_percent: float | None = None
    position: int | None = None
    poll_after_s: float | None = None
    failure: Failure | None = None
    output: VideoOutput | None = None


class SubmitRefused(Exception):
    """The provider surely did not take the job."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class FateUnknown(Exception):
    """The provider did not answer, or its answer says nothing about the job. Never a verdict."""


@dataclass(frozen=True, slots=True)
class VideoModel:
    """What one model can make, and what a second of it costs."""

    name: str
    sizes: tuple[str, ...]
    seconds: tuple[int, ...]
    default_size: str
    default_seconds: int
    prompt_chars_max: int
    inputs: tuple[str, ...]
    usd_per_second: float
    kinds: tuple[VideoKind, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """What a video provider is, for the support matrix, validation and tracking."""

    name: str
    models: Mapping[str, VideoModel]
    idempotent_submit: bool
    reports_progress: bool
    poll_interval_s: float
    deadline_s: float


class VideoProvider(Protocol):
    """A place that makes videos. `ref` is the provider's own id of a job."""

    spec: VideoSpec

    async def submit(self, request: VideoRequest) -> str:
        """Start the job and return its `ref`. Raises `SubmitRefused` where it surely did not start, `FateUnknown`
        where that cannot be known."""
        ...

    async def poll(self, ref: str) -> JobStatus:
        """Ask once. Raises `FateUnknown` where the answer says nothing about the job."""
        ...

    async def cancel(self, ref: str) -> bool:
        """Ask the provider to stop; True where it did stop before the end. Raises `FateUnknown`."""
        ...

    async def delete(self, ref: str) -> None:
        """Remove the job and its outputs; what is absent is already deleted."""
        ...

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """Raises `FileNotFoundError` where the output is gone."""
        ...

"""What a provider's content is, and what a video provider is: small required protocols, and what each can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable


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
    """Bytes that go into a video: a reference image or a source video. `open` may be called again after a failure.
    `uris` are the stores' own names of the same bytes, such as `gs://bucket/name`, for a provider that reads them."""

    content_type: str
    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One video to make. `token` is the same for every attempt at the same video: a provider that can, uses it so that
    two submits make one job.

    `seconds` of an extension are those to add. `source_video` has the bytes that a remix, an edit or an extension
    starts from; `source_ref` is the provider's own job that made them, where this account did. `characters` are
    the provider's own ids of those that shall be seen. `audio` is None where the caller does not say. `extra` holds the
    members of the caller's body that are not mediagate's: they go into the provider's body as they are, over what the
    provider's adapter sets.
    """

    token: str
    kind: VideoKind
    model: str
    prompt: str
    seconds: int
    width: int
    height: int
    image: MediaInput | None = None
    source_video: MediaInput | None = None
    source_ref: str | None = None
    characters: tuple[str, ...] = ()
    audio: bool | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class VideoOutput:
    """A finished video, measured in the file itself. `sha256` is lower-case hexadecimal, empty where nobody read all
    bytes."""

    duration_s: float
    width: int
    height: int
    size_bytes: int
    has_audio: bool = False
    sha256: str = ""
    content_type: str = "video/mp4"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One answer to one poll. `poll_after_s` is the provider's own hint. `cost_usd` is what the provider says that the
    job costs; None where it does not say. `expires_at` is when its output goes, where the provider says."""

    state: JobState
    progress_percent: float | None = None
    position: int | None = None
    poll_after_s: float | None = None
    failure: Failure | None = None
    cost_usd: float | None = None
    expires_at: datetime | None = None
    output: VideoOutput | None = None


class SubmitRefused(Exception):
    """The provider surely did not take the job."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ProviderBusy(Exception):
    """The provider surely did not take the job, and may take it later: its rate or parallel limit is reached, or nobody
    could connect to it. `retry_after_s` is the provider's own hint."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InputBusy(ProviderBusy):
    """The same where the provider is not at fault: an input of ours could not be read to its end."""


class FateUnknown(Exception):
    """The provider did not answer, or its answer says nothing about the job. Never a verdict."""


class Audio(StrEnum):
    """Whether a model's videos have sound."""

    NEVER = "never"
    ALWAYS = "always"
    OPTIONAL = "optional"
    """As the request says; with sound where it does not."""


@dataclass(frozen=True, slots=True)
class VideoModel:
    """What one model can make. Empty `sizes` or `seconds`: any, since the provider does not say. `sizes` are
    `WIDTHxHEIGHT`, so that they stand for aspect ratio and resolution at once; `sizes_by_input` has those from one of
    the `inputs`, where they are fewer. `extend_seconds` are the lengths that an
    extension can add, where they are not `seconds`. A new video may have `characters_max` characters."""

    name: str
    sizes: tuple[str, ...]
    seconds: tuple[int, ...]
    default_size: str
    default_seconds: int
    prompt_chars_max: int
    inputs: tuple[str, ...]
    kinds: tuple[VideoKind, ...]
    audio: Audio = Audio.NEVER
    extend_seconds: tuple[int, ...] = ()
    sizes_by_input: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    characters_max: int = 0
    description: str = ""


# In any spelling: a provider that leads on to others passes their words on.
PRICED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("duration", "duration_seconds", "seconds", "num_seconds", "length", "video_length"), "seconds"),
    **dict.fromkeys(("num_frames", "frames", "fps", "frame_rate", "frames_per_second"), "seconds"),
    **dict.fromkeys(("size", "resolution", "ratio", "width", "height", "video_size", "image_size"), "size"),
    **dict.fromkeys(("audio", "generate_audio", "enable_audio", "with_audio"), "generate_audio"),
    **dict.fromkeys(("sound", "generate_sound", "enable_sound"), "generate_audio"),
}


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """What a video provider is, for the support matrix, validation and tracking.

    `models` are those with known limits. `any_model` stands for every other name, for providers that serve models which
    nobody can list here; None where only `models` exist. `shut_down` names models that are gone, with the day.
    `idempotent_submit`: two submits with one token make one job, so a submit without an answer may be repeated.
    `parallel_max`: jobs that one account may have at the same time, where the provider says. `output_life_s`: how long
    a finished video stays at the provider. `cancels`: a running job can be stopped there. `reserved` are members of a
    body, at any depth and in any spelling, that no caller may set: where outputs go, which stored objects of the
    account are read; `reserved_schemes` is how texts begin that name such an object. `priced` are members that change
    what a video costs, with the field of ours that says the same.
    """

    name: str
    title: str
    source: str
    models: Mapping[str, VideoModel]
    any_model: VideoModel | None = None
    shut_down: Mapping[str, str] = field(default_factory=dict)
    idempotent_submit: bool = False
    reports_progress: bool = False
    reports_cost: bool = False
    cancels: bool = False
    calls_back: bool = False
    reserved: frozenset[str] = frozenset()
    reserved_schemes: tuple[str, ...] = ()
    priced: Mapping[str, str] = field(default_factory=lambda: PRICED)
    parallel_max: int | None = None
    output_life_s: int | None = None
    poll_interval_s: float = 10.0
    deadline_s: float = 3600.0


@runtime_checkable
class CharacterMaker(Protocol):
    """A `VideoProvider` that keeps characters."""

    async def make_character(self, name: str, video: MediaInput) -> str:
        """Keep a character from a video; returns the provider's own id of it. Raises as `VideoProvider.submit` does."""
        ...


class VideoProvider(Protocol):
    """A place that makes videos. `ref` is the provider's own id of a job."""

    spec: VideoSpec

    async def submit(self, request: VideoRequest) -> str:
        """Start the job and return its `ref`. Raises `SubmitRefused` where it surely did not start, `ProviderBusy`
        where it did not and may later, `FateUnknown` where that cannot be known."""
        ...

    async def poll(self, ref: str) -> JobStatus:
        """Ask once. Raises `FateUnknown` where the answer says nothing about the job."""
        ...

    async def cancel(self, ref: str) -> bool:
        """Ask the provider to stop; True where it did stop before the end, False where the job goes on or has ended.
        Raises `FateUnknown`."""
        ...

    async def delete(self, ref: str) -> None:
        """Remove the job and its outputs; what is absent is already deleted. A provider that cannot remove them leaves
        them to their own expiry."""
        ...

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The finished video. A link that has expired is asked for again. Raises `FileNotFoundError` where the output
        is gone, and for pictures of the video where the provider makes none."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...

"""What calls answer: objects in OpenAI's shape, read by attribute or by item."""

from __future__ import annotations

import builtins
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

Json = dict[str, Any]
Kind = builtins.type["Record"]
# Whole numbers that are doubles in the protos.
WHOLE = frozenset({"bytes", "copied_bytes", "created_at", "completed_at", "expires_at"})


def normal(value: Any, name: str = "") -> Any:
    """The same answer for both transports: whole numbers as `int`."""
    if isinstance(value, dict):
        return {key: normal(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [normal(member) for member in value]
    if isinstance(value, float) and name in WHOLE and value.is_integer():
        return int(value)
    return value


class Record:
    """An answer. `record.name` and `record["name"]` read a member; one that is known and absent is None by attribute,
    and `KeyError` by item. Members that this version does not know are there too."""

    _nested: ClassVar[Mapping[str, Kind]] = {}
    _names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = (name for name in inspect.get_annotations(cls) if not name.startswith("_"))
        cls._names = cls._names | frozenset(own)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.__dict__["_data"] = dict(data)

    def _wrapped(self, name: str) -> Any:
        value, kind = self._data[name], self._nested.get(name, Record)
        if isinstance(value, dict):
            return kind(value)
        if isinstance(value, list):
            return [kind(member) if isinstance(member, dict) else member for member in value]
        return value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._data:
            return self._wrapped(name)
        if name in self._names:
            return None
        raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(self._data)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("An answer is read-only; `to_dict()` is a copy.")

    def __getitem__(self, name: str) -> Any:
        if name not in self._data:
            raise KeyError(name)
        return self._wrapped(name)

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data!r})"

    def __copy__(self) -> Self:
        return type(self)(self._data)

    def __reduce__(self) -> tuple[type[Self], tuple[Json]]:
        return type(self), (self._data,)

    def keys(self) -> list[str]:
        """The names of its members."""
        return list(self._data)

    def get(self, name: str, default: Any = None) -> Any:
        """A member, or `default`."""
        return self._wrapped(name) if name in self._data else default

    def to_dict(self) -> Json:
        """A copy as plain dicts and lists."""
        copied: Json = json.loads(self.to_json())
        return copied

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self._data, sort_keys=True)

    def model_dump(self) -> Json:
        """The name that OpenAI's types have for `to_dict`."""
        return self.to_dict()

    def json(self) -> str:
        """The name that OpenAI's types have for `to_json`."""
        return self.to_json()


class Replica(Record):
    """One copy of a file: where it lies and how it stands."""

    provider: str
    account: str
    state: str
    reference: str | None
    expires_at: int | None


class FileDetails(Record):
    """What the gateway knows of a file beyond OpenAI's object. `sha256` is empty where a store copied by itself."""

    sha256: str
    content_type: str
    source: str | None
    copied_bytes: int | None
    user: str | None


class File(Record):
    """A file in OpenAI's shape. Times are Unix seconds."""

    id: str
    object: str
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: str
    status_details: str | None
    mediagate: FileDetails
    replicas: list[Replica]
    _nested: ClassVar[Mapping[str, Kind]] = {"mediagate": FileDetails, "replicas": Replica}


class Deleted(Record):
    """That something was deleted."""

    id: str
    object: str
    deleted: bool


class VideoError(Record):
    """OpenAI's words for a failure."""

    code: str
    message: str


class VideoFailure(Record):
    """Why a video failed: `stage` is `input`, `output`, `provider`, `gateway` or `deadline`."""

    stage: str
    code: str
    message: str
    retryable: bool
    charged: bool
    field: str | None


class VideoOutput(Record):
    """What was made, measured in the file."""

    duration_seconds: float
    width: int
    height: int
    bytes: int
    has_audio: bool


class VideoDetails(Record):
    """What the gateway knows of a video beyond OpenAI's object."""

    seq: int
    phase: str
    kind: str
    progress_source: str | None
    position: int | None
    eta: Record | None
    failure: VideoFailure | None
    output: VideoOutput | None
    cancellation: Record | None
    user: str | None
    hold: Record | None
    cost: Record | None
    _nested: ClassVar[Mapping[str, Kind]] = {"failure": VideoFailure, "output": VideoOutput}


class Video(Record):
    """A video in OpenAI's shape. `status` is `queued`, `in_progress`, `completed` or `failed`."""

    id: str
    object: str
    model: str
    status: str
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    prompt: str | None
    size: str
    seconds: str
    remixed_from_video_id: str | None
    error: VideoError | None
    usage: Record | None
    mediagate: VideoDetails
    _nested: ClassVar[Mapping[str, Kind]] = {"error": VideoError, "mediagate": VideoDetails}


class VideoEvent(Record):
    """One thing that happened to a video; `type` says which member is set. New types may come: ignore those you do not
    know."""

    seq: int
    video_id: str
    time: float
    type: str
    video: Video | None
    phase: Record | None
    progress: Record | None
    attempt: Record | None
    output: VideoOutput | None
    cost: Record | None
    cursor: str | None
    _nested: ClassVar[Mapping[str, Kind]] = {"video": Video, "output": VideoOutput}


Item = TypeVar("Item", bound=Record)


class Page(Record, Generic[Item]):
    """One page of a list. Iterating goes over `data`; `has_more` says whether `after=page.last_id` brings more."""

    object: str
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool

    def __init__(self, data: Mapping[str, Any], kind: type[Item]) -> None:
        super().__init__(data)
        self.__dict__["_nested"] = {"data": kind}
        self.__dict__["_kind"] = kind

    def __iter__(self) -> Iterator[Item]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self._data["data"])

    def __copy__(self) -> Self:
        return type(self)(self._data, self.__dict__["_kind"])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data, self.__dict__["_kind"])

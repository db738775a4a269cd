"""The things that mediagate keeps, as plain values. Nothing here knows a database, a wire format or a provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from mediagate.core.access import Scope, allows
from mediagate.core.handles import Handle, HandleKind
from mediagate.core.lifecycle import FileState, ReplicaState, UploadState, VideoPhase

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a caller may upload a file for."""


class Owned(Protocol):
    """An object that belongs to somebody: to an owner, and maybe to one of the owner's end users."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def owner_id(self) -> str:
        """Its owner."""
        ...

    @property
    def end_user(self) -> str | None:
        """Whom of the owner's it is for; None for the owner alone."""
        ...


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. Every object belongs to an owner; another owner's object does not exist for this one.

    `uses_providers` allows what no owner stands for: a provider's own files, by the provider's own ids. `is_admin`
    allows what concerns every owner. `key_id` is None for the master key and for a job of the gateway. `scopes` are
    those that the call counts for, in the order in which they are always locked: team, user, key. `placement` is what
    the request itself requires of the places of what it makes, by label.

    With an `end_user` the call acts for that one: what it makes is the end user's, and nothing else of the owner exists
    for it. Without one it sees all that the owner has. A caller with a token has a `handle` in a key's place, which may
    narrow that to one object.
    """

    owner_id: str
    uses_providers: bool = False
    is_admin: bool = False
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    scopes: tuple[Scope, ...] = ()
    end_user: str | None = None
    placement: Mapping[str, str] = field(default_factory=dict)
    handle: Handle | None = None

    @property
    def acts_as(self) -> str:
        """One text for the owner and the end user, different for any other two; a token for one upload is somebody of
        its own."""
        # No id and no end user holds a control character.
        if self.handle is not None and self.handle.kind is HandleKind.UPLOAD:
            return f"{self.owner_id}\n{self.end_user or ''}\n{self.handle.id}"
        return self.owner_id if self.end_user is None else f"{self.owner_id}\n{self.end_user}"

    @property
    def object_id(self) -> str | None:
        """The one object that there is for the caller; None where there is no such bound."""
        return None if self.handle is None else self.handle.object_id

    def sees(self, thing: Owned) -> bool:
        """Whether an object exists for the caller."""
        return (
            thing.owner_id == self.owner_id
            and self.end_user in (None, thing.end_user)
            and self.object_id in (None, thing.id)
        )

    def acting_for(self, end_user: str | None) -> Principal:
        """The same caller on behalf of one of the owner's end users, who has no right that is the owner's alone."""
        if end_user is None:
            return self
        if self.end_user not in (None, end_user):
            raise ValueError("nobody acts for two end users")
        return replace(self, end_user=end_user, uses_providers=False, is_admin=False)

    def may_use_model(self, name: str) -> bool:
        """Whether every policy has the model."""
        return all(allows(scope.policy.models, name) for scope in self.scopes)

    def may_use_provider(self, name: str) -> bool:
        """Whether every policy has the provider."""
        return all(allows(scope.policy.providers, name) for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of a file in one account. `ref` is the provider's own name for it, None before the provider gave one."""

    file_id: str
    account: str
    provider: str
    ref: str | None
    state: ReplicaState
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file. `sha256` is empty where a store copied it by itself and does not know it. `source` is what it was copied
    from, `copied_bytes` how far that is while it lasts, `failure` why it cannot be done. `required` is what its places
    must be like, by label."""

    id: str
    owner_id: str
    filename: str
    purpose: str
    size_bytes: int
    sha256: str
    content_type: str
    state: FileState
    created_at: datetime
    expires_at: datetime | None = None
    source: str | None = None
    copied_bytes: int | None = None
    failure: str | None = None
    end_user: str | None = None
    required: Mapping[str, str] | None = None
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way, in parts. `required` is what its places must be like, by label."""

    id: str
    owner_id: str
    size_bytes: int
    filename: str
    mime_type: str
    purpose: str
    state: UploadState
    created_at: datetime
    expires_at: datetime
    file_expires_after_s: int | None = None
    file_id: str | None = None
    part_ids: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    keeps_partial: bool = False
    end_user: str | None = None
    required: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class UploadPart:
    """One part of an upload."""

    id: str
    upload_id: str
    size_bytes: int
    ref: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Video:
    """A video that was asked for, from the first row to its end. `account` has its job; every later call goes there.

    Times to be over by: `start_by` for the provider's queue, `cancel_at` for the whole; `deadline_at` is the gateway's
    own. `hold` says why it waits here: `{reason, position, of}`. `estimate_usd` is held until the end, `cost_usd` is
    what it came to and `cost_source` who says so. `archive_file_id` is our own copy of the finished video.
    `required` is what its places must be like, by label; `guardrails` are those that the policies of its key and the
    request have added. `route` says who else could make it while no provider has taken it:
    `{group, retries, others: [{deployment, model}]}`.
    """

    id: str
    owner_id: str
    model: str
    deployment: str
    account: str
    provider: str
    provider_model: str
    kind: str
    phase: VideoPhase
    prompt: str
    seconds: int
    width: int
    height: int
    seq: int
    created_at: datetime
    deadline_at: datetime
    progress: int = 0
    progress_source: str | None = None
    position: int | None = None
    eta: Mapping[str, Any] | None = None
    provider_ref: str | None = None
    attempts: int = 0
    submit_started_at: datetime | None = None
    render_started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancellation: Mapping[str, Any] | None = None
    source_video_id: str | None = None
    image_file_id: str | None = None
    source_file_id: str | None = None
    failure: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    end_user: str | None = None
    audio: bool | None = None
    extra: Mapping[str, Any] | None = None
    characters: Sequence[str] | None = None
    start_by: datetime | None = None
    cancel_at: datetime | None = None
    hold: Mapping[str, Any] | None = None
    max_cost_usd: float | None = None
    estimate_usd: float | None = None
    cost_usd: float | None = None
    cost_source: str | None = None
    archive_file_id: str | None = None
    required: Mapping[str, str] | None = None
    guardrails: Sequence[str] | None = None
    route: Mapping[str, Any] | None = None

    @property
    def size(self) -> str:
        """`WIDTHxHEIGHT` in pixels."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class VideoEvent:
    """One thing that happened to a video. `payload` holds the member of the wire event that `type` names."""

    video_id: str
    seq: int
    time: datetime
    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Character:
    """A character that videos can refer to."""

    id: str
    owner_id: str
    name: str
    file_id: str
    created_at: datetime
    end_user: str | None = None


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and whether more follows it."""

    items: tuple[T, ...]
    has_more: bool

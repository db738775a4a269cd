"""Life-cycles as tables: if a pair of state and event is not in its table, it cannot happen.

A state that no row starts from is final. Callers hold the row's lock, or compare and set, so an impossible transition
is a fault of ours and never an answer to a caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum, auto
from typing import Final, TypeVar

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class ImpossibleTransition(ValueError):
    """A bug: `event` reached an object whose `state` cannot meet it."""

    def __init__(self, state: StrEnum, event: StrEnum) -> None:
        super().__init__(f"{type(state).__name__} {state!s} cannot meet {event!s}")
        self.state = state
        self.event = event


def advance(table: Mapping[tuple[State, Event], State], state: State, event: Event) -> State:
    """Return the state that follows. Raises `ImpossibleTransition` where the table has no such row."""
    try:
        return table[state, event]
    except KeyError:
        raise ImpossibleTransition(state, event) from None


class FileState(StrEnum):
    """A file, as a whole."""

    RECEIVING = auto()
    """The row is there, the bytes are on their way; nobody but the upload sees it."""
    COPYING = auto()
    """It was promised, and a job copies its bytes; its owner sees how far that is."""
    FAILED = auto()
    """The copy that was promised cannot be made; its owner sees why."""
    PROCESSED = auto()
    """Complete and readable."""
    DISCARDED = auto()
    """Final: it never became complete."""
    DELETING = auto()
    """Reads as not found; replicas are still there."""
    DELETED = auto()
    """Final: nothing of it is left in any store."""


class FileEvent(StrEnum):
    """What can happen to a file."""

    BYTES_VERIFIED = auto()
    UPLOAD_ABORTED = auto()
    LEASE_EXPIRED = auto()
    """The process that received it is gone."""
    COPY_PROMISED = auto()
    COPY_FAILED = auto()
    DELETE_REQUESTED = auto()
    EXPIRED = auto()
    REPLICAS_GONE = auto()


FILE_TRANSITIONS: Final[Mapping[tuple[FileState, FileEvent], FileState]] = {
    (FileState.RECEIVING, FileEvent.BYTES_VERIFIED): FileState.PROCESSED,
    (FileState.RECEIVING, FileEvent.UPLOAD_ABORTED): FileState.DISCARDED,
    (FileState.RECEIVING, FileEvent.LEASE_EXPIRED): FileState.DISCARDED,
    (FileState.RECEIVING, FileEvent.COPY_PROMISED): FileState.COPYING,
    (FileState.COPYING, FileEvent.BYTES_VERIFIED): FileState.PROCESSED,
    (FileState.COPYING, FileEvent.COPY_FAILED): FileState.FAILED,
    (FileState.COPYING, FileEvent.DELETE_REQUESTED): FileState.DELETING,
    (FileState.COPYING, FileEvent.EXPIRED): FileState.DELETING,
    (FileState.FAILED, FileEvent.DELETE_REQUESTED): FileState.DELETING,
    (FileState.FAILED, FileEvent.EXPIRED): FileState.DELETING,
    # What an upload that failed has left behind, and could not remove at once.
    (FileState.RECEIVING, FileEvent.DELETE_REQUESTED): FileState.DELETING,
    (FileState.PROCESSED, FileEvent.DELETE_REQUESTED): FileState.DELETING,
    (FileState.PROCESSED, FileEvent.EXPIRED): FileState.DELETING,
    (FileState.DELETING, FileEvent.REPLICAS_GONE): FileState.DELETED,
}


class ReplicaState(StrEnum):
    """One copy of a file in one store."""

    PENDING = auto()
    """To be made from another copy."""
    WRITING = auto()
    PROCESSING = auto()
    """The store has all bytes, and still works on them."""
    READY = auto()
    LOST = auto()
    """The store says that it does not have it."""
    FAILED = auto()
    """The store took the bytes and says that they are no good."""
    DELETING = auto()
    DELETED = auto()
    """Final."""


class ReplicaEvent(StrEnum):
    """What can happen to a replica."""

    ACCEPTED = auto()
    """The store has the bytes and goes on working."""
    COMMITTED = auto()
    REFUSED = auto()
    DEFERRED = auto()
    """It failed, and shall be made later from another copy."""
    WRITE_FAILED = auto()
    LEASE_EXPIRED = auto()
    """The process that wrote it is gone."""
    MISSING = auto()
    FOUND = auto()
    REPAIR_STARTED = auto()
    DELETE_REQUESTED = auto()
    GONE = auto()
    """The store confirmed that nothing is left."""


# A write that failed may have left bytes behind, so it is deleted like any other; deleting what is absent succeeds.
REPLICA_TRANSITIONS: Final[Mapping[tuple[ReplicaState, ReplicaEvent], ReplicaState]] = {
    (ReplicaState.WRITING, ReplicaEvent.ACCEPTED): ReplicaState.PROCESSING,
    (ReplicaState.WRITING, ReplicaEvent.COMMITTED): ReplicaState.READY,
    (ReplicaState.WRITING, ReplicaEvent.DEFERRED): ReplicaState.PENDING,
    (ReplicaState.WRITING, ReplicaEvent.REFUSED): ReplicaState.FAILED,
    (ReplicaState.PENDING, ReplicaEvent.REPAIR_STARTED): ReplicaState.WRITING,
    (ReplicaState.PENDING, ReplicaEvent.DELETE_REQUESTED): ReplicaState.DELETING,
    (ReplicaState.PROCESSING, ReplicaEvent.COMMITTED): ReplicaState.READY,
    (ReplicaState.PROCESSING, ReplicaEvent.REFUSED): ReplicaState.FAILED,
    (ReplicaState.PROCESSING, ReplicaEvent.MISSING): ReplicaState.LOST,
    (ReplicaState.PROCESSING, ReplicaEvent.DELETE_REQUESTED): ReplicaState.DELETING,
    (ReplicaState.FAILED, ReplicaEvent.DELETE_REQUESTED): ReplicaState.DELETING,
    (ReplicaState.WRITING, ReplicaEvent.WRITE_FAILED): ReplicaState.DELETING,
    (ReplicaState.WRITING, ReplicaEvent.LEASE_EXPIRED): ReplicaState.DELETING,
    (ReplicaState.WRITING, ReplicaEvent.DELETE_REQUESTED): ReplicaState.DELETING,
    (ReplicaState.READY, ReplicaEvent.MISSING): ReplicaState.LOST,
    (ReplicaState.READY, ReplicaEvent.DELETE_REQUESTED): ReplicaState.DELETING,
    (ReplicaState.LOST, ReplicaEvent.FOUND): ReplicaState.READY,
    (ReplicaState.LOST, ReplicaEvent.REPAIR_STARTED): ReplicaState.WRITING,
    (ReplicaState.LOST, ReplicaEvent.DELETE_REQUESTED): ReplicaState.DELETING,
    (ReplicaState.DELETING, ReplicaEvent.GONE): ReplicaState.DELETED,
}


def file_status_of(replicas: Collection[ReplicaState]) -> str:
    """Return OpenAI's word for a file whose bytes came, by the states of its copies."""
    if ReplicaState.READY in replicas or not replicas:
        return "processed"
    working = (ReplicaState.PROCESSING, ReplicaState.WRITING, ReplicaState.PENDING)
    return "uploaded" if any(state in replicas for state in working) else "error"


class UploadState(StrEnum):
    """An upload in parts."""

    PENDING = auto()
    """Takes parts."""
    COMPLETING = auto()
    """Takes nothing; its parts are being checked and joined."""
    COMPLETED = auto()
    CANCELLED = auto()
    EXPIRED = auto()


class UploadEvent(StrEnum):
    """What can happen to an upload."""

    COMPLETE_REQUESTED = auto()
    PARTS_REFUSED = auto()
    """A part is missing, or size or checksum differ: the caller may send more and try again."""
    LEASE_EXPIRED = auto()
    """The process that joined the parts is gone."""
    BYTES_VERIFIED = auto()
    CANCEL_REQUESTED = auto()
    EXPIRED = auto()


UPLOAD_TRANSITIONS: Final[Mapping[tuple[UploadState, UploadEvent], UploadState]] = {
    (UploadState.PENDING, UploadEvent.COMPLETE_REQUESTED): UploadState.COMPLETING,
    (UploadState.PENDING, UploadEvent.CANCEL_REQUESTED): UploadState.CANCELLED,
    (UploadState.PENDING, UploadEvent.EXPIRED): UploadState.EXPIRED,
    (UploadState.COMPLETING, UploadEvent.BYTES_VERIFIED): UploadState.COMPLETED,
    (UploadState.COMPLETING, UploadEvent.PARTS_REFUSED): UploadState.PENDING,
    (UploadState.COMPLETING, UploadEvent.LEASE_EXPIRED): UploadState.PENDING,
    (UploadState.COMPLETING, UploadEvent.EXPIRED): UploadState.EXPIRED,
}


class VideoPhase(StrEnum):
    """A video, finer than OpenAI's four words."""

    HELD = auto()
    """Waits with us: for a provider's limit, a rate or a budget. Nothing is paid for."""
    SUBMITTING = auto()
    """The provider is being asked: from here on it may cost money."""
    PROVIDER_QUEUED = auto()
    RENDERING = auto()
    FINALIZING = auto()
    ARCHIVING = auto()
    """The provider is done; the bytes are on their way to us."""
    READY = auto()
    """The bytes can be fetched from us."""
    FAILED = auto()
    CANCELLED = auto()
    EXPIRED = auto()
    """It was ready; its bytes are gone by their time."""
    FATE_UNKNOWN = auto()
    """Nobody can say whether the provider has it. Neither repeated nor settled before the provider answers."""


class PhaseEvent(StrEnum):
    """What can happen to a video."""

    SUBMIT_STARTED = auto()
    DEFERRED = auto()
    """It has to wait, or the provider surely did not take it and it may be asked again."""
    ACCEPTED = auto()
    PROVIDER_QUEUED = auto()
    PROGRESSED = auto()
    """The provider says that it renders."""
    FINALIZING = auto()
    ARCHIVING = auto()
    """The provider says that it is done."""
    VERIFIED = auto()
    """The bytes are with us and are a video."""
    FAILED = auto()
    """A verdict: of the provider, of ours before any submit, or of an operator who gives up a lost one."""
    CANCELLED = auto()
    DEADLINE_PASSED = auto()
    LOST_CONTACT = auto()
    """A submit or a poll whose answer says nothing about the job."""
    EXPIRED = auto()


# What a provider may say of a job it has. Some put a rendering job back into their queue, so any may follow any.
_PROVIDER_WORDS: Final = {
    PhaseEvent.PROVIDER_QUEUED: VideoPhase.PROVIDER_QUEUED,
    PhaseEvent.PROGRESSED: VideoPhase.RENDERING,
    PhaseEvent.FINALIZING: VideoPhase.FINALIZING,
    PhaseEvent.ARCHIVING: VideoPhase.ARCHIVING,
    PhaseEvent.FAILED: VideoPhase.FAILED,
    PhaseEvent.CANCELLED: VideoPhase.CANCELLED,
}
_WITH_PROVIDER: Final = (VideoPhase.PROVIDER_QUEUED, VideoPhase.RENDERING, VideoPhase.FINALIZING)

VIDEO_TRANSITIONS: Final[Mapping[tuple[VideoPhase, PhaseEvent], VideoPhase]] = {
    (VideoPhase.HELD, PhaseEvent.DEFERRED): VideoPhase.HELD,
    (VideoPhase.HELD, PhaseEvent.SUBMIT_STARTED): VideoPhase.SUBMITTING,
    (VideoPhase.HELD, PhaseEvent.CANCELLED): VideoPhase.CANCELLED,
    (VideoPhase.HELD, PhaseEvent.FAILED): VideoPhase.FAILED,
    # Never submitted, so its fate is known.
    (VideoPhase.HELD, PhaseEvent.DEADLINE_PASSED): VideoPhase.FAILED,
    (VideoPhase.SUBMITTING, PhaseEvent.DEFERRED): VideoPhase.HELD,
    (VideoPhase.SUBMITTING, PhaseEvent.ACCEPTED): VideoPhase.PROVIDER_QUEUED,
    (VideoPhase.SUBMITTING, PhaseEvent.FAILED): VideoPhase.FAILED,
    (VideoPhase.SUBMITTING, PhaseEvent.CANCELLED): VideoPhase.CANCELLED,
    (VideoPhase.SUBMITTING, PhaseEvent.LOST_CONTACT): VideoPhase.FATE_UNKNOWN,
    (VideoPhase.SUBMITTING, PhaseEvent.DEADLINE_PASSED): VideoPhase.FATE_UNKNOWN,
    **{(phase, event): following for phase in _WITH_PROVIDER for event, following in _PROVIDER_WORDS.items()},
    **{(phase, PhaseEvent.LOST_CONTACT): VideoPhase.FATE_UNKNOWN for phase in _WITH_PROVIDER},
    **{(phase, PhaseEvent.DEADLINE_PASSED): VideoPhase.FATE_UNKNOWN for phase in _WITH_PROVIDER},
    **{(VideoPhase.FATE_UNKNOWN, event): following for event, following in _PROVIDER_WORDS.items()},
    # Only for providers whose submit is idempotent: the same token again makes no second job.
    (VideoPhase.FATE_UNKNOWN, PhaseEvent.SUBMIT_STARTED): VideoPhase.SUBMITTING,
    (VideoPhase.FATE_UNKNOWN, PhaseEvent.ACCEPTED): VideoPhase.PROVIDER_QUEUED,
    # The answer to the one attempt came late, and said no.
    (VideoPhase.FATE_UNKNOWN, PhaseEvent.DEFERRED): VideoPhase.HELD,
    (VideoPhase.FATE_UNKNOWN, PhaseEvent.VERIFIED): VideoPhase.READY,
    (VideoPhase.FATE_UNKNOWN, PhaseEvent.LOST_CONTACT): VideoPhase.FATE_UNKNOWN,
    (VideoPhase.FATE_UNKNOWN, PhaseEvent.DEADLINE_PASSED): VideoPhase.FATE_UNKNOWN,
    (VideoPhase.ARCHIVING, PhaseEvent.ARCHIVING): VideoPhase.ARCHIVING,
    (VideoPhase.ARCHIVING, PhaseEvent.VERIFIED): VideoPhase.READY,
    (VideoPhase.ARCHIVING, PhaseEvent.FAILED): VideoPhase.FAILED,
    (VideoPhase.ARCHIVING, PhaseEvent.CANCELLED): VideoPhase.CANCELLED,
    # The provider has delivered: neither silence nor the clock changes that.
    (VideoPhase.ARCHIVING, PhaseEvent.LOST_CONTACT): VideoPhase.ARCHIVING,
    (VideoPhase.ARCHIVING, PhaseEvent.DEADLINE_PASSED): VideoPhase.ARCHIVING,
    (VideoPhase.READY, PhaseEvent.EXPIRED): VideoPhase.EXPIRED,
}

OVER: Final = frozenset({VideoPhase.READY, VideoPhase.FAILED, VideoPhase.CANCELLED, VideoPhase.EXPIRED})
"""The phases in which nothing more is made or paid for; a watcher's stream ends with one of them."""


class VideoStatus(StrEnum):
    """OpenAI's four words."""

    QUEUED = auto()
    IN_PROGRESS = auto()
    COMPLETED = auto()
    FAILED = auto()


_STATUS: Final = {
    VideoPhase.HELD: VideoStatus.QUEUED,
    VideoPhase.SUBMITTING: VideoStatus.QUEUED,
    VideoPhase.PROVIDER_QUEUED: VideoStatus.QUEUED,
    VideoPhase.RENDERING: VideoStatus.IN_PROGRESS,
    VideoPhase.FINALIZING: VideoStatus.IN_PROGRESS,
    VideoPhase.ARCHIVING: VideoStatus.IN_PROGRESS,
    # A word that ends SDKs' polling would turn a late success into a failure.
    VideoPhase.FATE_UNKNOWN: VideoStatus.IN_PROGRESS,
    VideoPhase.READY: VideoStatus.COMPLETED,
    VideoPhase.FAILED: VideoStatus.FAILED,
    VideoPhase.CANCELLED: VideoStatus.FAILED,
    # It did complete; `expires_at` says that its bytes are gone.
    VideoPhase.EXPIRED: VideoStatus.COMPLETED,
}


def status_of(phase: VideoPhase) -> VideoStatus:
    """Return OpenAI's word for a phase: `cancelled` reads `failed`, and an expired output stays `completed`."""
    return _STATUS[phase]


class BatchPhase(StrEnum):
    """A batch, finer than OpenAI's words."""

    VALIDATING = auto()
    """Its lines are checked and written in the provider's words, or wait for the provider. Nothing is paid for."""
    SUBMITTING = auto()
    """The provider is being asked: from here on it may cost money."""
    FATE_UNKNOWN = auto()
    """Nobody can say whether the provider has it. Looked for, and not simply submitted again."""
    IN_PROGRESS = auto()
    FINALIZING = auto()
    """The provider is done; the answers are on their way to us."""
    CANCELLING = auto()
    """It shall stop; what was answered by then is still fetched."""
    COMPLETED = auto()
    FAILED = auto()
    EXPIRED = auto()
    CANCELLED = auto()


class BatchEvent(StrEnum):
    """What can happen to a batch."""

    PREPARED = auto()
    """Its lines are written down in the provider's words."""
    SUBMIT_STARTED = auto()
    DEFERRED = auto()
    """The provider surely did not take it and may be asked again."""
    LOST_CONTACT = auto()
    """A submit whose answer says nothing about the job."""
    ACCEPTED = auto()
    PROGRESSED = auto()
    ENDED = auto()
    """The provider says that it is over, however that was: what there is is fetched."""
    CANCEL_REQUESTED = auto()
    COMPLETED = auto()
    FAILED = auto()
    EXPIRED = auto()
    CANCELLED = auto()


_BEFORE_SUBMIT: Final = (BatchPhase.VALIDATING,)
_ASKED: Final = (BatchPhase.SUBMITTING, BatchPhase.FATE_UNKNOWN)
_RUNNING: Final = (*_BEFORE_SUBMIT, *_ASKED, BatchPhase.IN_PROGRESS)

BATCH_TRANSITIONS: Final[Mapping[tuple[BatchPhase, BatchEvent], BatchPhase]] = {
    (BatchPhase.VALIDATING, BatchEvent.PREPARED): BatchPhase.VALIDATING,
    (BatchPhase.VALIDATING, BatchEvent.SUBMIT_STARTED): BatchPhase.SUBMITTING,
    (BatchPhase.SUBMITTING, BatchEvent.DEFERRED): BatchPhase.VALIDATING,
    (BatchPhase.SUBMITTING, BatchEvent.LOST_CONTACT): BatchPhase.FATE_UNKNOWN,
    (BatchPhase.FATE_UNKNOWN, BatchEvent.LOST_CONTACT): BatchPhase.FATE_UNKNOWN,
    # Where two submits make one job, or where the provider has been asked for long enough and lists none.
    (BatchPhase.FATE_UNKNOWN, BatchEvent.SUBMIT_STARTED): BatchPhase.SUBMITTING,
    **{(phase, BatchEvent.ACCEPTED): BatchPhase.IN_PROGRESS for phase in _ASKED},
    (BatchPhase.IN_PROGRESS, BatchEvent.PROGRESSED): BatchPhase.IN_PROGRESS,
    (BatchPhase.IN_PROGRESS, BatchEvent.ENDED): BatchPhase.FINALIZING,
    (BatchPhase.FINALIZING, BatchEvent.PROGRESSED): BatchPhase.FINALIZING,
    (BatchPhase.FINALIZING, BatchEvent.COMPLETED): BatchPhase.COMPLETED,
    (BatchPhase.FINALIZING, BatchEvent.EXPIRED): BatchPhase.EXPIRED,
    (BatchPhase.FINALIZING, BatchEvent.CANCELLED): BatchPhase.CANCELLED,
    **{(phase, BatchEvent.FAILED): BatchPhase.FAILED for phase in (*_RUNNING, BatchPhase.FINALIZING)},
    **{(phase, BatchEvent.CANCEL_REQUESTED): BatchPhase.CANCELLING for phase in _RUNNING},
    # A cancel comes beside what is under way, whose outcome is written down all the same.
    (BatchPhase.CANCELLING, BatchEvent.ACCEPTED): BatchPhase.CANCELLING,
    (BatchPhase.CANCELLING, BatchEvent.PROGRESSED): BatchPhase.CANCELLING,
    (BatchPhase.CANCELLING, BatchEvent.ENDED): BatchPhase.CANCELLING,
    (BatchPhase.CANCELLING, BatchEvent.CANCELLED): BatchPhase.CANCELLED,
    # It was faster than its cancel.
    (BatchPhase.CANCELLING, BatchEvent.COMPLETED): BatchPhase.COMPLETED,
    (BatchPhase.CANCELLING, BatchEvent.FAILED): BatchPhase.FAILED,
    (BatchPhase.CANCELLING, BatchEvent.EXPIRED): BatchPhase.EXPIRED,
}

BATCH_OVER: Final = frozenset({BatchPhase.COMPLETED, BatchPhase.FAILED, BatchPhase.EXPIRED, BatchPhase.CANCELLED})
"""The phases in which nothing more is answered or paid for."""


def batch_status_of(phase: BatchPhase) -> str:
    """Return OpenAI's word for a phase: while nobody knows whether the provider has it, it is being validated."""
    return "validating" if phase in _ASKED else phase.value

"""What a provider of batches is: it takes a file of requests, works through it in its own time, and gives a file of
answers.

The room `batches` reads the caller's file, checks its lines, and has each of them written in the provider's words; the
whole is kept as an internal file in the account's own store (or here, see `BatchSpec.input_place`) and handed over by
`submit`. What comes back is read line by line and written in OpenAI's words. A provider only has to say how a line and
an answer look, and to make the few calls for the job itself.

Lines have a key of ours and never the caller's `custom_id`, which may be any text: `r` and ten digits, so that it fits
every provider's rules. Whatever becomes of a line, the provider's answer must lead back to its key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from mediagate.core.chat import ChatEvent, ChatRequest
from mediagate.providers.base import Failure

CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
EMBEDDINGS: Final = "/v1/embeddings"
ENDPOINTS: Final = (CHAT, RESPONSES, EMBEDDINGS)
"""What a line may ask for."""
CHATS: Final = (CHAT, RESPONSES)
"""What a provider can be asked that takes chats in words of its own: a response is asked for as a chat."""


class InputPlace(StrEnum):
    """Where the translated lines wait for the provider."""

    ACCOUNT = "account"
    """In the store of the deployment's account for files: `BatchOrder.input_ref` is the store's own name of them."""
    HERE = "here"
    """On scratch, for a provider that is sent the lines with the submit: `BatchOrder.open` gives them."""


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What a provider can do with batches, for the support matrix and for refusals before any call.

    `endpoints` are those of OpenAI's that a line may name. `lines_min` and `lines_max` bound the number of lines,
    `input_bytes_max` the translated file and `line_bytes_max` one line of it; None where the provider does not say.
    `idempotent_submit`: two submits with one token make one job. `cancels`: a job can be stopped there. `deadline_s` is
    how long after its submit a job is waited for. `price_factor` is what a token costs in a batch, against the same
    token asked for at once.
    """

    name: str
    title: str
    source: str
    endpoints: tuple[str, ...] = (CHAT,)
    input_place: InputPlace = InputPlace.ACCOUNT
    lines_min: int = 1
    lines_max: int | None = None
    input_bytes_max: int | None = None
    line_bytes_max: int | None = None
    idempotent_submit: bool = False
    cancels: bool = True
    poll_interval_s: float = 30.0
    deadline_s: float = 3 * 86_400.0
    price_factor: float = 0.5
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """One job to begin. `token` is our id of the batch, the same for every attempt: it goes where the provider can be
    asked for it again (`FindsBatches`). `input_ref` is the store's name of the translated lines where they lie in the
    account, `open` gives their bytes in any case, and may be called again. `since` is when the first attempt began.
    """

    token: str
    model: str
    endpoint: str
    lines: int
    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]
    since: datetime
    input_ref: str | None = None
    completion_window_s: int = 86_400


class BatchState(StrEnum):
    """A provider's own words, mapped to these by a table in its folder."""

    QUEUED = "queued"
    """The provider has it and has not begun; it may still find fault with the lines."""
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    """It has ended by itself. Lines without an answer are given one of ours."""
    FAILED = "failed"
    """It was refused as a whole, and no line has an answer."""
    EXPIRED = "expired"
    """Its time was over; some lines may have answers."""
    CANCELLED = "cancelled"
    """It was stopped; some lines may have answers."""


ENDED: Final = frozenset({BatchState.SUCCEEDED, BatchState.FAILED, BatchState.EXPIRED, BatchState.CANCELLED})


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with one line of the file, counted from 1; `line` is None for the file as a whole."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """One answer to one poll. `completed` and `failed` count lines, None where the provider does not say. `failure` and
    `faults` say why a job failed, safe to show. `cost_usd` is the provider's own figure."""

    state: BatchState
    completed: int | None = None
    failed: int | None = None
    failure: Failure | None = None
    faults: Sequence[LineFault] = ()
    poll_after_s: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A line that was answered. `answer` is either OpenAI's own JSON body of the line's endpoint, as bytes, or the
    pieces of a chat's answer. `request_id` is the provider's own."""

    key: str
    answer: bytes | Sequence[ChatEvent]
    status_code: int = 200
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """A line that was not. `status_code` is what the same request by itself would have been answered with, None where
    it was never asked (`batch_expired`, `batch_cancelled`). `message` is safe to show."""

    key: str
    code: str
    message: str
    status_code: int | None = None
    request_id: str | None = None


LineResult: TypeAlias = Answered | NotAnswered


class BatchProvider(Protocol):
    """A place that works through batches. `ref` is the provider's own id of a job; of each provider there is also one
    of the protocols below, which say what its lines are."""

    spec: BatchSpec

    async def submit(self, order: BatchOrder) -> str:
        """Begin the job, once, and return its `ref`. Raises `SubmitRefused` where it surely did not begin,
        `ProviderBusy` where it did not and may later, `FateUnknown` where that cannot be known
        (`mediagate.providers.base`; `video_calls.submitting` maps them)."""
        ...

    async def poll(self, ref: str) -> BatchStatus:
        """Ask once. Raises `FateUnknown` where the answer says nothing about the job (`video_calls.asking`)."""
        ...

    async def cancel(self, ref: str) -> None:
        """Ask the provider to stop, which takes its time: a poll says when it has. A job that has ended, or that the
        provider cannot stop, is left as it is. Raises `FateUnknown`."""
        ...

    def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """Yield all that a job which has ended has to say of its lines, as JSON lines in chunks of any size, the lines
        without an answer too where the provider lists them; in any order, and a line twice does no harm. Nothing where
        there is nothing. Raises as `mediagate.providers.files` says; may be called again after a failure."""
        ...

    def read(self, line: bytes) -> LineResult:
        """One line of `outputs`. Pure, and called in threads. Raises `ValueError` (`KeyError` and `TypeError` too) for
        what is no such line."""
        ...

    async def delete(self, ref: str) -> None:
        """Remove what the job has left at the provider beside its input, and the job itself where that is possible;
        what is absent is already removed."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@runtime_checkable
class TakesOpenAILines(Protocol):
    """A provider whose lines have a body in OpenAI's words."""

    def raw_line(self, key: str, endpoint: str, model: str, body: dict[str, Any]) -> bytes:
        """One line with its line break. `body` may be changed; its files are already the provider's own. Pure, and
        called in threads. Raises `InvalidField` for what the provider has no words for."""
        ...


@runtime_checkable
class TakesChatLines(Protocol):
    """A provider with words of its own."""

    def chat_line(self, key: str, request: ChatRequest) -> bytes:
        """One line with its line break. Pure, and called in threads. Raises `InvalidField` for what the provider has no
        words for."""
        ...


@runtime_checkable
class TakesEmbeddingLines(Protocol):
    """A provider with words of its own for embeddings too; `read` then gives OpenAI's body of them."""

    def embedding_line(self, key: str, model: str, body: Mapping[str, Any]) -> bytes:
        """One line with its line break, as `TakesChatLines.chat_line`."""
        ...


@runtime_checkable
class LeavesCopies(Protocol):
    """A provider whose submit writes what the job shall read, before there is one that could be deleted."""

    async def forget(self, token: str) -> None:
        """Remove what submits of the order with this `token` have left, of which no job is known; what is absent is
        already removed."""
        ...


@runtime_checkable
class FindsBatches(Protocol):
    """A provider that can be asked whether it has taken a submit whose answer was lost."""

    async def find(self, order: BatchOrder) -> str | None:
        """The `ref` of the job that an earlier submit of this order has begun; None where the provider lists none.
        Raises `FateUnknown`."""
        ...

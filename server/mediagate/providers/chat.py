"""What a provider of chat models is: it is asked in OpenAI's words, or in its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from mediagate.core.chat import Body, ChatEvent, ChatRequest, Dialect, MediaKind, Way
from mediagate.core.chat_place import WritePart


@dataclass(frozen=True, slots=True)
class Taken:
    """One way in which a provider takes media of one kind. `media_types` may end in `/*`; `bytes_max` is the largest
    file by that way, None where the provider does not say. `dialects` are those of its wires that have it; empty for
    all. `uri_schemes` are the stores that it reads from. `models` are the names of the models that have it, with `*`
    for any text; empty for all."""

    kind: MediaKind
    way: Way
    media_types: tuple[str, ...]
    bytes_max: int | None = None
    dialects: tuple[Dialect, ...] = ()
    uri_schemes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def fits(self, model: str) -> bool:
        """Whether the provider's `model` has this way; a model of no name has every one."""
        return not (model and self.models) or any(fnmatchcase(model, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class ChatSpec:
    """What a provider's chat models are, for the support matrix and for what they are sent.

    `dialects` are those of OpenAI's that it speaks itself; empty for a provider with words of its own. `may_speak` are
    those that some of its servers have besides. `takes` is what may stand beside text, the best way first.
    `request_bytes_max` bounds the whole body with what is in it.
    `fetches_callers_links` is False for a server that may stand in the operator's own network: what callers link to is
    fetched here, under the gateway's rules. So it is where `own_hosts` are named and the account is told another base
    URL than one of theirs, and for links to `private_hosts`, where the provider reads with the rights of the account
    that asks. `write_part` is how it writes a part that it has other words for than OpenAI.
    """

    name: str
    title: str
    source: str
    takes: tuple[Taken, ...]
    dialects: tuple[Dialect, ...] = ()
    may_speak: tuple[Dialect, ...] = ()
    request_bytes_max: int | None = None
    fetches_callers_links: bool = True
    own_hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()
    write_part: WritePart | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def ways(self, kind: MediaKind, dialect: Dialect, model: str = "") -> Sequence[Taken]:
        """How media of `kind` may be given to the provider's `model`, the best first."""
        return [
            one
            for one in self.takes
            if one.kind is kind and (not one.dialects or dialect in one.dialects) and one.fits(model)
        ]

    def fetches(self, link: str) -> bool:
        """Whether a URL of a caller's may go on to the provider."""
        try:
            parts = urlsplit(link)
            host = (parts.hostname or "").rstrip(".").lower()
        except ValueError:
            return False
        own = any(host == known or host.endswith(f".{known}") for known in self.private_hosts)
        return self.fetches_callers_links and parts.scheme.lower() in ("http", "https") and bool(host) and not own


@dataclass(frozen=True, slots=True)
class RawCall:
    """A body in one of OpenAI's dialects, with the provider's own references to files and name of the model in it.
    `headers` are those of the caller's that are meant for the provider."""

    dialect: Dialect
    model: str
    body: bytes
    stream: bool
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back, as it comes: for a stream the bytes of its events, else one JSON document."""

    content_type: str
    chunks: AsyncIterator[bytes]
    request_id: str | None = None


class ChatProvider(Protocol):
    """A place that answers. It has one of the two protocols below."""

    spec: ChatSpec

    async def close(self) -> None:
        """Close connections."""
        ...


@runtime_checkable
class SpeaksOpenAI(Protocol):
    """A provider that takes the dialects of its spec as they are."""

    spec: ChatSpec

    def adapt(self, body: Body, dialect: Dialect) -> Body:
        """The body in this server's words, where it has others for some members. Asks nobody."""
        ...

    def ask(self, call: RawCall) -> AbstractAsyncContextManager[RawAnswer]:
        """Send it once. Leaving the context ends the call at the provider. Raises what the provider's refusal means
        (`mediagate.core.errors`); a break between two chunks is `ProviderFailed` or `ProviderTimeout`."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@runtime_checkable
class KeepsResponses(Protocol):
    """A provider that keeps what it answered, as far as its Responses API does."""

    async def kept_response(
        self, method: str, provider_id: str, below: str, query: Mapping[str, Sequence[str]]
    ) -> bytes:
        """Ask for `/responses/{provider_id}{below}`; the JSON that comes back. Raises
        `mediagate.providers.chat_failures.NotThere` where there is nothing, and what another refusal means."""
        ...


@runtime_checkable
class Answers(Protocol):
    """A provider with words of its own."""

    spec: ChatSpec

    def check(self, request: ChatRequest) -> None:
        """Raises `InvalidField` for a part or a setting that the provider has no words for: nothing is left out
        silently. Asks nobody."""
        ...

    def answer(self, request: ChatRequest) -> AsyncGenerator[ChatEvent]:
        """Ask once. Closing it ends the call at the provider. Raises as `SpeaksOpenAI.ask` does, before the first event
        where the provider refuses; an answer that ends without its end is `ProviderFailed`."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...

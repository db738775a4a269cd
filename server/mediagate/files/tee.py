"""The bytes of one file on their way into several stores at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from mediagate.core.errors import MediagateError
from mediagate.providers.files import BlobWriter, CopiesObjects, FileProvider, NewFile, Progress, StoredBlob
from mediagate.telemetry import metrics
from mediagate.telemetry.requests import note_backend

log = structlog.get_logger(__name__)


class Tee:
    """Gives every chunk to every store before the next is taken, so that the slowest sets the pace and little is held.

    All stores or none; with `keeps_partial` a store that fails is left out, as long as one is left.
    """

    def __init__(
        self,
        providers: Mapping[str, FileProvider],
        *,
        copies: Mapping[str, str] | None = None,
        keeps_partial: bool = False,
    ) -> None:
        """`copies` are the accounts whose store copies an object by itself, each with the object's URI: no byte of
        theirs passes here."""
        self._copies = dict(copies or {})
        self._providers = dict(providers)
        self._keeps_partial = keeps_partial
        self._writers: dict[str, BlobWriter] = {}
        self._copied: dict[str, StoredBlob] = {}
        self._new: Callable[[FileProvider], NewFile] | None = None
        self.failures: dict[str, Exception] = {}

    async def open(self, new: Callable[[FileProvider], NewFile]) -> None:
        """Begin an object in every store; `new` says what each is told."""

        async def begin(account: str, provider: FileProvider) -> None:
            self._writers[account] = await provider.create(new(provider))

        self._new = new
        note_backend(",".join(self._providers))
        written = {name: provider for name, provider in self._providers.items() if name not in self._copies}
        await self._each({name: begin(name, provider) for name, provider in written.items()})

    async def copy(self, new: Callable[[FileProvider], NewFile], progress: Progress) -> None:
        """Have the stores copy what they can by themselves."""
        self._new = new

        async def copied(account: str, uri: str) -> None:
            provider = self._providers[account]
            assert isinstance(provider, CopiesObjects)
            self._copied[account] = await provider.copy(uri, new(provider), progress)

        await self._each({account: copied(account, uri) for account, uri in self._copies.items()})

    async def write(self, chunk: bytes) -> None:
        """Pass bytes on. Raises what a store raises."""
        alive = self._alive()
        if len(alive) == 1 and not self._keeps_partial:
            await next(iter(alive.values())).write(chunk)
        else:
            await self._each({account: writer.write(chunk) for account, writer in alive.items()})
        for account in alive:
            metrics.uploaded(account, len(chunk))

    async def commit(self) -> dict[str, StoredBlob]:
        """Make the objects durable. Returns what each store says."""
        blobs = {account: blob for account, blob in self._copied.items() if account not in self.failures}

        async def end(account: str, writer: BlobWriter) -> None:
            blobs[account] = await writer.commit()

        await self._each({account: end(account, writer) for account, writer in self._alive().items()})
        return blobs

    async def abort(self, accounts: Sequence[str] | None = None) -> list[str]:
        """Leave nothing behind in these stores, or in all. Returns the accounts where something may be left."""
        undo: dict[str, Callable[[], Awaitable[None]]] = {name: item.abort for name, item in self._writers.items()}
        if self._new is not None:
            for account in self._copies:
                provider = self._providers[account]
                undo[account] = partial(provider.discard, self._new(provider).key)
        left = []
        for account, take_back in undo.items():
            if accounts is None or account in accounts:
                try:
                    await take_back()
                except Exception as error:
                    log.warning("write_not_undone", account=account, error=type(error).__name__)
                    left.append(account)
        return left

    def _alive(self) -> dict[str, BlobWriter]:
        return {account: writer for account, writer in self._writers.items() if account not in self.failures}

    async def _each(self, work: Mapping[str, Coroutine[Any, Any, None]]) -> None:
        """Run all at once and let all come to their end: none may go on beside what follows."""
        results = await asyncio.gather(*work.values(), return_exceptions=True)
        failed = {account: result for account, result in zip(work, results, strict=True) if result is not None}
        for account, failure in failed.items():
            if not isinstance(failure, Exception):
                raise failure
            self.failures[account] = failure
            log.warning("target_failed", account=account, error=type(failure).__name__, code=_code(failure))
        if failed and (not self._keeps_partial or len(self.failures) == len(self._providers)):
            raise _worst(failed.values())


def _code(failure: BaseException) -> str:
    return failure.code if isinstance(failure, MediagateError) else ""


def _worst(failures: Any) -> BaseException:
    """The failure to answer with: one that a retry of the same request does not help, where there is one."""
    ordered = sorted(failures, key=lambda failure: isinstance(failure, MediagateError) and failure.retryable)
    found: BaseException = ordered[0]
    return found

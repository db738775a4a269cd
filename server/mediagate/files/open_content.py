"""Open the bytes of a file for reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, NotFound, StateConflict, Unavailable, Unsupported
from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.core.objects import File, Principal, Replica
from mediagate.files.get_file import GetFile
from mediagate.files.reconcile import Reconcile
from mediagate.providers.base import Content
from mediagate.routing.stores import LOCAL, FileStores
from mediagate.telemetry.requests import note_backend

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenContent:
    """Find a readable replica. Which one, and whether the bytes pass this process at all, is decided here."""

    stores: FileStores
    get_file: GetFile
    reconcile: Reconcile
    clock: Clock

    async def run(self, who: Principal, file_id: str) -> tuple[File, Content]:
        """Raises `NotFound` for the file, and what `of` raises."""
        file = await self.get_file.run(who, file_id)
        return file, await self.of(file)

    async def of(self, file: File) -> Content:
        """The bytes of a file, from the first copy that can be opened; those on this machine come first.

        Raises `StateConflict` for a file that has no bytes yet, `Unsupported` where no provider gives them back,
        `NotFound` where every copy is lost, and `Unavailable` or what a provider raised where one may come back.
        """
        require_content(file)
        now = self.clock.now()
        failures: list[MediagateError] = []
        for replica in _nearest(file.replicas):
            if replica.state is not ReplicaState.READY or (replica.expires_at and replica.expires_at <= now):
                continue
            try:
                return await self._open(file, replica)
            except MediagateError as failure:
                failures.append(failure)
        raise _cannot(file, failures)

    async def _open(self, file: File, replica: Replica) -> Content:
        """A replica of another size than was acknowledged is damaged, and never served."""
        try:
            provider = self.stores.account(replica.account)
            content = await provider.open(replica.ref or "")
        except KeyError:
            log.error("account_unknown", account=replica.account, file_id=file.id)
            raise _away(file) from None
        except FileNotFoundError:
            await self.reconcile.mark_lost(replica)
            raise _lost(file) from None
        if content.size_bytes != file.size_bytes:
            log.error("replica_damaged", file_id=file.id, account=replica.account)
            raise _away(file)
        note_backend(replica.account)
        return content

    async def find(self, who: Principal, file_id: str) -> tuple[File, Content]:
        """The same for jobs: what is not there, and will not be, is a `FileNotFoundError`. Whatever may pass is raised
        as it is."""
        try:
            return await self.run(who, file_id)
        except (NotFound, StateConflict, Unsupported):
            raise FileNotFoundError(file_id) from None


def require_content(file: File) -> None:
    """Raises `StateConflict` for a file whose bytes are not there yet, or never will be."""
    if file.state is FileState.COPYING:
        raise StateConflict(f"File {file.id} is still being copied. Ask for its content when its status is processed.")
    if file.state is FileState.FAILED:
        raise StateConflict(f"File {file.id} could not be copied: {file.failure}")


def _nearest(replicas: Sequence[Replica]) -> list[Replica]:
    return sorted(replicas, key=lambda replica: replica.provider != LOCAL)


def _cannot(file: File, failures: Sequence[MediagateError]) -> MediagateError:
    """Why no copy could be opened: what may pass first, then what the provider does not do, then what is lost."""
    for failure in failures:
        if failure.retryable:
            return failure
    for failure in failures:
        if isinstance(failure, Unsupported):
            return failure
    if any(replica.state in (ReplicaState.PROCESSING, ReplicaState.WRITING) for replica in file.replicas):
        return _away(file)
    return failures[0] if failures else _lost(file)


def _away(file: File) -> Unavailable:
    return Unavailable("The file's content cannot be read at the moment. Try again later.", file_id=file.id)


def _lost(file: File) -> NotFound:
    return NotFound(
        f"The content of file {file.id} is gone from every store that had it.", param="id", code="content_lost"
    )

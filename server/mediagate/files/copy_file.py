"""Make a file of what lies somewhere already: an object in a bucket, one of our files, or the content of a URL.

A store copies what lies in its own cloud by itself; other bytes are piped from the source to the targets, and rest
nowhere. A copy is made at once, or promised and made by a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import FIELD, settled_end_user
from mediagate.core.errors import InvalidField, MediagateError, PayloadTooLarge, TruncatedUpload
from mediagate.core.lifecycle import FILE_TRANSITIONS, FileEvent, FileState, ReplicaState, advance
from mediagate.core.objects import File, Principal, Replica
from mediagate.core.placement import PLACEMENT, Required, required_of, requiring, together
from mediagate.core.storage import MadeBy, Quota, quotas_of
from mediagate.core.webhooks import FILE_FAILED
from mediagate.files.ahead import ahead
from mediagate.files.copy_news import tell
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.find_source import FindSource, Source
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.leases import LEASE
from mediagate.files.proof import Proof, Received
from mediagate.files.remove_file import enqueue_removal
from mediagate.files.rules import check_expiry, check_filename, check_on_partial, check_purpose
from mediagate.files.tasks import BYTES_QUEUE, COPY_FILE
from mediagate.providers.files import CopiesObjects, FileOperation
from mediagate.routing.placement import require
from mediagate.routing.targets import Named, Targets, Wish
from mediagate.storage.reserve import Reservation
from mediagate.storage.retention import OPENAI, RetentionDefaults
from mediagate.store.files import FileRepository
from mediagate.store.replicas import ReplicaRepository
from mediagate.webhooks.emit import emit_about_files

log = structlog.get_logger(__name__)
PROGRESS_S = 1.0
# A promised copy is tried again for this long, where a retry can help.
PATIENCE = timedelta(hours=1)
# The event loop holds its tasks weakly.
_running: set[asyncio.Future[Any]] = set()
NAME = "copy"


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """A copy that was asked for, checked. It holds `reserved_bytes` under `quotas`."""

    source: str
    accounts: tuple[str, ...]
    purpose: str
    filename: str | None
    life_s: int | None
    keeps_partial: bool
    end_user: str | None
    required: Required
    quotas: tuple[Quota, ...] = ()
    reserved_bytes: int = 0
    guardrails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyFile:
    """Copy while the caller waits, for `patience_s` at most, or promise to. What takes longer goes on behind the
    answer: the edge gives up a connection on which nothing moves."""

    intake: Intake
    targets: Targets
    find_source: FindSource
    clock: Clock
    copy_bytes_max: int
    patience_s: float = 45.0
    retention: RetentionDefaults = OPENAI

    async def run(
        self,
        who: Principal,
        tree: Mapping[str, Any],
        *,
        named: Named,
        promise: bool = False,
        file_id: str | None = None,
    ) -> File:
        """`tree` is the JSON body. With `promise` the answer does not wait for the bytes; a file that is still being
        copied has the state `copying`.

        Raises `InvalidField`, `PermissionDenied` for a source outside the allow-list, `NotFound` for a file of ours
        that is none, `StorageQuotaExceeded`, and what source and targets raise. After a failure nothing is left.
        """
        request, file = await self._promised(who, self._read(who, tree, named), file_id)
        if promise:
            async with self.intake.db.transaction() as tx:
                await tx.enqueue(COPY_FILE, queue=BYTES_QUEUE, lock=file.id, file_id=file.id)
            return file
        copying = asyncio.create_task(self._copy(file, request, anew=False))
        try:
            await asyncio.wait_for(asyncio.shield(copying), self.patience_s)
        except TimeoutError:
            # It goes on, or a job takes it up where this process ends.
            _running.add(copying)
            copying.add_done_callback(partial(self._ended, file.id))
            return file
        except BaseException:
            copying.cancel()
            await asyncio.wait([copying])
            await asyncio.shield(self._withdraw(file.id))
            raise
        return copying.result()

    def _ended(self, file_id: str, copying: asyncio.Task[File]) -> None:
        _running.discard(copying)
        failure = None if copying.cancelled() else copying.exception()
        if failure is not None:
            noting = asyncio.ensure_future(self._note_failure(file_id, failure))
            _running.add(noting)
            noting.add_done_callback(_running.discard)

    async def _withdraw(self, file_id: str) -> None:
        """Leave nothing of a copy that failed while its caller waited."""
        async with self.intake.db.transaction() as tx:
            if await FileRepository(tx.connection).withdraw(file_id):
                await enqueue_removal(tx, file_id)

    def _read(self, who: Principal, tree: Mapping[str, Any], named: Named) -> CopyRequest:
        source = tree.get("source")
        if not isinstance(source, str) or not source:
            raise InvalidField(
                "'source' is a required field: where the bytes are, such as s3://bucket/key, gs://bucket/key, "
                "https://host/path or the id of a file or of a video. To send bytes, use multipart/form-data.",
                param="source",
            )
        wish = Wish()
        for name, value in tree.items():
            if value is not None:
                wish.take(name, value)
        who = requiring(who, tree.get(PLACEMENT))
        end_user = settled_end_user(who, _text(tree.get(FIELD), FIELD))
        filename = tree.get("filename")
        if filename is not None and not isinstance(filename, str):
            raise InvalidField("'filename' must be a text.", param="filename")
        purpose = check_purpose(_text(tree.get("purpose"), "purpose") or "user_data")
        return CopyRequest(
            source=source,
            accounts=self.targets.chosen(who, named, wish),
            purpose=purpose,
            filename=filename,
            life_s=self.retention.life_s(who, purpose, check_expiry(tree.get("expires_after"))),
            keeps_partial=check_on_partial(tree.get("on_partial")),
            end_user=end_user,
            required=required_of(who),
            quotas=quotas_of(who, end_user),
            guardrails=self.intake.check_file.guardrails.of_policies(who),
        )

    def _check_size(self, size_bytes: int | None) -> None:
        if size_bytes is not None and size_bytes > self.copy_bytes_max:
            raise PayloadTooLarge(
                f"The source is too large: a copy may have {self.copy_bytes_max} bytes.",
                param="source",
                limit_bytes=self.copy_bytes_max,
            )

    def _placement(self, request: CopyRequest, source: Source) -> Placement:
        stores = self.intake.stores
        copies = {}
        # What guardrails look at has to pass here.
        passes = self.intake.check_file.concerns(request.guardrails)
        for account in () if passes else request.accounts:
            provider = stores.account(account)
            uri = source.uri_for(provider) if isinstance(provider, CopiesObjects) else None
            if uri is not None:
                copies[account] = uri
        return Placement(
            targets=request.accounts,
            filename=check_filename(request.filename or source.filename or NAME, request.purpose),
            purpose=request.purpose,
            life_s=request.life_s,
            size_bytes=source.size_bytes,
            keeps_partial=request.keeps_partial,
            content_type=source.content_type,
            copies=copies,
            required=request.required,
        )

    def _with_source(self, request: CopyRequest, source: Source) -> CopyRequest:
        """A copy must lie where its source may."""
        if not source.required:
            return request
        required = together([request.required, source.required])
        accounts = self.intake.stores.accounts
        for account in request.accounts:
            require(accounts.get(account), account, required, "a copy of this source")
        return replace(request, required=required)

    async def _promised(self, who: Principal, request: CopyRequest, file_id: str | None) -> tuple[CopyRequest, File]:
        """The row of a file that will be copied. The source is opened for it, so that what is no source is no file."""
        now = self.clock.now()
        async with self.find_source.open(who, request.source) as source:
            self._check_size(source.size_bytes)
            request = self._with_source(request, source)
            placement = self._placement(request, source)
        accounts = self.intake.stores.accounts
        for account in request.accounts:
            self.intake.stores.account(account).spec.require(FileOperation.CREATE)
        new_id = file_id or ids.new_file_id()
        file = File(
            id=new_id,
            owner_id=who.owner_id,
            filename=placement.filename,
            purpose=request.purpose,
            size_bytes=placement.size_bytes or 0,
            sha256="",
            content_type=placement.content_type or "application/octet-stream",
            state=advance(FILE_TRANSITIONS, FileState.RECEIVING, FileEvent.COPY_PROMISED),
            created_at=now,
            expires_at=None if request.life_s is None else now + timedelta(seconds=request.life_s),
            source=shown(request.source),
            end_user=request.end_user,
            copied_bytes=0,
            replicas=tuple(
                Replica(new_id, account, accounts[account].provider, None, ReplicaState.WRITING)
                for account in request.accounts
            ),
        )
        options = {
            "source": request.source,
            "accounts": list(request.accounts),
            "filename": placement.filename,
            "life_s": request.life_s,
            "keeps_partial": request.keeps_partial,
            "quotas": [astuple(quota) for quota in request.quotas],
            "guardrails": list(request.guardrails),
        }
        reservation = Reservation(self.intake.db, request.quotas)
        async with self.intake.db.transaction() as tx:
            reserved_bytes = await reservation.begin(tx, placement.size_bytes, None)
            await FileRepository(tx.connection).promise(
                file,
                MadeBy.of(who, request.end_user),
                options,
                lease_expires_at=now + LEASE,
                reserved_bytes=reserved_bytes,
                required=request.required,
            )
            await ReplicaRepository(tx.connection).add(file.replicas, now=now)
        return replace(request, reserved_bytes=reserved_bytes), file

    async def keep_promise(self, file_id: str) -> None:
        """Make a copy that was promised. Raises what a retry may help against, within `PATIENCE`; any other failure is
        written down where the file's owner sees it."""
        async with self.intake.db.reading() as connection:
            promised = await FileRepository(connection).promised(file_id)
        if promised is None:
            return
        file, options = promised
        request = CopyRequest(
            source=options["source"],
            accounts=tuple(options["accounts"]),
            purpose=file.purpose,
            filename=options["filename"],
            life_s=options["life_s"],
            keeps_partial=options["keeps_partial"],
            end_user=file.end_user,
            required=options["required"],
            # A promise of an older version has none.
            quotas=tuple(Quota(*quota) for quota in options.get("quotas", ())),
            reserved_bytes=options["reserved_bytes"],
            guardrails=tuple(options.get("guardrails", ())),
        )
        try:
            await self._copy(file, request, anew=True)
        except Exception as failure:
            patient = not isinstance(failure, MediagateError) or failure.retryable
            if patient and self.clock.now() < file.created_at + PATIENCE:
                raise
            await self._note_failure(file_id, failure)

    async def _note_failure(self, file_id: str, failure: BaseException) -> None:
        log.warning("copy_failed", file_id=file_id, error=type(failure).__name__)
        why = failure.message if isinstance(failure, MediagateError) else "The copy could not be made."
        async with self.intake.db.transaction() as tx:
            if await FileRepository(tx.connection).fail(file_id, why):
                await tell(tx, file_id)
                await emit_about_files(tx, [file_id], [FILE_FAILED], now=self.clock.now())

    async def _copy(self, file: File, request: CopyRequest, *, anew: bool) -> File:
        """Make the copy. `anew` first removes what an attempt before this one has left, whose process died."""
        who = Principal(file.owner_id)
        if anew:
            for account in request.accounts:
                await self.intake.stores.account(account).discard(file.id)
        async with self.find_source.open(who, request.source, allowed=True) as source:
            placement = self._placement(request, source)
            incoming = await self.intake.begin(
                who,
                size_bytes_max=self.copy_bytes_max,
                placement=placement,
                expected=file.id,
                created_at=file.created_at,
                reservation=Reservation(self.intake.db, request.quotas, request.reserved_bytes),
                guardrails=request.guardrails,
            )
            return await self._transfer(incoming, source, request, placement)

    async def _transfer(
        self, incoming: IncomingFile, source: Source, request: CopyRequest, placement: Placement
    ) -> File:
        facts = FileFacts(placement.filename, request.purpose, request.life_s, shown(request.source), request.end_user)
        try:
            async with _reporting(self, incoming.id) as reported:
                received = await self._move(incoming, source, placement, reported)
            return await incoming.finish(received, facts)
        except BaseException:
            await incoming.abort()
            raise

    async def _move(
        self, incoming: IncomingFile, source: Source, placement: Placement, reported: _Progress
    ) -> Received:
        if placement.copies:
            await incoming.copy(reported.at_least)
        if placement.only_copies:
            blob = await incoming.store_copies()
            return Received(blob.size_bytes, blob.sha256 or source.sha256 or "")
        try:
            async for chunk in ahead(source.read()):
                await incoming.write(chunk)
                await reported.at_least(incoming.size_bytes)
        except OSError:
            raise TruncatedUpload("The source broke off before its end. Try again later.", param="source") from None
        return await incoming.store(Proof(source.size_bytes, source.sha256 or None))


class _Progress:
    """How far a copy is; written down now and then, by a task of its own."""

    def __init__(self) -> None:
        self.bytes = 0

    async def at_least(self, copied_bytes: int) -> None:
        """So many bytes are done, of one of the targets."""
        self.bytes = max(self.bytes, copied_bytes)


@asynccontextmanager
async def _reporting(copy: CopyFile, file_id: str) -> AsyncIterator[_Progress]:
    progress = _Progress()

    async def report() -> None:
        written = 0
        while True:
            await asyncio.sleep(PROGRESS_S)
            if progress.bytes != written:
                written = progress.bytes
                async with copy.intake.db.transaction() as tx:
                    await FileRepository(tx.connection).copied(file_id, written)

    reporting = asyncio.create_task(report())
    try:
        yield progress
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)


def shown(source: str) -> str:
    """The source as others may see it: the query of a URL often is a password."""
    return source.partition("?")[0].partition("#")[0] if source.startswith(("http://", "https://")) else source


def _text(value: Any, param: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidField(f"'{param}' must be a text.", param=param)
    return value

"""Compare what the stores list with what the rows say, both ways, page by page.

An object that carries a key of ours and that no row stands for is an orphan: it is removed once it is older than the
grace time. A ready copy that its store no longer has is a ghost: it is marked lost, and made anew where another copy
can be read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import Unsupported
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import Replica
from mediagate.files.tasks import BYTES_QUEUE, REPAIR_REPLICA, replica_lock
from mediagate.providers.files import FileOperation, FileProvider, ProviderFile
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.replicas import ReplicaRepository
from mediagate.store.uploads import UploadRepository
from mediagate.telemetry import metrics

log = structlog.get_logger(__name__)
PAGE = 500
# What a crash leaves is found within minutes, because what was written lately is looked through often.
RECENT = timedelta(days=1)
GRACE = timedelta(minutes=1)


@dataclass(slots=True)
class Findings:
    """What one account's comparison found. `foreign` objects look like ours and bear another gateway's stamp. The
    examples are `ref`s of orphans and ids of files with a ghost; the counts are whole."""

    account: str
    objects: int = 0
    orphans: int = 0
    foreign: int = 0
    ghosts: int = 0
    examples: list[str] = field(default_factory=list)
    skipped: str | None = None

    def note(self, example: str) -> None:
        """Keep the first few."""
        if len(self.examples) < 20:
            self.examples.append(example)


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Compare one account at a time. `dry_run` finds and changes nothing."""

    db: Database
    stores: FileStores
    clock: Clock
    grace: timedelta = GRACE

    async def recent(self) -> int:
        """Remove orphans among what was last written within a day, in every account; returns how many there were.

        What is older is left alone, so that a gateway that was given an empty or an old database by mistake does not
        empty its stores.
        """
        found = 0
        for account in self.stores.accounts:
            findings = Findings(account)
            try:
                provider = self.stores.account(account)
                if FileOperation.LIST in provider.spec.supports:
                    await self._orphans(
                        provider, findings, since=self.clock.now() - RECENT, dry_run=False, thorough=False
                    )
            except Unsupported:
                # A server that makes videos, say, and has no route for files.
                log.debug("account_without_files", account=account)
            except Exception as error:
                log.warning("account_not_reconciled", account=account, error=type(error).__name__)
            found += findings.orphans
        return found

    async def every_account(self) -> None:
        """Compare everything, account by account; one that fails keeps no other from it."""
        for account in self.stores.accounts:
            try:
                findings = await self.run(account)
            except Unsupported:
                log.debug("account_without_files", account=account)
            except Exception as error:
                log.warning("account_not_reconciled", account=account, error=type(error).__name__)
            else:
                log.info("account_reconciled", account=account, orphans=findings.orphans, ghosts=findings.ghosts)

    async def run(self, account: str, *, dry_run: bool = False, thorough: bool = False) -> Findings:
        """Compare everything in one account. Only what bears the stamp of this gateway is removed; where our prefix is
        ours alone, `thorough` removes everything under it that no row stands for.

        Raises what its provider raises, and `KeyError` for an unknown one."""
        provider = self.stores.account(account)
        findings = Findings(account)
        if FileOperation.LIST not in provider.spec.supports:
            findings.skipped = f"{provider.spec.title} cannot list its files"
            return findings
        began_at = self.clock.now()
        await self._orphans(provider, findings, since=None, dry_run=dry_run, thorough=thorough)
        await self._ghosts(provider, findings, before=began_at - self.grace, dry_run=dry_run)
        return findings

    async def _orphans(
        self, provider: FileProvider, findings: Findings, *, since: datetime | None, dry_run: bool, thorough: bool
    ) -> None:
        async for page in self._pages(provider, since):
            findings.objects += len(page)
            for orphan in await self._unknown(findings.account, page):
                if not (thorough and provider.spec.own_prefix) and not ids.is_stamped(orphan.key or ""):
                    findings.foreign += 1
                    continue
                findings.orphans += 1
                findings.note(orphan.ref)
                if not dry_run:
                    metrics.orphan_found(findings.account)
                    await provider.delete(orphan.ref)
                    log.info("orphan_removed", account=findings.account, file_id=orphan.key)

    async def _pages(self, provider: FileProvider, since: datetime | None) -> AsyncIterator[list[ProviderFile]]:
        page: list[ProviderFile] = []
        async for found in provider.scan(since=since, before=self.clock.now() - self.grace):
            page.append(found)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    async def _unknown(self, account: str, page: Sequence[ProviderFile]) -> list[ProviderFile]:
        """Those that no row stands for. A row is there before the first byte, and goes after the last."""
        claims = {file.ref: file.key for file in page if file.key is not None}
        async with self.db.transaction() as tx:
            known = await ReplicaRepository(tx.connection).placed(account, claims, now=self.clock.now())
            known |= await UploadRepository(tx.connection).known_parts(list(claims.values()))
        return [file for file in page if file.key is not None and file.ref not in known and file.key not in known]

    async def _ghosts(self, provider: FileProvider, findings: Findings, *, before: datetime, dry_run: bool) -> None:
        after = ""
        while True:
            async with self.db.reading() as connection:
                rows = await ReplicaRepository(connection).unseen(
                    findings.account, before=before, after=after, limit=PAGE
                )
            for replica in rows:
                if await _is_gone(provider, replica):
                    findings.ghosts += 1
                    findings.note(replica.file_id)
                    if not dry_run:
                        await self.mark_lost(replica)
            if len(rows) < PAGE:
                return
            after = rows[-1].file_id

    async def mark_lost(self, replica: Replica) -> None:
        """Say that the store does not have a copy that was ready, and have it made anew where that is possible."""
        async with self.db.transaction() as tx:
            rows = ReplicaRepository(tx.connection)
            if not await rows.lose(replica):
                return
            log.warning("replica_lost", account=replica.account, file_id=replica.file_id)
            others = [other for other in await rows.of(replica.file_id) if other.state is ReplicaState.READY]
            if others:
                lock = replica_lock(replica.file_id, replica.account)
                await tx.enqueue(
                    REPAIR_REPLICA, queue=BYTES_QUEUE, lock=lock, file_id=replica.file_id, account=replica.account
                )


async def _is_gone(provider: FileProvider, replica: Replica) -> bool:
    """A listing may lag behind or be cut, so the object itself is asked for."""
    if replica.ref is None or FileOperation.GET not in provider.spec.supports:
        return False
    try:
        await provider.get(replica.ref)
    except FileNotFoundError:
        return True
    return False

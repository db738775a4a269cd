"""Tokens that take one upload: claimed while bytes come, used up in the transaction that makes the file readable.

A claim is a lease, so that an upload whose process died gives its token back. Whoever lost the lease meanwhile cannot
use the token up, and so makes no file.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import PermissionDenied, TokenInUse, Unauthenticated
from mediagate.core.handles import HandleKind, UploadTerms
from mediagate.core.objects import Principal
from mediagate.store.database import Database, Transaction
from mediagate.store.tokens import TokenRepository

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=15)
RENEW_S = 5.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A claimed token. `use` is to be a part of the transaction that makes the file true."""

    token_id: str
    claim: str
    terms: UploadTerms
    clock: Clock

    async def use(self, tx: Transaction, file_id: str) -> None:
        """Use it up. Raises `PermissionDenied` where another upload has it by now, or where it was revoked."""
        if not await TokenRepository(tx.connection).use(self.token_id, self.claim, file_id, now=self.clock.now()):
            raise PermissionDenied(
                "This token was revoked, or another upload has used it meanwhile. Ask for a new one.",
                code="token_used",
            )


@dataclass(frozen=True, slots=True)
class OneTimeUploads:
    """Gives each token to one upload at a time."""

    db: Database
    clock: Clock
    renew_s: float = RENEW_S

    @asynccontextmanager
    async def taking(self, who: Principal) -> AsyncIterator[Ticket | None]:
        """Hold the caller's token while the block stores a file; None for a caller with a key, who needs none.

        Raises `PermissionDenied` for a token that was used, `TokenInUse` while another upload has it. A block that
        fails and leaves no file gives it back.
        """
        handle = who.handle
        if handle is None or handle.kind is not HandleKind.UPLOAD or handle.terms is None:
            yield None
            return
        ticket = Ticket(handle.id, secrets.token_hex(16), handle.terms, self.clock)
        try:
            await self._claim(ticket)
            renewal = asyncio.create_task(self._renew(ticket), name="renew upload token")
            try:
                yield ticket
            finally:
                renewal.cancel()
                await asyncio.wait([renewal])
        except BaseException:
            await asyncio.shield(self._release(ticket))
            raise

    async def _claim(self, ticket: Ticket) -> None:
        now = self.clock.now()
        async with self.db.transaction() as tx:
            tokens = TokenRepository(tx.connection)
            if await tokens.claim(ticket.token_id, ticket.claim, now=now, until=now + LEASE):
                return
            state = await tokens.state(ticket.token_id)
        if state is None or state.revoked_at is not None:
            raise Unauthenticated("This token was revoked. Ask for a new one.", code="token_revoked")
        if state.used_at is not None:
            raise PermissionDenied(
                f"This token takes one upload, and has had it: {state.made_id}. Ask for a new one.",
                code="token_used",
                file_id=state.made_id,
            )
        raise TokenInUse(
            "This token takes one upload, and one is under way. Where that fails, it can be used again.",
            retry_after_s=5,
        )

    async def _renew(self, ticket: Ticket) -> None:
        while True:
            await asyncio.sleep(self.renew_s)
            try:
                async with self.db.transaction() as tx:
                    until = self.clock.now() + LEASE
                    await TokenRepository(tx.connection).renew(ticket.token_id, ticket.claim, until=until)
            except Exception as error:
                log.warning("token_not_renewed", token_id=ticket.token_id, error=type(error).__name__)

    async def _release(self, ticket: Ticket) -> None:
        try:
            async with self.db.transaction() as tx:
                await TokenRepository(tx.connection).release(ticket.token_id, ticket.claim)
        except Exception as error:
            # The lease runs out.
            log.warning("token_not_released", token_id=ticket.token_id, error=type(error).__name__)

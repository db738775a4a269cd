"""Look up, list and revoke tokens, and forget those that are over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import settled_end_user
from mediagate.core.handles import HandleKind, Token
from mediagate.core.objects import Page, Principal
from mediagate.store.database import Database
from mediagate.store.keys import ACCESS_CHANNEL
from mediagate.store.tokens import TokenRepository

LIMIT_DEFAULT = 20
BATCH = 1000
# Long enough for whoever wonders what became of a token.
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class GetToken:
    """Return a token of the caller's; never its secret."""

    db: Database

    async def run(self, who: Principal, token_id: str) -> Token:
        """Raises `NotFound` for an id that is malformed, unknown or somebody else's."""
        ids.TOKEN.parse(token_id)
        async with self.db.reading() as connection:
            token = await TokenRepository(connection).get(who, token_id)
        if token is None:
            raise ids.TOKEN.not_found(token_id)
        return token


@dataclass(frozen=True, slots=True)
class ListTokens:
    """Return one page, the newest first."""

    db: Database

    async def run(
        self,
        who: Principal,
        *,
        after: str | None = None,
        limit: int | None = None,
        end_user: str | None = None,
        object_id: str | None = None,
        kind: HandleKind | None = None,
    ) -> Page[Token]:
        """`after` is the last id of the page before. Raises `NotFound` where it is no id."""
        who = who.acting_for(settled_end_user(who, end_user))
        if after:
            ids.TOKEN.parse(after)
        async with self.db.reading() as connection:
            return await TokenRepository(connection).page(
                who, after=after or None, limit=limit or LIMIT_DEFAULT, object_id=object_id or None, kind=kind
            )


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """End a token at once, in every process."""

    db: Database
    clock: Clock

    async def run(self, who: Principal, token_id: str) -> Token:
        """Revoking twice is the same as once. Raises `NotFound`."""
        ids.TOKEN.parse(token_id)
        async with self.db.transaction() as tx:
            token = await TokenRepository(tx.connection).revoke(who, token_id, now=self.clock.now())
            if token is None:
                raise ids.TOKEN.not_found(token_id)
            await tx.notify(ACCESS_CHANNEL, f"token {token_id}")
        return token


@dataclass(frozen=True, slots=True)
class SweepTokens:
    """Forget tokens that have been over for a day."""

    db: Database
    clock: Clock

    async def run(self) -> int:
        """Handle one batch; returns how many there were, so that the caller can go on until there are none."""
        async with self.db.reading() as connection:
            return await TokenRepository(connection).sweep(before=self.clock.now() - KEPT, limit=BATCH)

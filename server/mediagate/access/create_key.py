"""Make a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mediagate.access.authenticate import require_admin
from mediagate.access.changes import Actor, Changes, note
from mediagate.access.holders import require_team, require_user
from mediagate.access.secrets import digest_of, hint_of, new_secret
from mediagate.core import ids
from mediagate.core.access import ApiKey, Policy
from mediagate.core.clock import Clock
from mediagate.core.errors import StateConflict
from mediagate.core.limits import echo
from mediagate.store.access import KeyRepository
from mediagate.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class CreateKey:
    """Keep the digest of a new secret, which the caller alone gets."""

    db: Database
    clock: Clock

    async def run(self, actor: Actor, changes: Changes) -> tuple[ApiKey, str]:
        """Returns the key and its secret. Raises `PermissionDenied`, `InvalidField` for a team that does not exist, and
        `StateConflict` for an alias that is taken."""
        require_admin(actor.who)
        async with self.db.transaction() as tx:
            return await add_key(tx, actor, self.clock, changes)


async def add_key(tx: Transaction, actor: Actor, clock: Clock, changes: Changes) -> tuple[ApiKey, str]:
    """The same as a part of a transaction, for whoever may."""
    secret = new_secret()
    key = changes.to(_empty(secret, clock.now()))
    await require_team(tx, key.team_id)
    await require_user(tx, actor, clock, key.user_id)
    if not await KeyRepository(tx.connection).add(key):
        raise alias_taken(key.alias or "")
    await note(tx, actor, clock, "create", "key", None, key)
    return key, secret


def alias_taken(alias: str) -> StateConflict:
    """Aliases name keys, so each is there once."""
    return StateConflict(
        f"Another key has the alias '{echo(alias)}'. Choose another one, or update that key.",
        param="key_alias",
        code="key_alias_taken",
    )


def _empty(secret: str, now: datetime) -> ApiKey:
    return ApiKey(
        id=ids.KEY.new(),
        hash=digest_of(secret),
        hint=hint_of(secret),
        alias=None,
        user_id=None,
        team_id=None,
        is_admin=False,
        uses_providers=False,
        is_blocked=False,
        policy=Policy(),
        info={},
        created_at=now,
        updated_at=now,
        expires_at=None,
    )

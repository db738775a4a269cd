"""Change a key, or give it another secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mediagate.access.authenticate import require_admin
from mediagate.access.changes import Actor, Changes, note, require_version
from mediagate.access.create_key import alias_taken
from mediagate.access.get_key import held_key
from mediagate.access.holders import require_team, require_user
from mediagate.access.secrets import digest_of, hint_of, new_secret
from mediagate.core.access import ApiKey
from mediagate.core.clock import Clock
from mediagate.store.access import KeyRepository
from mediagate.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """Change what is given, and leave the rest."""

    db: Database
    clock: Clock

    async def run(self, actor: Actor, name: str, changes: Changes, *, etag: str | None = None) -> ApiKey:
        """`name` is the key, its id or its alias. Raises `PermissionDenied`, `NotFound`, `ChangedMeanwhile` where
        `etag` is not its version's, and what `CreateKey` raises."""
        require_admin(actor.who)
        async with self.db.transaction() as tx:
            before = await held_key(tx, name)
            require_version(before, etag)
            after = changes.to(before)
            if after.team_id != before.team_id:
                await require_team(tx, after.team_id)
            if after.user_id != before.user_id:
                await require_user(tx, actor, self.clock, after.user_id)
            if after.alias and await KeyRepository(tx.connection).has_alias(after.alias, but=after.id):
                raise alias_taken(after.alias)
            return await _saved(tx, actor, self.clock, "update", before, after)


@dataclass(frozen=True, slots=True)
class RegenerateKey:
    """Give a key another secret; the old one is refused from then on."""

    db: Database
    clock: Clock
    make: Callable[[], str] = new_secret

    async def run(self, actor: Actor, name: str) -> tuple[ApiKey, str]:
        """Returns the key and its new secret. Raises `PermissionDenied` and `NotFound`."""
        require_admin(actor.who)
        secret = self.make()
        async with self.db.transaction() as tx:
            before = await held_key(tx, name)
            after = replace(before, hash=digest_of(secret), hint=hint_of(secret))
            return await _saved(tx, actor, self.clock, "regenerate", before, after), secret


async def _saved(tx: Transaction, actor: Actor, clock: Clock, action: str, before: ApiKey, after: ApiKey) -> ApiKey:
    if after == before:
        return before
    after = replace(after, version=before.version + 1, updated_at=clock.now())
    await KeyRepository(tx.connection).save(after)
    await note(tx, actor, clock, action, "key", before, after)
    return after

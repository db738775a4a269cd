"""Delete keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagate.access.authenticate import require_admin
from mediagate.access.changes import Actor, note
from mediagate.access.get_key import known_key, no_key
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField
from mediagate.store.access import KeyRepository
from mediagate.store.database import Database


@dataclass(frozen=True, slots=True)
class DeleteKeys:
    """Delete all of them, or none."""

    db: Database
    clock: Clock

    async def run(self, actor: Actor, names: Sequence[str]) -> list[str]:
        """`names` are keys, ids or aliases; returns the ids. Raises `PermissionDenied`, and `NotFound` for an unknown
        one."""
        require_admin(actor.who)
        if not names:
            raise InvalidField("Say which keys to delete, in 'keys' or in 'key_aliases'.", param="keys")
        async with self.db.transaction() as tx:
            repository = KeyRepository(tx.connection)
            key_ids = {(await known_key(tx, name)).id for name in names}
            keys = await repository.hold(key_ids)
            if len(keys) < len(key_ids):
                # Another deletion was faster.
                raise no_key()
            for key in keys:
                await repository.remove(key.id)
                await note(tx, actor, self.clock, "delete", "key", key, None)
        return [key.id for key in keys]

"""Make a user and their first key."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.access.authenticate import require_admin
from mediagate.access.changes import Actor, Changes
from mediagate.access.create_key import add_key
from mediagate.access.holders import CreateHolder
from mediagate.core.access import Holder


@dataclass(frozen=True, slots=True)
class CreateUserWithKey:
    """Make both, or none."""

    create: CreateHolder

    async def run(self, actor: Actor, user_id: str | None, changes: Changes) -> tuple[Holder, str]:
        """Returns the user and the secret of the key. Raises as `CreateHolder` does."""
        require_admin(actor.who)
        async with self.create.db.transaction() as tx:
            user = await self.create.add(tx, actor, user_id, changes)
            _, secret = await add_key(tx, actor, self.create.clock, Changes({"user_id": user.id}))
        return user, secret

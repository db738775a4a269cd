"""Find keys."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.access.authenticate import require_admin
from mediagate.access.secrets import digest_of
from mediagate.core.access import ApiKey
from mediagate.core.errors import NotFound
from mediagate.core.objects import Page, Principal
from mediagate.store.access import KeyRepository
from mediagate.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class GetKey:
    """Return one key; whoever is no admin sees its own alone."""

    db: Database

    async def run(self, who: Principal, name: str | None) -> ApiKey | None:
        """`name` is the key, its id or its alias; None stands for the key that asks. Returns None where that is the
        master key, which is not kept. Raises `PermissionDenied`, `NotFound`."""
        if name is None:
            if who.key_id is None:
                require_admin(who)
                return None
            name = who.key_id
        async with self.db.reading() as connection:
            key = await KeyRepository(connection).find(name, digest_of(name))
        if key is None or key.id != who.key_id:
            require_admin(who)
        if key is None:
            raise no_key()
        return key


@dataclass(frozen=True, slots=True)
class ListKeys:
    """Return one page, newest first."""

    db: Database

    async def run(
        self,
        who: Principal,
        *,
        user_id: str | None,
        team_id: str | None,
        alias: str | None,
        before: str | None,
        limit: int,
    ) -> tuple[Page[ApiKey], int]:
        """The page and how many there are on all. Raises `PermissionDenied`."""
        require_admin(who)
        async with self.db.reading() as connection:
            return await KeyRepository(connection).page(
                user_id=user_id, team_id=team_id, alias=alias, before=before, limit=limit
            )


async def known_key(tx: Transaction, name: str, *, locked: bool = False) -> ApiKey:
    """A key by its secret, id or alias. Raises `NotFound`."""
    key = await KeyRepository(tx.connection).find(name, digest_of(name), locked=locked)
    if key is None:
        raise no_key()
    return key


async def held_key(tx: Transaction, name: str) -> ApiKey:
    """A key that nobody else changes until the transaction ends. Raises `NotFound`."""
    return await known_key(tx, name, locked=True)


def no_key() -> NotFound:
    """That there is no such key; what was given may be a secret, so it is not repeated."""
    return NotFound("There is no such key. Name it by itself, its key_id or its key_alias.", code="key_not_found")

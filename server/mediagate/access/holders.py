"""Users and teams: made, changed, deleted, found. They differ in name alone, so that they share their operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mediagate.access.authenticate import require_admin
from mediagate.access.changes import Actor, Changes, note, require_version
from mediagate.core import ids
from mediagate.core.access import ApiKey, Holder, Policy, ScopeKind
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, NotFound, StateConflict
from mediagate.core.limits import echo
from mediagate.core.objects import Page, Principal
from mediagate.store.access import HolderRepository, KeyRepository
from mediagate.store.database import Database, Transaction

KINDS: Final = {ScopeKind.TEAM: ids.TEAM, ScopeKind.USER: ids.USER}
KEYS_SHOWN_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class CreateHolder:
    """Make a user or a team."""

    db: Database
    clock: Clock
    kind: ScopeKind

    async def run(self, actor: Actor, holder_id: str | None, changes: Changes) -> Holder:
        """Raises `PermissionDenied`, and `StateConflict` for an id that is, or was, somebody's."""
        require_admin(actor.who)
        async with self.db.transaction() as tx:
            return await self.add(tx, actor, holder_id, changes)

    async def add(self, tx: Transaction, actor: Actor, holder_id: str | None, changes: Changes) -> Holder:
        """The same as a part of a transaction."""
        holder = changes.to(_empty(holder_id or KINDS[self.kind].new(), self.clock.now()))
        if not await HolderRepository(tx.connection, self.kind).add(holder):
            raise StateConflict(
                f"There is, or was, a {self.kind} '{echo(holder.id)}'. Ids are not given twice: choose another one.",
                param=f"{self.kind}_id",
                code=f"{self.kind}_exists",
            )
        await note(tx, actor, self.clock, "create", self.kind, None, holder)
        return holder


@dataclass(frozen=True, slots=True)
class UpdateHolder:
    """Change what is given, and leave the rest."""

    db: Database
    clock: Clock
    kind: ScopeKind

    async def run(self, actor: Actor, holder_id: str, changes: Changes, *, etag: str | None = None) -> Holder:
        """Raises `PermissionDenied`, `NotFound`, and `ChangedMeanwhile` where `etag` is not its version's."""
        require_admin(actor.who)
        async with self.db.transaction() as tx:
            repository = HolderRepository(tx.connection, self.kind)
            before = await repository.find(holder_id, locked=True)
            if before is None:
                raise no_holder(self.kind, holder_id)
            require_version(before, etag)
            after = changes.to(before)
            if after == before:
                return before
            after = replace(after, version=before.version + 1, updated_at=self.clock.now())
            await repository.save(after)
            await note(tx, actor, self.clock, "update", self.kind, before, after)
        return after


@dataclass(frozen=True, slots=True)
class DeleteHolders:
    """Delete users or teams, and their keys with them."""

    db: Database
    clock: Clock
    kind: ScopeKind

    async def run(self, actor: Actor, holder_ids: Sequence[str]) -> list[str]:
        """All of them or none; returns their ids. Raises `PermissionDenied`, and `NotFound` for an unknown one."""
        require_admin(actor.who)
        async with self.db.transaction() as tx:
            repository = HolderRepository(tx.connection, self.kind)
            holders: list[Holder] = []
            # In one order everywhere, so that two deletions never wait for each other; their keys behind all of them.
            for holder_id in sorted(set(holder_ids)):
                holder = await repository.find(holder_id, locked=True)
                if holder is None:
                    raise no_holder(self.kind, holder_id)
                holders.append(holder)
            await KeyRepository(tx.connection).remove_of(self.kind, [holder.id for holder in holders])
            for holder in holders:
                await repository.entomb(holder.id, now=self.clock.now())
                await note(tx, actor, self.clock, "delete", self.kind, holder, None)
        return list(dict.fromkeys(holder_ids))


@dataclass(frozen=True, slots=True)
class GetHolder:
    """Find users or teams."""

    db: Database
    kind: ScopeKind

    async def run(self, who: Principal, holder_id: str) -> tuple[Holder, tuple[ApiKey, ...]]:
        """One with its keys. Raises `PermissionDenied` and `NotFound`."""
        require_admin(who)
        async with self.db.reading() as connection:
            holder = await HolderRepository(connection, self.kind).find(holder_id)
            if holder is None:
                raise no_holder(self.kind, holder_id)
            page, _ = await KeyRepository(connection).page(
                **{f"{self.kind}_id": holder_id}, before=None, limit=KEYS_SHOWN_MAX
            )
        return holder, page.items

    async def page(self, who: Principal, *, after: tuple[datetime, str] | None, limit: int) -> tuple[Page[Holder], int]:
        """One page, newest first, and how many there are on all. Raises `PermissionDenied`."""
        require_admin(who)
        async with self.db.reading() as connection:
            return await HolderRepository(connection, self.kind).page(after=after, limit=limit)


async def require_team(tx: Transaction, team_id: str | None) -> None:
    """Raises `InvalidField` for a team that does not exist."""
    if team_id is not None and await HolderRepository(tx.connection, ScopeKind.TEAM).find(team_id) is None:
        raise InvalidField(
            f"There is no team '{echo(team_id)}'. Make it first: POST /team/new.", param="team_id", code="no_such_team"
        )


async def require_user(tx: Transaction, actor: Actor, clock: Clock, user_id: str | None) -> None:
    """Make a user who does not exist. Raises `InvalidField` for one who was deleted."""
    if user_id is None:
        return
    repository = HolderRepository(tx.connection, ScopeKind.USER)
    if await repository.find(user_id) is not None:
        return
    user = _empty(user_id, clock.now())
    if await repository.add(user):
        await note(tx, actor, clock, "create", ScopeKind.USER, None, user)
    elif await repository.find(user_id) is None:
        raise InvalidField(
            f"The user '{echo(user_id)}' was deleted. Ids are not given twice: choose another one.",
            param="user_id",
            code="user_deleted",
        )


def no_holder(kind: ScopeKind, holder_id: str) -> NotFound:
    """That there is none with this id."""
    return NotFound(f"There is no {kind} '{echo(holder_id)}'.", param=f"{kind}_id", code=f"{kind}_not_found")


def _empty(holder_id: str, now: datetime) -> Holder:
    return Holder(holder_id, None, None, False, Policy(), {}, now, now)

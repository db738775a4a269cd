"""Keys, users, teams and the log of what admins did, in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.access import ApiKey, AuditEvent, Holder, Policy, ScopeKind
from mediagate.core.objects import Page
from mediagate.store.tables import table
from mediagate.store.tables_access import AccessUserRow, ApiKeyRow, AuditRow, TeamRow

KEY = table(ApiKeyRow)
AUDIT = table(AuditRow)
HOLDERS = {ScopeKind.TEAM: table(TeamRow), ScopeKind.USER: table(AccessUserRow)}


def _values(one: ApiKey | Holder) -> dict[str, Any]:
    values = {member.name: getattr(one, member.name) for member in fields(one)}
    return {**values, "policy": one.policy.stored(), "info": dict(one.info)}


def _key(row: Any) -> ApiKey:
    values = row._asdict()
    return ApiKey(**{**values, "hash": bytes(values["hash"]), "policy": Policy.of(values["policy"])})


class KeyRepository:
    """Reads and writes keys through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: ApiKey) -> bool:
        """Insert a new key; False where its alias is taken."""
        statement = postgresql_insert(KEY).values(_values(key)).on_conflict_do_nothing().returning(KEY.c.id)
        return (await self._connection.execute(statement)).first() is not None

    async def find(self, name: str, digest: bytes, *, locked: bool = False) -> ApiKey | None:
        """The key with the id or alias `name`, or the secret whose SHA-256 is `digest`; `locked` holds its row."""
        query = (
            select(KEY)
            .where(or_(KEY.c.hash == digest, KEY.c.id == name, KEY.c.alias == name))
            .order_by((KEY.c.hash == digest).desc(), (KEY.c.id == name).desc())
        )
        row = (await self._connection.execute(query.limit(1).with_for_update() if locked else query.limit(1))).first()
        return None if row is None else _key(row)

    async def hold(self, key_ids: Iterable[str]) -> list[ApiKey]:
        """Those that there are, which nobody else changes until the transaction ends. They are taken in the order of
        their ids, however they were named, so that two who take several never wait for each other."""
        query = select(KEY).where(KEY.c.id.in_(list(key_ids))).order_by(KEY.c.id).with_for_update()
        return [_key(row) for row in (await self._connection.execute(query)).all()]

    async def has_alias(self, alias: str, *, but: str) -> bool:
        """Whether another key than `but` has the alias."""
        query = select(KEY.c.id).where(KEY.c.alias == alias, KEY.c.id != but)
        return (await self._connection.execute(query)).first() is not None

    async def save(self, key: ApiKey) -> None:
        """Write a key whose row is held."""
        await self._connection.execute(update(KEY).where(KEY.c.id == key.id).values(_values(key)))

    async def remove(self, key_id: str) -> None:
        """Delete a key."""
        await self._connection.execute(delete(KEY).where(KEY.c.id == key_id))

    async def remove_of(self, kind: ScopeKind, holder_ids: Iterable[str]) -> None:
        """Delete every key of users or teams."""
        column = KEY.c.team_id if kind is ScopeKind.TEAM else KEY.c.user_id
        theirs = column.in_(list(holder_ids))
        await self._connection.execute(select(KEY.c.id).where(theirs).order_by(KEY.c.id).with_for_update())
        await self._connection.execute(delete(KEY).where(theirs))

    async def page(
        self,
        *,
        user_id: str | None = None,
        team_id: str | None = None,
        alias: str | None = None,
        before: str | None,
        limit: int,
    ) -> tuple[Page[ApiKey], int]:
        """Keys, newest first, and how many there are on all pages."""
        given = {KEY.c.user_id: user_id, KEY.c.team_id: team_id, KEY.c.alias: alias}
        conditions = [column == value for column, value in given.items() if value is not None]
        total = await self._connection.execute(select(func.count()).select_from(KEY).where(*conditions))
        if before is not None:
            conditions.append(KEY.c.id < before)
        query = select(KEY).where(*conditions).order_by(KEY.c.id.desc()).limit(limit + 1)
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(_key(row) for row in rows[:limit]), has_more=len(rows) > limit), total.scalar_one()


class HolderRepository:
    """Reads and writes users or teams through one connection. One that was deleted is not found and keeps its id."""

    def __init__(self, connection: AsyncConnection, kind: ScopeKind) -> None:
        self._connection = connection
        self._kind = kind
        self._table = HOLDERS[kind]

    def _holder(self, row: Any) -> Holder:
        values = {"email": None, **row._asdict()}
        del values["deleted_at"]
        return Holder(**{**values, "policy": Policy.of(values["policy"])})

    def _row(self, holder: Holder) -> dict[str, Any]:
        values = _values(holder)
        if self._kind is ScopeKind.TEAM:
            del values["email"]
        return values

    async def add(self, holder: Holder) -> bool:
        """Insert a new one; False where there is, or was, one with its id."""
        statement = (
            postgresql_insert(self._table)
            .values(self._row(holder))
            .on_conflict_do_nothing()
            .returning(self._table.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def find(self, holder_id: str, *, locked: bool = False) -> Holder | None:
        """One that was not deleted; `locked` holds its row."""
        query = select(self._table).where(self._table.c.id == holder_id, self._table.c.deleted_at.is_(None))
        row = (await self._connection.execute(query.with_for_update() if locked else query)).first()
        return None if row is None else self._holder(row)

    async def save(self, holder: Holder) -> None:
        """Write one whose row is held."""
        await self._connection.execute(
            update(self._table).where(self._table.c.id == holder.id).values(self._row(holder))
        )

    async def entomb(self, holder_id: str, *, now: datetime) -> None:
        """Delete one; its id stays taken."""
        await self._connection.execute(
            update(self._table).where(self._table.c.id == holder_id).values(deleted_at=now, updated_at=now)
        )

    async def page(self, *, after: tuple[datetime, str] | None, limit: int) -> tuple[Page[Holder], int]:
        """Newest first, and how many there are on all pages."""
        rows_of = self._table.c
        alive: ColumnElement[bool] = rows_of.deleted_at.is_(None)
        total = await self._connection.execute(select(func.count()).select_from(self._table).where(alive))
        query = select(self._table).where(alive)
        if after is not None:
            moment, holder_id = after
            query = query.where(
                or_(rows_of.created_at < moment, (rows_of.created_at == moment) & (rows_of.id < holder_id))
            )
        query = query.order_by(rows_of.created_at.desc(), rows_of.id.desc()).limit(limit + 1)
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(self._holder(row) for row in rows[:limit]), has_more=len(rows) > limit), total.scalar_one()


class AuditRepository:
    """Writes and reads what admins did."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, events: Sequence[AuditEvent]) -> None:
        """Write events down."""
        rows = [{member.name: getattr(event, member.name) for member in fields(event)} for event in events]
        await self._connection.execute(insert(AUDIT), rows)

    async def page(
        self, *, object_id: str | None, actor_key_id: str | None, before: str | None, limit: int
    ) -> Page[AuditEvent]:
        """Newest first."""
        given = {AUDIT.c.object_id: object_id, AUDIT.c.actor_key_id: actor_key_id}
        query = select(AUDIT).where(*[column == value for column, value in given.items() if value is not None])
        if before is not None:
            query = query.where(AUDIT.c.id < before)
        rows = (await self._connection.execute(query.order_by(AUDIT.c.id.desc()).limit(limit + 1))).all()
        return Page(tuple(AuditEvent(**row._asdict()) for row in rows[:limit]), has_more=len(rows) > limit)

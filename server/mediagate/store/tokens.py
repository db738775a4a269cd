"""Tokens that may be given to browsers, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.handles import Handle, HandleKind, Token, UploadTerms
from mediagate.core.objects import Page, Principal
from mediagate.store.batching import Batched
from mediagate.store.database import Database
from mediagate.store.files import FILE, VISIBLE
from mediagate.store.keys import Grant, grant_of
from mediagate.store.owners import visible_to
from mediagate.store.tables import table
from mediagate.store.tables_handles import TokenRow

TOKEN = table(TokenRow)
_NAMES = (
    *("id", "owner_id", "kind", "hint", "created_at", "expires_at", "end_user", "key_id", "object_id", "terms"),
    *("revoked_at", "used_at", "made_id"),
)
_COLUMNS = tuple(TOKEN.c[name] for name in _NAMES)
# The key's part is in the order of `grant_of`. A token whose key is gone has gone with it.
_FIND = """
SELECT token.hash, key.id, key.user_id, key.team_id, false, false, token.expires_at,
    coalesce(key.is_blocked, false) OR coalesce(team.is_blocked, false) OR coalesce(holder.is_blocked, false),
    team.policy, holder.policy, key.policy,
    token.id, token.kind, token.object_id, token.terms, token.owner_id, token.end_user,
    token.revoked_at IS NOT NULL, token.master_mark, key.expires_at
FROM access_token AS token
LEFT JOIN api_key AS key ON key.id = token.key_id
LEFT JOIN team ON team.id = key.team_id
LEFT JOIN access_user AS holder ON holder.id = key.user_id
WHERE token.hash = ANY(%(hashes)s::bytea[]) AND team.deleted_at IS NULL AND holder.deleted_at IS NULL
"""
_OF_KEY = 11


class TokenLookup:
    """Finds tokens by their digests, many callers to a query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = Batched(self._load)

    async def get(self, digest: bytes) -> Grant | None:
        """What the token gives whose SHA-256 is `digest`."""
        return await self._batched.get(digest)

    async def _load(self, digests: Sequence[bytes]) -> dict[bytes, Grant]:
        return {bytes(row[0]): _grant(row) for row in await self._db.fetch(_FIND, {"hashes": list(digests)})}


def _grant(row: Sequence[Any]) -> Grant:
    of_key, key_id = grant_of(row[:_OF_KEY]), row[1]
    token_id, kind, object_id, terms, owner_id, end_user, is_revoked, mark, key_ends_at = row[_OF_KEY:]
    handle = Handle(token_id, HandleKind(kind), object_id, None if terms is None else UploadTerms.of(terms))
    # A key that stands for somebody else by now opens nothing of those whose it was.
    moved = key_id is not None and of_key.who.owner_id != owner_id
    who = replace(of_key.who, owner_id=owner_id, end_user=end_user, handle=handle)
    ends = [end for end in (of_key.expires_at, key_ends_at) if end is not None]
    return replace(
        of_key,
        who=who,
        expires_at=min(ends),
        is_revoked=is_revoked or moved,
        master_mark=None if mark is None else bytes(mark),
    )


def _token(row: Sequence[Any]) -> Token:
    values = dict(zip(_NAMES, row, strict=True))
    values["kind"] = HandleKind(values["kind"])
    values["terms"] = None if values["terms"] is None else UploadTerms.of(values["terms"])
    return Token(**values)


class TokenRepository:
    """Reads and writes tokens through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, token: Token, digest: bytes, master_mark: bytes | None, room_id: str | None = None) -> None:
        """Insert a new token. `room_id` is the upload that holds the room of what it takes."""
        values = {name: getattr(token, name) for name in _NAMES}
        values["kind"] = token.kind.value
        values["terms"] = None if token.terms is None else token.terms.stored()
        await self._connection.execute(
            insert(TOKEN).values(**values, hash=digest, master_mark=master_mark, room_id=room_id)
        )

    async def get(self, who: Principal, token_id: str) -> Token | None:
        """A token of the caller's."""
        query = select(*_COLUMNS).where(TOKEN.c.id == token_id, *visible_to(who, TOKEN))
        row = (await self._connection.execute(query)).first()
        return None if row is None else _token(row)

    async def page(
        self, who: Principal, *, after: str | None, limit: int, object_id: str | None, kind: HandleKind | None
    ) -> Page[Token]:
        """The caller's tokens, the newest first."""
        conditions: list[ColumnElement[bool]] = visible_to(who, TOKEN)
        if after is not None:
            conditions.append(TOKEN.c.id < after)
        if object_id is not None:
            conditions.append(TOKEN.c.object_id == object_id)
        if kind is not None:
            conditions.append(TOKEN.c.kind == kind.value)
        query = select(*_COLUMNS).where(*conditions).order_by(TOKEN.c.id.desc()).limit(limit + 1)
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(_token(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def revoke(self, who: Principal, token_id: str, *, now: datetime) -> Token | None:
        """End it for good; only the first time counts. None where there is no such token."""
        statement = (
            update(TOKEN)
            .where(TOKEN.c.id == token_id, *visible_to(who, TOKEN))
            .values(revoked_at=func.coalesce(TOKEN.c.revoked_at, now))
            .returning(*_COLUMNS)
        )
        row = (await self._connection.execute(statement)).first()
        return None if row is None else _token(row)

    async def claim(self, token_id: str, claim: str, *, now: datetime, until: datetime) -> bool:
        """Have an unused token for one upload; False where it is used, revoked or claimed by another one."""
        free = or_(TOKEN.c.claimed_until.is_(None), TOKEN.c.claimed_until <= now)
        result = await self._connection.execute(
            update(TOKEN)
            .where(TOKEN.c.id == token_id, TOKEN.c.used_at.is_(None), TOKEN.c.revoked_at.is_(None), free)
            .values(claim=claim, claimed_until=until)
        )
        return result.rowcount == 1

    async def state(self, token_id: str) -> Token | None:
        """A token whoever owns it."""
        row = (await self._connection.execute(select(*_COLUMNS).where(TOKEN.c.id == token_id))).first()
        return None if row is None else _token(row)

    async def renew(self, token_id: str, claim: str, *, until: datetime) -> None:
        """Say that the upload lives."""
        await self._connection.execute(
            update(TOKEN)
            .where(TOKEN.c.id == token_id, TOKEN.c.claim == claim, TOKEN.c.used_at.is_(None))
            .values(claimed_until=until)
        )

    async def use(self, token_id: str, claim: str, file_id: str, *, now: datetime) -> bool:
        """Use it up; False where it is no longer this upload's, or was revoked."""
        result = await self._connection.execute(
            update(TOKEN)
            .where(
                TOKEN.c.id == token_id,
                TOKEN.c.claim == claim,
                TOKEN.c.used_at.is_(None),
                TOKEN.c.revoked_at.is_(None),
            )
            .values(used_at=now, made_id=file_id, claimed_until=None)
        )
        return result.rowcount == 1

    async def release(self, token_id: str, claim: str) -> None:
        """Give it back where this upload left no file."""
        stored = exists().where(FILE.c.id == TOKEN.c.made_id, FILE.c.state.in_(VISIBLE))
        await self._connection.execute(
            update(TOKEN)
            .where(TOKEN.c.id == token_id, TOKEN.c.claim == claim, ~stored)
            .values(used_at=None, made_id=None, claim=None, claimed_until=None)
        )

    async def sweep(self, *, before: datetime, limit: int) -> int:
        """Forget tokens that were over before a time; returns how many there were."""
        due = (
            select(TOKEN.c.id)
            .where(TOKEN.c.expires_at <= before)
            .order_by(TOKEN.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        result = await self._connection.execute(delete(TOKEN).where(TOKEN.c.id.in_(due)))
        return result.rowcount

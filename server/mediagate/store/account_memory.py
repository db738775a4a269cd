"""What the accounts of former configurations were, sealed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.store.tables import AccountMemoryRow, table

MEMORY = table(AccountMemoryRow)
# A video that was made counts while its bytes may still be asked for from where it was made.
_FORGET = """
DELETE FROM account_memory m
WHERE NOT (m.id = ANY(CAST(:kept AS text[])))
  AND NOT EXISTS (
    SELECT 1 FROM video v WHERE v.account = m.id AND (
      v.ended_at IS NULL OR v.deleted_at IS NOT NULL
      OR (v.phase = 'ready' AND (v.expires_at IS NULL OR v.expires_at > :now))))
  AND NOT EXISTS (
    SELECT 1 FROM batch b WHERE m.id IN (b.account, b.file_account) AND (b.ended_at IS NULL OR b.cleaned_at IS NULL))
  AND NOT EXISTS (SELECT 1 FROM file_replica r WHERE r.account = m.id AND r.state <> 'deleted')
RETURNING m.id
"""


@dataclass(frozen=True, slots=True)
class SealedAccount:
    """One account as it lies in the database."""

    id: str
    provider: str
    sealed: bytes


class AccountMemory:
    """Reads and writes them through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> list[SealedAccount]:
        """Every account that is remembered."""
        query = select(MEMORY.c.id, MEMORY.c.provider, MEMORY.c.sealed).order_by(MEMORY.c.id)
        rows = (await self._connection.execute(query)).all()
        return [SealedAccount(row.id, row.provider, bytes(row.sealed)) for row in rows]

    async def remember(self, account: SealedAccount, *, now: datetime) -> None:
        """Write one down, over what it was before."""
        values = {"provider": account.provider, "sealed": account.sealed, "updated_at": now}
        statement = insert(MEMORY).values(id=account.id, **values)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))

    async def forget_unused(self, *, kept: Collection[str], now: datetime) -> list[str]:
        """Forget the accounts that hold nothing any more, but those in `kept`; the ids of those that were forgotten."""
        rows = (await self._connection.execute(text(_FORGET), {"kept": list(kept), "now": now})).all()
        return [row.id for row in rows]

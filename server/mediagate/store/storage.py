"""How much is stored, for whom and where, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core.storage import MadeBy, Quota

FOLD_BATCH = 20_000
# The query keeps the order of the array, so locks are always taken in that of the quotas.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(scope, 0)) FROM unnest(CAST(:scopes AS text[])) AS scope")
_SUMS = """
SELECT scope_kind, scope_id, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes,
    sum(reserved_bytes)::bigint AS reserved_bytes
FROM (
    SELECT u.scope_kind, u.scope_id, u.files, u.bytes, u.reserved_bytes FROM storage_usage u
    JOIN unnest(CAST(:kinds AS text[]), CAST(:ids AS text[])) AS asked (kind, id)
        ON u.scope_kind = asked.kind AND u.scope_id = asked.id
    UNION ALL
    SELECT d.scope_kind, d.scope_id, d.files, d.bytes, d.reserved_bytes FROM storage_delta d
    JOIN unnest(CAST(:kinds AS text[]), CAST(:ids AS text[])) AS asked (kind, id)
        ON d.scope_kind = asked.kind AND d.scope_id = asked.id
) AS sums GROUP BY scope_kind, scope_id
"""
_FOLD = text("""
WITH gone AS (
    DELETE FROM storage_delta WHERE id IN (SELECT id FROM storage_delta ORDER BY id LIMIT :limit)
    RETURNING scope_kind, scope_id, purpose, files, bytes, reserved_bytes
), folded AS (
    INSERT INTO storage_usage (scope_kind, scope_id, purpose, files, bytes, reserved_bytes)
    SELECT scope_kind, scope_id, purpose, sum(files), sum(bytes), sum(reserved_bytes)
    FROM gone GROUP BY scope_kind, scope_id, purpose
    ON CONFLICT (scope_kind, scope_id, purpose) DO UPDATE SET
        files = storage_usage.files + excluded.files,
        bytes = storage_usage.bytes + excluded.bytes,
        reserved_bytes = storage_usage.reserved_bytes + excluded.reserved_bytes
)
SELECT count(*) FROM gone
""")
_FORGET_EMPTY = text("DELETE FROM storage_usage WHERE files = 0 AND bytes = 0 AND reserved_bytes = 0")
# Whole copies wherever they lie, those of files with a tombstone among them: they are there until they are removed.
_PER_ACCOUNT = """
SELECT r.account, min(r.provider) AS provider, count(*) AS copies, sum(f.size_bytes)::bigint AS bytes
FROM file_replica r JOIN file f ON f.id = r.file_id
WHERE r.state IN ('ready', 'processing') {condition} GROUP BY r.account ORDER BY r.account
"""
_PER_PURPOSE = """
SELECT f.purpose, count(*) AS files, sum(f.size_bytes)::bigint AS bytes
FROM file f WHERE f.state = 'processed' {condition} GROUP BY f.purpose ORDER BY f.purpose
"""
_TOTAL = """
SELECT count(*) FILTER (WHERE f.state = 'processed') AS files,
    coalesce(sum(f.size_bytes) FILTER (WHERE f.state = 'processed'), 0)::bigint AS bytes,
    (coalesce(sum(f.reserved_bytes) FILTER (WHERE f.state IN ('receiving', 'copying')), 0)
      + (SELECT coalesce(sum(u.reserved_bytes), 0) FROM upload u
         WHERE u.state IN ('pending', 'completing') {upload}))::bigint AS reserved_bytes
FROM file f WHERE f.state IN ('processed', 'receiving', 'copying') {condition}
"""
_LARGEST = text("""
WITH sums AS (
    SELECT scope_kind, scope_id, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes,
        sum(reserved_bytes)::bigint AS reserved_bytes
    FROM (
        SELECT scope_kind, scope_id, files, bytes, reserved_bytes FROM storage_usage
        UNION ALL SELECT scope_kind, scope_id, files, bytes, reserved_bytes FROM storage_delta
    ) AS both_tables
    WHERE scope_kind IN ('team', 'user', 'key') GROUP BY scope_kind, scope_id
)
SELECT scope_kind, scope_id, files, bytes, reserved_bytes,
    coalesce(t.policy, h.policy, k.policy) ->> 'storage_bytes_max' AS bytes_max
FROM sums
LEFT JOIN team t ON scope_kind = 'team' AND t.id = scope_id
LEFT JOIN access_user h ON scope_kind = 'user' AND h.id = scope_id
LEFT JOIN api_key k ON scope_kind = 'key' AND k.id = scope_id
WHERE files <> 0 OR bytes <> 0 OR reserved_bytes <> 0
ORDER BY bytes + reserved_bytes DESC, scope_kind, scope_id LIMIT :limit
""")


_QUOTAS = text("""
SELECT asked.kind, asked.id, coalesce(t.policy, h.policy, k.policy) ->> 'storage_bytes_max' AS bytes_max
FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[])) AS asked (kind, id)
LEFT JOIN team t ON asked.kind = 'team' AND t.id = asked.id
LEFT JOIN access_user h ON asked.kind = 'user' AND h.id = asked.id
LEFT JOIN api_key k ON asked.kind = 'key' AND k.id = asked.id
""")


@dataclass(frozen=True, slots=True)
class Held:
    """What a scope holds: whole files, their bytes, and the bytes reserved for what is on its way."""

    kind: str
    id: str
    files: int = 0
    bytes: int = 0
    reserved_bytes: int = 0
    bytes_max: int | None = None


@dataclass(frozen=True, slots=True)
class HeldFor:
    """Whole files of one purpose."""

    purpose: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class HeldAt:
    """Whole copies in one account."""

    account: str
    provider: str
    copies: int
    bytes: int


class StorageRepository:
    """Reads sums through one connection; whoever changes a file changes them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, quotas: Sequence[Quota]) -> None:
        """Let nobody else reserve in these scopes until the transaction ends. A statement of its own: what is read
        behind it sees what those before have committed."""
        await self._connection.execute(_LOCK, {"scopes": [f"storage {quota.kind} {quota.id}" for quota in quotas]})

    async def held(self, scopes: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Held]:
        """What these scopes, `(kind, id)`, hold; every one of them is in the answer."""
        asked = {"kinds": [kind for kind, _ in scopes], "ids": [id_ for _, id_ in scopes]}
        rows = (await self._connection.execute(text(_SUMS), asked)).all()
        found = {
            (row.scope_kind, row.scope_id): Held(row.scope_kind, row.scope_id, row.files, row.bytes, row.reserved_bytes)
            for row in rows
        }
        return {scope: found.get(scope, Held(*scope)) for scope in scopes}

    async def quotas(self, scopes: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The bounds that the policies of these scopes have."""
        if not scopes:
            return {}
        asked = {"kinds": [kind for kind, _ in scopes], "ids": [id_ for _, id_ in scopes]}
        rows = (await self._connection.execute(_QUOTAS, asked)).all()
        return {(row.kind, row.id): int(float(row.bytes_max)) for row in rows if row.bytes_max is not None}

    async def fold(self, *, limit: int = FOLD_BATCH) -> int:
        """Add up to `limit` changes to the sums; returns how many there were. One caller at a time."""
        count: int = (await self._connection.execute(_FOLD, {"limit": limit})).scalar_one()
        if count:
            await self._connection.execute(_FORGET_EMPTY)
        return count

    async def total(self, of: MadeBy, owner_id: str | None = None) -> Held:
        """What these made together; all of them where nobody is named. Read from the files themselves."""
        condition, values = _matching(of, owner_id, "f")
        upload, _ = _matching(of, owner_id, "u")
        row = (await self._connection.execute(text(_TOTAL.format(condition=condition, upload=upload)), values)).one()
        return Held("", "", row.files, row.bytes, row.reserved_bytes)

    async def per_purpose(self, of: MadeBy, owner_id: str | None = None) -> list[HeldFor]:
        """The same by what the files are for."""
        condition, values = _matching(of, owner_id, "f")
        rows = (await self._connection.execute(text(_PER_PURPOSE.format(condition=condition)), values)).all()
        return [HeldFor(row.purpose, row.files, row.bytes) for row in rows]

    async def per_account(self, of: MadeBy, owner_id: str | None = None) -> list[HeldAt]:
        """The same by where the copies lie."""
        condition, values = _matching(of, owner_id, "f")
        rows = (await self._connection.execute(text(_PER_ACCOUNT.format(condition=condition)), values)).all()
        return [HeldAt(row.account, row.provider, row.copies, row.bytes or 0) for row in rows]

    async def largest(self, *, limit: int) -> list[Held]:
        """The teams, users and keys that hold most, with their quotas."""
        rows = (await self._connection.execute(_LARGEST, {"limit": limit})).all()
        return [
            Held(
                row.scope_kind,
                row.scope_id,
                row.files,
                row.bytes,
                row.reserved_bytes,
                None if row.bytes_max is None else int(float(row.bytes_max)),
            )
            for row in rows
        ]


def _matching(of: MadeBy, owner_id: str | None, alias: str) -> tuple[str, dict[str, str]]:
    """The condition that a row was made by these, and its values."""
    values = {name: value for name, value in {**of.columns(), "owner_id": owner_id}.items() if value is not None}
    return "".join(f" AND {alias}.{name} = :{name}" for name in values), values

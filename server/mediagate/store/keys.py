"""Who a key stands for, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediagate.core.access import Policy, Scope, ScopeKind, owner_of
from mediagate.core.objects import Principal
from mediagate.store.batching import Batched
from mediagate.store.database import Database

ACCESS_CHANNEL = "mediagate_access"
"""NOTIFY channel; the payload is `KIND ID` of the key, user, team or token that was changed."""
_FIND = """
SELECT key.hash, key.id, key.user_id, key.team_id, key.is_admin, key.uses_providers, key.expires_at,
    key.is_blocked OR coalesce(team.is_blocked, false) OR coalesce(holder.is_blocked, false),
    team.policy, holder.policy, key.policy
FROM api_key AS key
LEFT JOIN team ON team.id = key.team_id
LEFT JOIN access_user AS holder ON holder.id = key.user_id
WHERE key.hash = ANY(%(hashes)s::bytea[]) AND team.deleted_at IS NULL AND holder.deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key, or a token, gives to whoever has it. `master_mark` is of a token that the master key made."""

    who: Principal
    is_blocked: bool
    expires_at: datetime | None
    is_revoked: bool = False
    master_mark: bytes | None = None


class KeyLookup:
    """Finds keys by their digests, many callers to a query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = Batched(self._load)

    async def get(self, digest: bytes) -> Grant | None:
        """The grant of the key whose SHA-256 is `digest`."""
        return await self._batched.get(digest)

    async def _load(self, digests: Sequence[bytes]) -> dict[bytes, Grant]:
        return {bytes(row[0]): grant_of(row) for row in await self._db.fetch(_FIND, {"hashes": list(digests)})}


def grant_of(row: Sequence[Any]) -> Grant:
    """A row of a digest, the key's columns and its policies, in the order of `_FIND`."""
    _, key_id, user_id, team_id, is_admin, uses_providers, expires_at, is_blocked, *policies = row
    held = zip(ScopeKind, (team_id, user_id, key_id), policies, strict=True)
    who = Principal(
        owner_id=owner_of(team_id, user_id, key_id),
        uses_providers=uses_providers,
        is_admin=is_admin,
        key_id=key_id,
        user_id=user_id,
        team_id=team_id,
        scopes=tuple(Scope(kind, id_, Policy.of(policy)) for kind, id_, policy in held if id_ is not None),
    )
    return Grant(who, is_blocked, expires_at)

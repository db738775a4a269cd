"""Tell what is stored, for whom and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagate.core.access import ScopeKind
from mediagate.core.errors import PermissionDenied
from mediagate.core.objects import Principal
from mediagate.core.storage import END_USER, MadeBy, end_user_scope, quotas_of
from mediagate.storage.accounts import Fullness, WatchAccounts
from mediagate.store.database import Database
from mediagate.store.storage import Held, HeldFor, StorageRepository

LIMIT = 100


@dataclass(frozen=True, slots=True)
class Usage:
    """What the asked hold together, scope by scope, by purpose and by account."""

    total: Held
    scopes: Sequence[Held]
    purposes: Sequence[HeldFor]
    accounts: Sequence[Fullness]


@dataclass(frozen=True, slots=True)
class GetStorageUsage:
    """The sums of all scopes are kept up to date with every change; breakdowns are read from the files."""

    db: Database
    accounts: WatchAccounts

    async def run(self, who: Principal, asked: MadeBy, *, limit: int | None = None) -> Usage:
        """`asked` are the filters. Raises `PermissionDenied` for a caller who asks for others and is no admin."""
        if not who.is_admin:
            _require_own(who, asked)
        everything = who.is_admin and asked == MadeBy()
        owner_id = None if who.is_admin else who.owner_id
        async with self.db.reading() as connection:
            sums = StorageRepository(connection)
            scopes = await sums.largest(limit=limit or LIMIT) if everything else await self._scopes(sums, who, asked)
            total = await sums.total(asked, owner_id)
            purposes = await sums.per_purpose(asked, owner_id)
            held_at = [] if everything else await sums.per_account(asked, owner_id)
        places = await self.accounts.look() if everything else [Fullness(held, None) for held in held_at]
        return Usage(total, scopes, purposes, places)

    async def _scopes(self, sums: StorageRepository, who: Principal, asked: MadeBy) -> list[Held]:
        """What the named scopes hold, or those of the caller; an end user only under the caller's own owner, because
        the same name with another owner is somebody else."""
        bounds = {(quota.kind, quota.id): quota.bytes_max for quota in quotas_of(who, asked.end_user)}
        named = [(kind.value, id_) for kind, id_ in zip(ScopeKind, _ids(asked), strict=True) if id_ is not None]
        own = [(scope.kind.value, scope.id) for scope in who.scopes]
        wanted = named or ([] if asked.end_user else own)
        if asked.end_user is not None and not named:
            wanted.append((END_USER, end_user_scope(who.owner_id, asked.end_user)))
        held = await sums.held(wanted) if wanted else {}
        bounds |= await sums.quotas([scope for scope in wanted if scope not in bounds and scope[0] != END_USER])
        return [
            Held(
                kind,
                asked.end_user or "" if kind == END_USER else id_,
                found.files,
                found.bytes,
                found.reserved_bytes,
                bounds.get((kind, id_)),
            )
            for (kind, id_), found in held.items()
        ]


def _ids(asked: MadeBy) -> tuple[str | None, str | None, str | None]:
    """In the order of `ScopeKind`."""
    return asked.team_id, asked.user_id, asked.key_id


def _require_own(who: Principal, asked: MadeBy) -> None:
    own = {(scope.kind, scope.id) for scope in who.scopes}
    for kind, id_ in zip(ScopeKind, _ids(asked), strict=True):
        if id_ is not None and (kind, id_) not in own:
            raise PermissionDenied(
                f"This key may only ask for its own storage. Leave '{kind.value}_id' out, or ask with an admin key.",
                param=f"{kind.value}_id",
                code="admin_only",
            )

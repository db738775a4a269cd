"""Who made what is stored, and what the makers may hold together, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mediagate.core.access import ScopeKind
from mediagate.core.objects import Principal

END_USER: Final = "end_user"
"""The scope of an end user, beside those of `ScopeKind`. It lies in its owner: two owners' `alice` are two."""
_SEPARATOR: Final = chr(31)


@dataclass(frozen=True, slots=True)
class MadeBy:
    """Whom what is stored counts for."""

    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    end_user: str | None = None

    @classmethod
    def of(cls, who: Principal, end_user: str | None = None) -> MadeBy:
        """The key, its user and its team, and the `end_user`, else the one that the call acts for. A job knows only the
        owner, which is one of them."""
        end_user = end_user or who.end_user
        if who.key_id or who.user_id or who.team_id:
            return cls(who.key_id, who.user_id, who.team_id, end_user)
        kind, _, id_ = who.owner_id.partition(":")
        if id_ and kind in list(ScopeKind):
            return cls(**{f"{kind}_id": id_}, end_user=end_user)
        return cls(end_user=end_user)

    def columns(self) -> dict[str, Any]:
        """As the columns of a row."""
        return {
            "key_id": self.key_id,
            "user_id": self.user_id,
            "team_id": self.team_id,
            "end_user": self.end_user,
        }


@dataclass(frozen=True, slots=True)
class Quota:
    """The most bytes that one scope may hold, those that are reserved among them."""

    kind: str
    id: str
    bytes_max: int

    @property
    def whose(self) -> str:
        """The scope, as messages name it."""
        if self.kind == END_USER:
            return f"the end user '{self.id.partition(_SEPARATOR)[2]}'"
        return f"the {self.kind} '{self.id}'"


def end_user_scope(owner_id: str, end_user: str) -> str:
    """The id of an end user's scope."""
    return f"{owner_id}{_SEPARATOR}{end_user}"


def quotas_of(who: Principal, end_user: str | None = None) -> tuple[Quota, ...]:
    """Every quota that a file of this caller must fit into, in the order in which they are always locked: team, user,
    key, end user. The smallest bound for end users is the one that counts."""
    end_user = end_user or who.end_user
    quotas = [
        Quota(scope.kind.value, scope.id, scope.policy.storage_bytes_max)
        for scope in who.scopes
        if scope.policy.storage_bytes_max is not None
    ]
    bounds = [scope.policy.end_user_storage_bytes_max for scope in who.scopes]
    bound = min((bound for bound in bounds if bound is not None), default=None)
    if end_user and bound is not None:
        quotas.append(Quota(END_USER, end_user_scope(who.owner_id, end_user), bound))
    return tuple(quotas)

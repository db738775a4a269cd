"""What somebody may do, as plain values: a key, its user and its team each have a policy, and each of them must allow.

A policy is kept as JSON, so that a new member needs no change of a table. What it leaves out is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any


class ScopeKind(StrEnum):
    """Whom a policy, a budget or a quota is for."""

    TEAM = "team"
    USER = "user"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a key, a user or a team may do. Amounts are US dollars, sizes bytes; None is no limit.

    A name in `models` or `providers` may end in `*`. `budget_period` is `30d`, `1mo` and the like; without one a budget
    is never reset. `placement` is what accounts must be like, by label; `retention_days` how long files are kept, by
    purpose (`*` for every other). `guardrails` run beside those that always run.
    """

    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    max_budget_usd: float | None = None
    soft_budget_usd: float | None = None
    budget_period: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    uploads_per_minute: int | None = None
    bytes_per_minute: int | None = None
    parallel_requests: int | None = None
    parallel_uploads: int | None = None
    storage_bytes_max: int | None = None
    end_user_storage_bytes_max: int | None = None
    placement: Mapping[str, str] = field(default_factory=dict)
    retention_days: Mapping[str, int] = field(default_factory=dict)
    guardrails: tuple[str, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Policy:
        """From JSON. Members that this version does not know are passed over: a newer process may have written them."""
        known = {member.name for member in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in known
        }
        return cls(**values)

    def stored(self) -> dict[str, Any]:
        """As JSON, without what it leaves open."""
        values = {member.name: getattr(self, member.name) for member in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None and value != () and value != {}
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """A key, a user or a team that a call counts for."""

    kind: ScopeKind
    id: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Holder:
    """A user or a team. `info` is whatever its admin notes; `version` counts its changes."""

    id: str
    alias: str | None
    email: str | None
    is_blocked: bool
    policy: Policy
    info: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key. `hash` is the SHA-256 of its secret, `hint` the end of that."""

    id: str
    hash: bytes = field(repr=False)
    hint: str
    alias: str | None
    user_id: str | None
    team_id: str | None
    is_admin: bool
    uses_providers: bool
    is_blocked: bool
    policy: Policy
    info: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    version: int = 1

    @property
    def owner_id(self) -> str:
        """Whom the objects that it makes belong to."""
        return owner_of(self.team_id, self.user_id, self.id)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What an admin changed: each member of `changes` is `[before, after]`. The master key has no `actor_key_id`."""

    id: str
    time: datetime
    actor_key_id: str | None
    action: str
    object_kind: str
    object_id: str
    changes: Mapping[str, Any]
    request_id: str | None


def owner_of(team_id: str | None, user_id: str | None, key_id: str) -> str:
    """Whom the objects of a key belong to: its team, else its user, else itself."""
    return f"team:{team_id}" if team_id else f"user:{user_id}" if user_id else f"key:{key_id}"


def allows(patterns: tuple[str, ...] | None, name: str) -> bool:
    """Whether a list of names, which may end in `*`, has `name`. None has every name."""
    return patterns is None or any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns
    )

"""What somebody may do, as plain values: a key, its user and its team each have a policy, and each of them must allow.

A policy is kept as JSON, so that a new member needs no change of a table. What it leaves out is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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


def allows(patterns: tuple[str, ...] | None, name: str) -> bool:
    """Whether a list of names, which may end in `*`, has `name`. None has every name."""
    return patterns is None or any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns
    )

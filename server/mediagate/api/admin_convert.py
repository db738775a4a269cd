"""Keys, users and teams as messages of the wire, and what a message changes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf import json_format

from mediagate._gen.mediagate.v1 import admin_pb2 as pb
from mediagate.access.changes import Changes, etag_of
from mediagate.access.secrets import PREFIX
from mediagate.api.convert import unix
from mediagate.core.access import ApiKey, AuditEvent, Holder, Policy
from mediagate.core.errors import InvalidField
from mediagate.core.limits import KIB, echo
from mediagate.core.periods import end_of_period
from mediagate.core.spend import Budget

METADATA_BYTES_MAX: Final = 16 * KIB
NEVER: Final = "never"
# Fields of the messages that are members of a policy.
_POLICY: Final = {
    "models": "models",
    "providers": "providers",
    "max_budget": "max_budget_usd",
    "soft_budget": "soft_budget_usd",
    "budget_duration": "budget_period",
    "rpm_limit": "requests_per_minute",
    "tpm_limit": "tokens_per_minute",
    "uploads_per_minute": "uploads_per_minute",
    "bytes_per_minute": "bytes_per_minute",
    "max_parallel_requests": "parallel_requests",
    "max_parallel_uploads": "parallel_uploads",
    "storage_quota_bytes": "storage_bytes_max",
    "end_user_storage_quota_bytes": "end_user_storage_bytes_max",
    "placement": "placement",
    "retention_days": "retention_days",
    "guardrails": "guardrails",
}
_BYTES: Final = frozenset({"bytes_per_minute", "storage_quota_bytes", "end_user_storage_quota_bytes"})
_COMMON: Final = {"blocked": "is_blocked", "metadata": "info"}
_MEMBERS: Final[Mapping[type, Mapping[str, str]]] = {
    pb.Key: {
        **_COMMON,
        "key_alias": "alias",
        "user_id": "user_id",
        "team_id": "team_id",
        "duration": "expires_at",
        "admin": "is_admin",
        "allow_provider_access": "uses_providers",
    },
    pb.User: {**_COMMON, "user_alias": "alias", "user_email": "email"},
    pb.Team: {**_COMMON, "team_alias": "alias"},
}
# What a cleared member is, where that is not None.
_CLEARED: Final[Mapping[str, Any]] = {
    "is_blocked": False,
    "is_admin": False,
    "uses_providers": False,
    "info": {},
}


def changes_of(message: Any, mask: Collection[str], now: datetime) -> Changes:
    """What a Key, a User or a Team changes: what `mask` names, else what it gives. Raises `InvalidField`."""
    members = _MEMBERS[type(message)]
    for name in mask:
        if name not in members and name not in _POLICY:
            known = ", ".join((*members, *_POLICY))
            raise InvalidField(
                f"'update_mask' names '{echo(name)}', which cannot be changed. There are: {known}.", param="update_mask"
            )
    given = {field.name: value for field, value in message.ListFields()}
    names = mask or given
    return Changes(
        members={
            member: _member(name, given[name], now) if name in given else _CLEARED.get(member)
            for name, member in members.items()
            if name in names
        },
        policy={
            member: _limit(name, given[name]) if name in given else None
            for name, member in _POLICY.items()
            if name in names
        },
    )


def _member(name: str, value: Any, now: datetime) -> Any:
    if name == "metadata":
        info = json_format.MessageToDict(value)
        if len(json.dumps(info)) > METADATA_BYTES_MAX:
            raise InvalidField(f"'metadata' may have at most {METADATA_BYTES_MAX} bytes.", param="metadata")
        return info
    if name == "duration":
        if value == NEVER:
            return None
        try:
            return end_of_period(now, value)
        except ValueError:
            raise InvalidField(
                "'duration' is too long; leave it out for a key that never expires.", param=name
            ) from None
    # An empty text clears what may be absent.
    return value if value != "" else None


def _limit(name: str, value: Any) -> Any:
    if name in _BYTES:
        return int(value)
    if name in ("models", "providers", "guardrails"):
        return tuple(value)
    return dict(value) if name in ("placement", "retention_days") else value


def key_to_proto(key: ApiKey, budget: Budget | None = None, secret: str | None = None) -> pb.Key:
    """A key; with its secret where that is shown, and how far its budget is used where something may be."""
    message = pb.Key(
        key=secret,
        key_id=key.id,
        key_name=f"{PREFIX}...{key.hint}",
        key_alias=key.alias,
        user_id=key.user_id,
        team_id=key.team_id,
        admin=key.is_admin,
        allow_provider_access=key.uses_providers,
        expires_at=None if key.expires_at is None else unix(key.expires_at),
    )
    _fill(message, key, budget)
    return message


def user_to_proto(user: Holder, budget: Budget | None = None, secret: str | None = None) -> pb.User:
    """A user; with the key that was made for them."""
    message = pb.User(user_id=user.id, user_alias=user.alias, user_email=user.email, key=secret)
    _fill(message, user, budget)
    return message


def team_to_proto(team: Holder, budget: Budget | None = None) -> pb.Team:
    """A team."""
    message = pb.Team(team_id=team.id, team_alias=team.alias)
    _fill(message, team, budget)
    return message


def _fill(message: Any, one: ApiKey | Holder, budget: Budget | None) -> None:
    """What all of them have."""
    for name, value in _shown(one.policy).items():
        field = getattr(message, name)
        if isinstance(value, tuple):
            field.extend(value)
        elif isinstance(value, Mapping):
            field.update(value)
        else:
            setattr(message, name, value)
    message.blocked = one.is_blocked
    json_format.ParseDict(dict(one.info), message.metadata)
    message.created_at = unix(one.created_at)
    message.updated_at = unix(one.updated_at)
    message.etag = etag_of(one)
    if budget is not None:
        message.spend = float(budget.spent_usd)
        message.reserved = float(budget.reserved_usd)
        if budget.resets_at is not None:
            message.budget_reset_at = unix(budget.resets_at)


def _shown(policy: Policy) -> dict[str, Any]:
    values = {name: getattr(policy, member) for name, member in _POLICY.items()}
    return {name: value for name, value in values.items() if value is not None}


def audit_to_proto(event: AuditEvent) -> pb.AuditEvent:
    """One change."""
    message = pb.AuditEvent(
        id=event.id,
        time=unix(event.time),
        actor_key_id=event.actor_key_id,
        action=event.action,
        object_kind=event.object_kind,
        object_id=event.object_id,
        request_id=event.request_id,
    )
    json_format.ParseDict(dict(event.changes), message.changes)
    return message

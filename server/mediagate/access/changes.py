"""Changes that admins make: what is given replaces what was, and the log says both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mediagate.core import ids
from mediagate.core.access import ApiKey, AuditEvent, Holder, Policy
from mediagate.core.clock import Clock
from mediagate.core.errors import ChangedMeanwhile
from mediagate.core.objects import Principal
from mediagate.store.access import AuditRepository
from mediagate.store.database import Transaction
from mediagate.store.keys import ACCESS_CHANNEL

One = TypeVar("One", ApiKey, Holder)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, in which request."""

    who: Principal
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """New values by member; None clears one. `policy` are members of the policy."""

    members: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)

    def policy_of(self, before: Policy) -> Policy:
        """The policy with its changes."""
        open_ = Policy()
        values = {name: getattr(open_, name) if value is None else value for name, value in self.policy.items()}
        return replace(before, **values)

    def to(self, before: One) -> One:
        """The object with its changes."""
        return replace(before, **self.members, policy=self.policy_of(before.policy))


def require_version(one: ApiKey | Holder, etag: str | None) -> None:
    """Raises `ChangedMeanwhile` where `etag` is given and not the object's."""
    if etag is not None and etag != etag_of(one):
        raise ChangedMeanwhile(
            "Somebody else has changed this meanwhile. Get it again, and repeat the change with its new etag.",
            param="etag",
            code="etag_mismatch",
        )


def etag_of(one: ApiKey | Holder) -> str:
    """What tells this version of an object from every other."""
    return f"v{one.version}"


async def note(
    tx: Transaction,
    actor: Actor,
    clock: Clock,
    action: str,
    kind: str,
    before: ApiKey | Holder | None,
    after: ApiKey | Holder | None,
) -> None:
    """Write down what was changed, and tell every process that remembers it."""
    one = after or before
    assert one is not None
    event = AuditEvent(
        id=ids.AUDIT.new(),
        time=clock.now(),
        actor_key_id=actor.who.key_id,
        action=f"{kind}.{action}",
        object_kind=kind,
        object_id=one.id,
        changes=_difference(_shown(before), _shown(after)),
        request_id=actor.request_id,
    )
    await AuditRepository(tx.connection).add([event])
    if before is not None:
        await tx.notify(ACCESS_CHANNEL, f"{kind} {one.id}")


def _shown(one: ApiKey | Holder | None) -> dict[str, Any]:
    """What the log may know of an object."""
    if one is None:
        return {}
    shown: dict[str, Any] = {
        "alias": one.alias,
        "blocked": one.is_blocked,
        "metadata": dict(one.info),
        **one.policy.stored(),
    }
    if isinstance(one, Holder):
        shown["email"] = one.email
    else:
        expires_at = None if one.expires_at is None else one.expires_at.isoformat()
        shown |= {
            "user_id": one.user_id,
            "team_id": one.team_id,
            "admin": one.is_admin,
            "allow_provider_access": one.uses_providers,
            "expires_at": expires_at,
            "hint": one.hint,
        }
    return shown


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys((*before, *after))
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}

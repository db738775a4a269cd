"""What a call needs of the limits of its key, its user and its team."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from mediagate.access.limits.rate import RateMeter
from mediagate.access.limits.slots import SlotMeter
from mediagate.core.access import Policy


@dataclass(frozen=True, slots=True)
class Use:
    """What a call uses. `is_request` unless it has been counted already; `moves_bytes` for content in either direction,
    `declared_bytes` where its length is known beforehand; `holds` a slot, which watching does not."""

    is_request: bool = True
    is_upload: bool = False
    is_transfer: bool = False
    moves_bytes: bool = False
    declared_bytes: int | None = None
    holds: bool = True

    @property
    def kind(self) -> tuple[bool, ...]:
        """All but the length."""
        return self.is_request, self.is_upload, self.is_transfer, self.moves_bytes, self.holds


class Limited(Protocol):
    """What has limits: a `mediagate.core.access.Scope`, or whatever else is named by a kind and an id."""

    @property
    def kind(self) -> str:
        """The word for it."""
        ...

    @property
    def id(self) -> str:
        """Different from that of any other of its kind."""
        ...

    @property
    def policy(self) -> Policy:
        """Its limits."""
        ...


@dataclass(frozen=True, slots=True)
class ScopeMeters:
    """The meters of one scope, None where it has no such limit."""

    requests: RateMeter | None
    uploads: RateMeter | None
    bytes: RateMeter | None
    tokens: RateMeter | None
    slots: SlotMeter | None
    upload_slots: SlotMeter | None

    @property
    def has_any(self) -> bool:
        return any((self.requests, self.uploads, self.bytes, self.tokens, self.slots, self.upload_slots))

    def slots_of(self, use: Use) -> list[SlotMeter]:
        """The slots that a call needs here."""
        needed = (self.slots if use.holds else None, self.upload_slots if use.is_transfer else None)
        return [slot for slot in needed if slot is not None]

    def counts_of(self, use: Use) -> list[RateMeter]:
        """What counts a call here."""
        needed = (self.requests if use.is_request else None, self.uploads if use.is_upload else None)
        return [rate for rate in needed if rate is not None]

    def bytes_of(self, use: Use) -> list[RateMeter]:
        """What counts its bytes."""
        return [self.bytes] if use.moves_bytes and self.bytes is not None else []


@dataclass(frozen=True, slots=True)
class Needs:
    """The meters of all scopes that calls of one kind need."""

    slots: tuple[SlotMeter, ...]
    counts: tuple[RateMeter, ...]
    bytes: tuple[RateMeter, ...]

    def take(self, amount: int, now_s: float) -> bool:
        """Take everything at once where all of it is held here: nearly always, under large limits."""
        for slot in self.slots:
            if not slot.has_free:
                return False
        for rate in self.counts:
            if not rate.holds(1, now_s):
                return False
        for rate in self.bytes:
            if not rate.holds(amount, now_s):
                return False
        for slot in self.slots:
            slot.use()
        for rate in self.counts:
            rate.use(1, now_s)
        for rate in self.bytes:
            rate.use(amount, now_s)
        return True


@dataclass(frozen=True, slots=True)
class Plan:
    """The meters of one caller, the key's first, the team's last: what the key refuses costs the team nothing."""

    scopes: tuple[Limited, ...] = ()
    scoped: tuple[ScopeMeters, ...] = ()
    requests: tuple[RateMeter, ...] = ()
    uploads: tuple[RateMeter, ...] = ()
    bytes: tuple[RateMeter, ...] = ()
    tokens: tuple[RateMeter, ...] = ()
    needs: dict[tuple[bool, ...], Needs] = field(default_factory=dict)

    def needs_of(self, use: Use) -> Needs:
        """Everything that a call needs."""
        found = self.needs.get(use.kind)
        if found is None:
            found = self.needs[use.kind] = Needs(
                tuple(slot for scoped in self.scoped for slot in scoped.slots_of(use)),
                tuple(rate for scoped in self.scoped for rate in scoped.counts_of(use)),
                tuple(rate for scoped in self.scoped for rate in scoped.bytes_of(use)),
            )
        return found

    @classmethod
    def of(cls, scopes: tuple[Limited, ...], scoped: Iterable[ScopeMeters]) -> Plan:
        limited = tuple(one for one in scoped if one.has_any)
        return cls(
            scopes,
            limited,
            tuple(one.requests for one in limited if one.requests),
            tuple(one.uploads for one in limited if one.uploads),
            tuple(one.bytes for one in limited if one.bytes),
            tuple(one.tokens for one in limited if one.tokens),
        )

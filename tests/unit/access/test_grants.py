"""What is remembered of keys, and for how long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from mediagate.access import authenticate
from mediagate.access.authenticate import KNOWN_S, UNKNOWN_S, Authenticate
from mediagate.access.secrets import digest_of
from mediagate.core.access import Policy, Scope, ScopeKind
from mediagate.core.errors import PermissionDenied, Unauthenticated
from mediagate.core.objects import Principal
from mediagate.store.keys import Grant

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def grant(key_id: str, team: str = "a", *, blocked: bool = False, expires_at: datetime | None = None) -> Grant:
    scopes = (Scope(ScopeKind.TEAM, team, Policy()), Scope(ScopeKind.KEY, key_id, Policy()))
    return Grant(Principal(f"team:{team}", key_id=key_id, team_id=team, scopes=scopes), blocked, expires_at)


@dataclass
class Books:
    """Keys, how often each was looked up, and the time."""

    grants: dict[bytes, Grant] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    held: asyncio.Event | None = None
    at: datetime = NOW
    monotonic_s: float = 0.0

    async def get(self, digest: bytes) -> Grant | None:
        self.asked.append(digest)
        found = self.grants.get(digest)
        if self.held is not None:
            await self.held.wait()
        return found

    def now(self) -> datetime:
        return self.at

    def authenticate(self) -> Authenticate:
        return Authenticate("sk-master", self, clock=self, monotonic=lambda: self.monotonic_s)


async def owner(who: Authenticate, key: str) -> str:
    return (await who.run(f"Bearer {key}", None)).owner_id


async def test_a_key_is_looked_up_once_in_its_time() -> None:
    books = Books({digest_of("sk-1"): grant("key_1")})
    who = books.authenticate()
    for _ in range(3):
        assert await owner(who, "sk-1") == "team:a"
    assert len(books.asked) == 1
    books.monotonic_s += KNOWN_S + 0.1
    await owner(who, "sk-1")
    assert len(books.asked) == 2


@pytest.mark.parametrize(("payload", "forgets"), [("key key_1", True), ("team a", True), ("", True), ("team b", False)])
async def test_a_change_forgets_whom_it_concerns(payload: str, forgets: bool) -> None:
    books = Books({digest_of("sk-1"): grant("key_1")})
    who = books.authenticate()
    await owner(who, "sk-1")
    books.grants.clear()
    who.forget(payload)
    if forgets:
        with pytest.raises(Unauthenticated):
            await owner(who, "sk-1")
    else:
        assert await owner(who, "sk-1")


async def test_an_answer_from_before_a_change_is_not_remembered() -> None:
    books = Books({digest_of("sk-1"): grant("key_1")}, held=asyncio.Event())
    who = books.authenticate()
    looking = asyncio.create_task(owner(who, "sk-1"))
    await asyncio.sleep(0)
    books.grants.clear()
    who.forget("key key_1")
    assert books.held is not None
    books.held.set()
    assert await looking == "team:a"
    with pytest.raises(Unauthenticated):
        await owner(who, "sk-1")


async def test_a_new_key_is_taken_though_it_was_tried_before() -> None:
    books = Books()
    who = books.authenticate()
    with pytest.raises(Unauthenticated):
        await owner(who, "sk-1")
    books.grants[digest_of("sk-1")] = grant("key_1")
    books.monotonic_s += UNKNOWN_S + 0.1
    assert await owner(who, "sk-1")


async def test_made_up_keys_push_out_no_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticate, "UNKNOWN_MAX", 10)
    books = Books({digest_of("sk-1"): grant("key_1")})
    who = books.authenticate()
    await owner(who, "sk-1")
    for number in range(100):
        with pytest.raises(Unauthenticated):
            await owner(who, f"sk-made-up-{number}")
    assert len(who._unknown) == 10
    asked = len(books.asked)
    await owner(who, "sk-1")
    assert len(books.asked) == asked


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticate, "KNOWN_MAX", 10)
    books = Books({digest_of(f"sk-{number}"): grant(f"key_{number}") for number in range(50)})
    who = books.authenticate()
    for number in range(50):
        await owner(who, f"sk-{number}")
    assert len(who._known) == 10


async def test_a_key_expires_while_it_is_remembered_and_clocks_may_jump() -> None:
    books = Books({digest_of("sk-1"): grant("key_1", expires_at=NOW + timedelta(seconds=1))})
    who = books.authenticate()
    await owner(who, "sk-1")
    books.at = NOW + timedelta(seconds=1)
    with pytest.raises(Unauthenticated) as caught:
        await owner(who, "sk-1")
    assert caught.value.code == "key_expired"
    books.at = NOW - timedelta(days=1)
    assert await owner(who, "sk-1")
    assert len(books.asked) == 1


async def test_a_blocked_key_is_told_so() -> None:
    who = Books({digest_of("sk-1"): grant("key_1", blocked=True)}).authenticate()
    with pytest.raises(PermissionDenied) as caught:
        await owner(who, "sk-1")
    assert caught.value.code == "key_blocked"


async def test_a_text_too_long_for_a_key_is_not_looked_up() -> None:
    books = Books()
    with pytest.raises(Unauthenticated):
        await owner(books.authenticate(), "sk-" + "a" * 100_000)
    assert not books.asked

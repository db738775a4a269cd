"""Limits of several processes at once, over states in memory that refuse, delay and forget like the database's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from mediagate.access.limits import slots
from mediagate.access.limits.admission import FREE, Admission, Limits
from mediagate.access.limits.plan import Use
from mediagate.chat.deployment_limits import LimitedDeployment
from mediagate.core.access import Policy, Scope, ScopeKind
from mediagate.core.errors import RateLimited, Unavailable
from mediagate.core.objects import Principal
from mediagate.store.limits import StateKey, Version

UPLOAD = Use(is_upload=True, is_transfer=True, moves_bytes=True)


class Memory:
    """The states of all processes, which answer after a moment. `now` can be moved."""

    def __init__(self) -> None:
        self.states: dict[StateKey, Version] = {}
        self.holders: set[str] = set()
        self.now = 1_800_000_000.0
        self.statements = 0
        self.away = False

    async def _answer(self) -> None:
        self.statements += 1
        await asyncio.sleep(random.random() / 500)
        if self.away:
            raise Unavailable("away")

    async def read(self, keys: Sequence[StateKey]) -> tuple[dict[StateKey, Version], float]:
        await self._answer()
        return {key: self.states.get(key, Version()) for key in keys}, self.now

    async def swap(
        self, changes: Collection[tuple[StateKey, int, Mapping[str, Any]]]
    ) -> tuple[set[StateKey], float | None]:
        await self._answer()
        won = set()
        for key, number, state in changes:
            if self.states.get(key, Version(number)).number == number:
                self.states[key] = Version(number + 1, state)
                won.add(key)
        return won, self.now if won else None

    async def alive(self, holders: Collection[str]) -> set[str]:
        await self._answer()
        return self.holders & set(holders)

    async def renew(self, holder: str, lease_s: float) -> None:
        self.holders.add(holder)

    async def leave(self, holder: str) -> None:
        self.holders.discard(holder)


def caller(key: str = "key-1", team: Policy | None = None, **policy: Any) -> Principal:
    """A key with this policy, in a team where one is given."""
    scopes = [Scope(ScopeKind.KEY, key, Policy(**policy))]
    if team is not None:
        scopes.insert(0, Scope(ScopeKind.TEAM, "team-1", team))
    return Principal("owner", key_id=key, scopes=tuple(scopes))


async def attempts(processes: Sequence[Limits], who: Principal, count: int, use: Use) -> list[Admission | RateLimited]:
    """`count` calls at once, spread over the processes."""

    async def one(number: int) -> Admission | RateLimited:
        await asyncio.sleep(random.random() / 50)
        try:
            return await processes[number % len(processes)].admit(who, use)
        except RateLimited as refusal:
            return refusal

    return await asyncio.gather(*[one(number) for number in range(count)])


def passed(answers: Sequence[Admission | RateLimited]) -> list[Admission]:
    return [answer for answer in answers if isinstance(answer, Admission)]


@pytest.mark.parametrize("processes", [1, 2, 8])
@pytest.mark.parametrize("limit", [1, 3, 20, 49])
async def test_exactly_the_limit_passes_in_all_processes_together(processes: int, limit: int) -> None:
    memory = Memory()
    running = [Limits(memory) for _ in range(processes)]
    who = caller(requests_per_minute=limit)
    assert len(passed(await attempts(running, who, 3 * limit, Use()))) == limit
    assert not passed(await attempts(running, who, 5, Use()))


@pytest.mark.parametrize("processes", [1, 4])
async def test_a_large_limit_is_used_up_and_never_passed(processes: int) -> None:
    memory = Memory()
    running = [Limits(memory) for _ in range(processes)]
    who, total = caller(requests_per_minute=1000), 0
    for _ in range(12):
        total += len(passed(await attempts(running, who, 200, Use())))
        assert total <= 1000
    # What one process had left over is there for the others after its second.
    await asyncio.sleep(1.4)
    for _ in range(3):
        total += len(passed(await attempts(running, who, 60, Use())))
        await asyncio.sleep(1.4)
    assert total == 1000


async def test_many_calls_under_a_large_limit_need_few_statements() -> None:
    memory = Memory()
    running = Limits(memory)
    who = caller(requests_per_minute=10**9, bytes_per_minute=10**15, parallel_requests=10**6)
    for _ in range(100):
        for admission in passed(await attempts([running], who, 20, Use())):
            admission.release()
    assert memory.statements < 150
    await running.close()


@pytest.mark.parametrize("processes", [1, 3])
async def test_what_is_no_caller_has_limits_of_its_own(processes: int) -> None:
    memory = Memory()
    running = [Limits(memory) for _ in range(processes)]
    deployment = (LimitedDeployment("one", Policy(requests_per_minute=4, tokens_per_minute=100)),)
    for tokens in (90, 0, 100):
        admission = await running[-1].admit_chat(deployment, 90)
        admission.tokens_were(tokens)
        admission.release()
    with pytest.raises(RateLimited, match="tokens per minute of this deployment"):
        await running[0].admit_chat(deployment, 1)
    many = (LimitedDeployment("other", Policy(requests_per_minute=2, parallel_requests=1)),)
    for number in range(2):
        (await running[number % processes].admit_chat(many, 1)).release()
    with pytest.raises(RateLimited, match="requests per minute of this deployment"):
        await running[0].admit_chat(many, 1)
    for one in running:
        await one.close()


async def test_who_has_no_limit_is_no_work() -> None:
    memory = Memory()
    running = Limits(memory)
    assert await running.admit(Principal("master", is_admin=True), Use()) is FREE
    assert await running.admit(caller(), Use()) is FREE
    assert memory.statements == 0


async def test_a_team_shares_and_a_key_that_is_refused_costs_its_team_nothing() -> None:
    memory = Memory()
    running = [Limits(memory) for _ in range(2)]
    team = Policy(requests_per_minute=10)
    first, second = caller("key-1", team, requests_per_minute=4), caller("key-2", team)
    assert len(passed(await attempts(running, first, 20, Use()))) == 4
    await asyncio.gather(*[process.exchange.idle() for process in running])
    assert len(passed(await attempts(running, second, 20, Use()))) == 6
    refused = (await attempts(running, second, 1, Use()))[0]
    assert isinstance(refused, RateLimited)
    assert "requests per minute of this team: Limit 10 / min. Try again in" in refused.message
    assert refused.retry_after_s is not None
    assert 50 < refused.retry_after_s <= 61
    assert dict(refused.headers)["x-ratelimit-remaining-requests"] == "0"


async def test_a_minute_later_there_is_room_again() -> None:
    memory = Memory()
    running = Limits(memory)
    who = caller(requests_per_minute=5)
    assert len(passed(await attempts([running], who, 9, Use()))) == 5
    memory.now += 30
    await asyncio.sleep(0.3)
    assert not passed(await attempts([running], who, 3, Use()))
    memory.now += 32
    await asyncio.sleep(0.3)
    assert len(passed(await attempts([running], who, 9, Use()))) == 5


async def test_bytes_declared_beforehand_are_counted_and_what_never_came_is_given_back() -> None:
    memory = Memory()
    running = Limits(memory)
    who = caller(bytes_per_minute=1000)
    one = await running.admit(who, Use(moves_bytes=True, declared_bytes=5000))
    with pytest.raises(RateLimited, match="bytes per minute of this key: Limit 1000 / min"):
        await running.admit(who, Use(moves_bytes=True, declared_bytes=1))
    one.moved(400)
    one.release()
    await running.exchange.idle()
    await asyncio.sleep(0.3)
    two = await running.admit(who, Use(moves_bytes=True, declared_bytes=100))
    assert dict(two.headers())["x-ratelimit-remaining-bytes"] == "500"
    two.moved(100)
    two.release()
    # What came without a declaration counts when it has come, and is a debt beyond the limit.
    three = await running.admit(who, UPLOAD)
    three.moved(10_000)
    three.release()
    await running.exchange.idle()
    with pytest.raises(RateLimited):
        await running.admit(who, UPLOAD)


async def test_only_as_many_as_allowed_run_at_once() -> None:
    memory = Memory()
    running = [Limits(memory) for _ in range(3)]
    who, at_once, most = caller(parallel_requests=3), 0, 0

    async def one(number: int) -> bool:
        nonlocal at_once, most
        try:
            admission = await running[number % 3].admit(who, Use())
        except RateLimited:
            return False
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        admission.release()
        return True

    done = await asyncio.gather(*[one(number) for number in range(60)])
    assert most == 3
    assert sum(done) > 10
    await asyncio.gather(*[process.close() for process in running])
    assert not memory.holders


async def test_one_after_the_other_is_never_refused_wherever_it_comes() -> None:
    memory = Memory()
    running = [Limits(memory) for _ in range(4)]
    who = caller(parallel_requests=1, parallel_uploads=1)
    for number in range(40):
        admission = await running[number % 4].admit(who, UPLOAD)
        admission.release()
    await asyncio.gather(*[process.close() for process in running])


async def test_watching_holds_no_slot() -> None:
    memory = Memory()
    running = Limits(memory)
    who = caller(parallel_requests=1, requests_per_minute=100)
    watches = [await running.admit(who, Use(holds=False)) for _ in range(5)]
    (await running.admit(who, Use())).release()
    for watch in watches:
        watch.release()
    await running.close()


async def test_slots_of_a_process_that_is_gone_are_free_and_one_that_only_slept_has_its_own() -> None:
    memory = Memory()
    dead, alive = Limits(memory), Limits(memory)
    who = caller(parallel_requests=2)
    kept = [await dead.admit(who, Use()) for _ in range(2)]
    with pytest.raises(RateLimited, match="parallel requests of this key: Limit 2 at once"):
        await alive.admit(who, Use())
    memory.holders -= {dead._holder.id}
    taken = await alive.admit(who, Use())
    # It comes back and says what it still holds: nobody gets a third one.
    await dead._holder._renew()
    dead._assert_slots()
    await dead.exchange.idle()
    with pytest.raises(RateLimited):
        await alive.admit(who, Use())
    for admission in (*kept, taken):
        admission.release()
    await asyncio.gather(dead.exchange.idle(), alive.exchange.idle())
    held = memory.states["key:key-1", "parallel_requests"].state
    assert held == {"held": {}}
    await asyncio.gather(dead.close(), alive.close())


async def test_who_goes_away_while_waiting_leaves_nothing_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "WAIT_S", 30)
    memory = Memory()
    running = Limits(memory)
    who = caller(parallel_requests=1, requests_per_minute=10, bytes_per_minute=100)
    first = await running.admit(who, UPLOAD)
    for _ in range(20):
        waiting = asyncio.create_task(running.admit(who, Use(moves_bytes=True, declared_bytes=1)))
        await asyncio.sleep(random.random() / 100)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    first.release()
    await running.exchange.idle()
    second = await running.admit(who, UPLOAD)
    headers = dict(second.headers())
    assert (headers["x-ratelimit-remaining-requests"], headers["x-ratelimit-remaining-bytes"]) == ("8", "100")
    second.release()
    await running.close()


async def test_without_a_database_nothing_is_let_in_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "RENEW_S", 0.05)
    memory = Memory()
    running = Limits(memory)
    who = caller(parallel_requests=1, requests_per_minute=10)
    admission = await running.admit(who, Use())
    memory.away = True
    with pytest.raises(Unavailable):
        await running.admit(who, Use())
    admission.release()
    await running.exchange.idle()
    memory.away = False
    await asyncio.sleep(0.15)
    (await running.admit(who, Use())).release()
    await running.close()


async def test_a_policy_that_changes_counts_from_then_on() -> None:
    memory = Memory()
    running = Limits(memory)
    assert len(passed(await attempts([running], caller(requests_per_minute=3), 9, Use()))) == 3
    await asyncio.sleep(0.3)
    assert len(passed(await attempts([running], caller(requests_per_minute=5), 9, Use()))) == 2
    for nothing in (0, -3):
        with pytest.raises(RateLimited):
            await running.admit(caller("key-2", parallel_requests=nothing), Use())
        with pytest.raises(RateLimited):
            await running.admit(caller("key-3", requests_per_minute=nothing), Use())
    await running.close()


async def test_a_far_limit_is_told_of_when_half_of_it_is_gone() -> None:
    memory = Memory()
    running = Limits(memory)
    who = caller(requests_per_minute=100_000)
    assert (await running.admit(who, Use())).headers() == ()
    now_s = running.exchange.now_s()
    memory.states["key:key-1", "requests_per_minute"] = Version(99, {"at": now_s, "pieces": [[now_s + 50, 60_000]]})
    await asyncio.sleep(1.3)
    headers = dict((await running.admit(who, Use())).headers())
    assert 39_000 < int(headers["x-ratelimit-remaining-requests"]) < 40_000


async def test_who_was_forgotten_while_a_call_went_on_is_one_with_who_comes_anew() -> None:
    memory = Memory()
    running = Limits(memory)
    who = caller(bytes_per_minute=1000, requests_per_minute=100)
    long_one = await running.admit(who, UPLOAD)
    running._rates.clear()
    running._plans.clear()
    for number in range(1, 6):
        long_one.moved(5 << 20)
        next_one = asyncio.create_task(running.admit(who, Use()))
        async with asyncio.timeout(10):
            admission = await next_one
        assert dict(admission.headers())["x-ratelimit-remaining-requests"] == str(99 - number)
    await running.exchange.idle()
    with pytest.raises(RateLimited):
        await running.admit(who, UPLOAD)

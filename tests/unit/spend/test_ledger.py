"""The ledger over the real database: whatever is done at once, the sum of the lines is the spend, and no budget is
overdrawn by reservations."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from mediagate.core import ids
from mediagate.core.access import Policy
from mediagate.core.errors import InsufficientQuota, InvalidField
from mediagate.core.spend import USD_MAX, BudgetKind, Limit, Payer
from mediagate.core.webhooks import BUDGET_SOFT_LIMIT_REACHED, WebhookEndpoint
from mediagate.store.database import Database
from mediagate.store.webhooks import WebhookRepository
from tests.unit.spend.books import Books, audit, unique


def limited(usd: float, period: str | None = None, soft: float | None = None) -> Policy:
    return Policy(max_budget_usd=usd, budget_period=period, soft_budget_usd=soft)


def provider_limit(usd: str, name: str = "p") -> dict[str, Limit]:
    return {name: Limit(Payer(BudgetKind.PROVIDER, name), Decimal(usd))}


def endpoint_of(owner_id: str) -> WebhookEndpoint:
    now = datetime.now(UTC)
    types = (BUDGET_SOFT_LIMIT_REACHED,)
    return WebhookEndpoint(
        ids.WEBHOOK_ENDPOINT.new(), owner_id, "n", "https://x.example", types, "whsec_", (), 10.0, 0, None, now, now
    )


async def test_a_request_is_reserved_and_charged_once(db: Database) -> None:
    books = Books(db, {"key": limited(10)})
    ref = await books.reserve("4")
    assert await books.used("key") == (0, 4)
    assert await books.settle(ref, "3.5")
    assert not await books.settle(ref, "3.5")
    assert not await books.settle(ref, "0")
    assert await books.used("key") == (3.5, 0)
    with pytest.raises(IntegrityError):
        await books.reserve("1", ref)
    assert await books.used("key") == (3.5, 0)
    await audit(db)


async def test_settling_at_once_settles_once(db: Database) -> None:
    books = Books(db, {"team": limited(10)})
    ref = await books.reserve("4")
    done = await asyncio.gather(*(books.settle(ref, usd) for usd in ("1", "2", "0", "4", "9")))
    assert sorted(done) == [False, False, False, False, True]
    await audit(db)


async def test_a_failure_gives_everything_back(db: Database) -> None:
    books = Books(db, {"user": limited(1)})
    ref = await books.reserve("1")
    with pytest.raises(InsufficientQuota):
        await books.reserve("0.000001")
    assert await books.settle(ref, 0, "not_charged")
    await books.reserve("1")
    assert await books.used("user") == (0, 1)
    await audit(db)


async def test_a_charge_above_the_estimate_is_charged_in_full_and_closes_the_budget(db: Database) -> None:
    books = Books(db, {"key": limited(2)})
    await books.settle(await books.reserve("1"), "5")
    assert await books.used("key") == (5, 0)
    with pytest.raises(InsufficientQuota) as caught:
        await books.reserve("0.01")
    assert caught.value.metadata["remaining_usd"] == "0"
    await books.reserve("0")
    await audit(db)


@pytest.mark.parametrize("kind", ["team", "user", "key"])
async def test_each_scope_has_its_own_budget(db: Database, kind: str) -> None:
    books = Books(db, {kind: limited(1)})
    await books.reserve("0.6")
    with pytest.raises(InsufficientQuota, match=f"budget of this {kind} is 1 US dollars, of which 0.4 are left"):
        await books.reserve("0.6")
    others = replace(books, **{kind: unique(kind)})
    await others.reserve("0.6")
    await audit(db)


async def test_a_refused_reservation_leaves_nothing_in_any_scope(db: Database) -> None:
    books = Books(db, {"team": limited(10), "key": limited(1)}, provider_limit("100", name := unique("p")))
    with pytest.raises(InsufficientQuota):
        await books.reserve("5", provider=name)
    assert await books.used("team") == await books.used("key") == (0, 0)
    await audit(db)


async def test_a_provider_has_one_budget_for_all(db: Database) -> None:
    name = unique("p")
    books = [Books(db, providers=provider_limit("2", name)) for _ in range(3)]
    for each in books[:2]:
        await each.reserve("1", provider=name)
    with pytest.raises(InsufficientQuota, match=f"budget of the provider '{name}'"):
        await books[2].reserve("1", provider=name)
    master = {"key_id": None, "user_id": None, "team_id": None}
    with pytest.raises(InsufficientQuota):
        await books[2].reserve("1", provider=name, **master)
    await books[2].reserve("1")
    await audit(db)


async def test_the_master_key_has_lines_and_no_budget(db: Database) -> None:
    books = Books(db, {"key": limited(0)})
    ref = await books.reserve("7", key_id=None, user_id=None, team_id=None)
    assert await books.settle(ref, "8")
    await audit(db)


async def test_a_budget_that_comes_later_knows_what_was_spent_before(db: Database) -> None:
    books = Books(db)
    held = await books.reserve("2")
    await books.settle(await books.reserve("3"), "3")
    later = books.under(key=limited(6, "30d"), team=limited(5.5))
    assert await later.used("key") == (3, 2)
    with pytest.raises(InsufficientQuota, match="this team"):
        await later.reserve("1")
    later = books.under(key=limited(6, "30d"))
    await later.reserve("1")
    with pytest.raises(InsufficientQuota, match="this key"):
        await later.reserve("0.1")
    await later.settle(held, "0.5")
    assert await later.used("key") == (3.5, 1)
    await audit(db)


async def test_a_budget_lowered_below_what_is_spent_refuses_and_stays_balanced(db: Database) -> None:
    books = Books(db, {"key": limited(10)})
    ref = await books.reserve("8")
    lowered = books.under(key=limited(3))
    with pytest.raises(InsufficientQuota, match="is 3 US dollars, of which 0 are left"):
        await lowered.reserve("0.5")
    assert await lowered.settle(ref, "9")
    assert await lowered.used("key") == (9, 0)
    await books.reserve("1")
    await audit(db)


async def test_another_period_counts_what_lies_in_it(db: Database) -> None:
    books = Books(db, {"key": limited(10, "1d")})
    first = await books.reserve("4")
    for period in ("1mo", "1h", None, "1d", "3650d"):
        changed = books.under(key=limited(10, period))
        await changed.reserve("0.5")
    assert await books.used("key") == (0, 6.5)
    await books.settle(first, "1")
    assert await books.under(key=limited(10)).used("key") == (1, 2.5)
    await audit(db)


async def test_what_was_reserved_in_an_old_period_is_charged_there(db: Database) -> None:
    books = Books(db, {"key": limited(1, "1s")})
    async with db.reading() as connection:
        # Early in a second, so that the next lines are in it too.
        await connection.execute(
            text("SELECT pg_sleep(1.02 - extract(epoch FROM now() - date_trunc('second', now())))")
        )
    ref = await books.reserve("1")
    async with db.reading() as connection:
        await connection.execute(text("SELECT pg_sleep(1.1)"))
    assert await books.used("key") == (0, 0)
    await books.reserve("1")
    assert await books.settle(ref, "3")
    assert (await books.used("key"))[0] == 0
    assert await books.under(key=limited(1)).used("key") == (3, 1)
    await audit(db)


async def test_a_reset_forgives_what_is_spent_and_keeps_what_is_held(db: Database) -> None:
    books = Books(db, {"key": limited(10, "30d"), "team": limited(100)})
    await books.write_policies()
    await books.settle(await books.reserve("6"), "6")
    held = await books.reserve("3")
    await books.reset("key")
    assert await books.used("key") == (0, 3)
    assert await books.used("team") == (6, 3)
    await books.reserve("7")
    with pytest.raises(InsufficientQuota):
        await books.reserve("1")
    await books.settle(held, "2")
    assert await books.used("key") == (2, 7)
    # Through a window that is opened later, too.
    assert await books.under(key=limited(10, "1mo")).used("key") == (2, 7)
    await books.under(key=limited(11, "1mo")).reserve("1")
    assert await books.under(key=limited(10, "1mo")).used("key") == (2, 8)
    await audit(db)


async def test_a_soft_limit_is_told_once_a_period(db: Database) -> None:
    books = Books(db, {"key": limited(10, "30d", soft=2)})
    async with db.transaction() as tx:
        await WebhookRepository(tx.connection).add(endpoint_of(f"team:{books.team}"), most=1)
    query = text("SELECT convert_from(body, 'UTF8')::jsonb FROM webhook_event WHERE data_id = :id")
    for told in (0, 1, 1, 1):
        if told == 0:
            await books.reserve("2")
        else:
            await books.reserve("1")
        async with db.reading() as connection:
            events = (await connection.execute(query, {"id": books.key})).scalars().all()
        assert len(events) == told
    assert events[0]["type"] == "budget.soft_limit_reached"
    data = events[0]["data"]
    assert (data["id"], data["kind"], data["soft_budget"], data["used"]) == (books.key, "key", 2, 3)
    assert data["resets_at"] > events[0]["created_at"]


async def test_an_unknown_price_is_refused_under_a_hard_budget_only(db: Database) -> None:
    books = Books(db, {"key": Policy(soft_budget_usd=1)})
    assert await books.settle(await books.reserve(None), 0)
    hard = books.under(user=limited(5))
    with pytest.raises(InvalidField, match="No price is known for the model 'm'") as caught:
        await hard.reserve(None)
    assert (caught.value.code, caught.value.param) == ("price_unknown", "model")
    await replace(hard, allows_unpriced=True).reserve(None)
    await audit(db)


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("-inf")])
async def test_what_is_no_amount_charges_nothing(db: Database, usd: float) -> None:
    books = Books(db, {"key": limited(5)})
    assert await books.settle(await books.reserve("1"), usd)
    assert await books.used("key") == (0, 0)
    await audit(db)


async def test_a_huge_amount_is_charged_as_the_largest(db: Database) -> None:
    books = Books(db, {"key": limited(5)})
    for usd in (1e300, float("inf"), USD_MAX):
        await books.settle(await books.under().reserve("1"), usd)
    assert await books.used("key") == (3 * USD_MAX, 0)
    await audit(db)


@pytest.mark.parametrize("wrong", [-1, float("nan"), "many", True])
async def test_a_budget_that_is_no_amount_lets_nothing_pass(db: Database, wrong: Any) -> None:
    books = Books(db, {"key": Policy(max_budget_usd=wrong, budget_period="fortnight")})
    with pytest.raises(InsufficientQuota):
        await books.reserve("0.01")
    await audit(db)


async def test_an_adjusted_reservation_moves_in_every_scope(db: Database) -> None:
    old, new = unique("p"), unique("p")
    policies = {"team": limited(10), "key": limited(5)}
    books = Books(db, policies, {**provider_limit("3", old), **provider_limit("4", new)})
    await books.write_policies()
    ref = await books.reserve("3", provider=old)
    assert await books.adjust(ref, "4", new)
    await books.reserve("1", provider=old)
    assert await books.used("key") == (0, 5)
    with pytest.raises(InsufficientQuota, match="of this key"):
        await books.adjust(ref, "4.5", new)
    with pytest.raises(InsufficientQuota, match=f"provider '{old}'"):
        await books.adjust(ref, "2.5", old)
    assert await books.used("key") == (0, 5)
    assert await books.adjust(ref, "1", "somebody else")
    await books.settle(ref, "2")
    assert not await books.adjust(ref, "1", new)
    assert await books.used("team") == (2, 1)
    await audit(db)


async def test_a_price_unknown_at_the_other_deployment_is_refused_there_too(db: Database) -> None:
    books = Books(db, {"key": limited(5)})
    await books.write_policies()
    ref = await books.reserve("3")
    with pytest.raises(InvalidField):
        await books.adjust(ref, None)
    assert await books.used("key") == (0, 3)
    await audit(db)


# What a plan is made of: operations that run at once in each round.
AMOUNTS = st.sampled_from(["0", "0.000000001", "0.5", "1", "2.25", "3"])
OPERATIONS = st.one_of(
    st.tuples(st.just("reserve"), AMOUNTS, st.integers(0, 3)),
    st.tuples(st.just("settle"), AMOUNTS, st.integers(0, 7)),
    st.tuples(st.just("adjust"), AMOUNTS, st.integers(0, 7)),
    st.tuples(st.just("reset"), st.just("0"), st.integers(0, 3)),
)


@dataclass
class Company:
    """Two teams of two keys with a shared user and a shared provider, all on small budgets."""

    db: Database
    books: list[Books]
    refs: list[tuple[Books, str]] = field(default_factory=list)

    async def do(self, kind: str, usd: str, which: int) -> None:
        books = self.books[which % 4]
        try:
            if kind == "reserve":
                ref = await books.reserve(usd, provider=("one", "two")[which % 2] + books.user)
                self.refs.append((books, ref))
            elif kind == "reset":
                await books.reset(("team", "user", "key")[which % 3])
            elif self.refs:
                books, ref = self.refs[which % len(self.refs)]
                if kind == "settle":
                    await books.settle(ref, usd)
                else:
                    await books.adjust(ref, usd, ("one", "two")[which // 2 % 2] + books.user)
        except InsufficientQuota:
            pass


def company(db: Database) -> Company:
    teams, user = (unique("team"), unique("team")), unique("user")
    policies = {"team": limited(7, "30d"), "user": limited(9), "key": limited(4, "1mo", soft=1)}
    providers = {**provider_limit("6", f"one{user}"), **provider_limit("8", f"two{user}")}
    return Company(db, [Books(db, policies, providers, team=teams[n // 2], user=user) for n in range(4)])


# Of what no reset has forgiven: what is held, and what of a charge was held before.
OVERDRAWN = """
SELECT sum(held_usd + least(charged_usd, estimate_usd)) FROM spend
WHERE {column} = :id AND (settled_at IS NULL OR settled_at > coalesce(
    (SELECT max(time) FROM budget_reset WHERE kind = :kind AND id = :id), '-infinity'))
"""


@hypothesis.settings(max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(plan=st.lists(st.lists(OPERATIONS, min_size=1, max_size=8), min_size=1, max_size=6))
async def test_whatever_is_done_at_once_the_books_are_balanced(db: Database, plan: list[list[Any]]) -> None:
    world = company(db)
    for books in world.books:
        await books.write_policies()
    for round_ in plan:
        await asyncio.gather(*(world.do(*operation) for operation in round_))
    await audit(db)
    for books in world.books:
        bounds = (("team", books.team, 7), ("user", books.user, 9), ("key", books.key, 4))
        async with db.reading() as connection:
            for kind, id_, most in bounds:
                query = text(OVERDRAWN.format(column=f"{kind}_id"))
                used = (await connection.execute(query, {"id": id_, "kind": kind})).scalar_one() or 0
                assert used <= most, (kind, used)

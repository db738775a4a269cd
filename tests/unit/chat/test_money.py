"""The money of chats: held before they are sent where a hard budget counts, settled once, whoever goes away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text

from mediagate.chat.bounds import Bounds
from mediagate.core.access import Policy
from mediagate.core.chat import Usage, Used
from mediagate.core.errors import InsufficientQuota, InvalidField, RateLimited
from mediagate.core.spend import BudgetKind, Payer, SpendFilter
from mediagate.spend.record import Spent
from mediagate.spend.report import ListSpend
from mediagate.store.database import Database
from tests.unit.chat.purse import BOUNDS, Purse, limit_of_provider, under
from tests.unit.spend.books import audit, unique

USED = Used(Usage(100, 10))
CHARGED = ("charged", Decimal(0), Decimal("0.2"), "usage")


class Meter:
    """Limits that write down what they are told."""

    def __init__(self, *, full: bool = False) -> None:
        self.taken: list[int] = []
        self.were: list[int] = []
        self.full = full

    async def take_tokens(self, amount: int) -> None:
        if self.full:
            raise RateLimited("full")
        self.taken.append(amount)

    def tokens_were(self, amount: int) -> None:
        self.were.append(amount)


async def test_a_chat_under_a_hard_budget(db: Database) -> None:
    purse, meter = under(db, 1), Meter()
    bill = await purse.open(limits=meter)
    assert await purse.row(bill.chat.ref) == ("reserved", Decimal("0.6"), Decimal(0), "created")
    assert await purse.used("team") == (0, 0.6)
    bill.note(USED)
    cost = await bill.end()
    assert (cost.usd, cost.usage, cost.is_counted) == (Decimal("0.2"), USED.usage, True)
    assert await purse.row(bill.chat.ref) == CHARGED
    assert await purse.used("team") == (0.2, 0)
    assert (meter.taken, meter.were) == ([100], [110])
    await audit(db)


async def test_without_a_budget_nothing_is_asked_of_the_database_before_the_end(db: Database) -> None:
    purse = under(db)
    statements: list[str] = []
    engine = db._engine.sync_engine

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        bill = await purse.open()
        bill.note(USED)
        await bill.end()
        assert statements == []
        await purse.writer.idle()
        assert statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert await purse.row(bill.chat.ref) == CHARGED
    await audit(db)


async def test_a_budget_that_is_used_up_sends_nothing(db: Database) -> None:
    purse, meter = under(db, 0.5), Meter()
    with pytest.raises(
        InsufficientQuota, match=r"0\.5 are left; this request would cost about 0\.6.*max_tokens"
    ) as caught:
        await purse.open(limits=meter)
    assert caught.value.http_status == 429
    assert (meter.taken, meter.were) == ([100], [0])
    assert await purse.used("team") == (0, 0)
    small = await purse.open(replace(BOUNDS, answer_tokens=40))
    await small.refused()
    await audit(db)


async def test_an_assumed_answer_holds_less(db: Database) -> None:
    silent = replace(BOUNDS, answer_tokens=None)
    for assumed, held in ((None, "1.1"), (20, "0.3"), (5000, "1.1")):
        purse = under(db, 2, assumed=assumed)
        bill = await purse.open(silent)
        assert bill.estimate_usd == Decimal(held)
        await bill.refused()


@pytest.mark.parametrize("hard", [True, False])
async def test_a_refused_chat_costs_nothing(db: Database, hard: bool) -> None:
    purse, meter = under(db, 1 if hard else None), Meter()
    bill = await purse.open(limits=meter)
    await bill.refused()
    assert await purse.row(bill.chat.ref) == (("released", Decimal(0), Decimal(0), "not_charged") if hard else None)
    assert meter.were == [0]
    # The first end counts.
    bill.note(USED)
    assert (await bill.end()).usd == 0
    bill.cut()
    assert meter.were == [0]
    assert await purse.used("team") == (0, 0) if hard else True
    await audit(db)


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(
    ("used", "usd", "reason"),
    [
        # What was asked is guessed, what was delivered measured: 50 and 25 tokens.
        (None, "0.3", "delivered"),
        # The provider said so before it broke off, or only half of it.
        (Used(Usage(100, 1)), "0.35", "delivered"),
        (Used(Usage(100, 40)), "0.5", "usage"),
        (Used(Usage(100, 40), 0.7), "0.7", "provider_figure"),
    ],
)
async def test_a_cut_stream_is_settled_by_what_was_delivered(
    db: Database, hard: bool, used: Used | None, usd: str, reason: str
) -> None:
    purse = under(db, 1 if hard else None)
    bill = await purse.open()
    if used is not None:
        bill.note(used)
    cost = bill.cut(100)
    assert (cost.usd, cost.is_counted) == (Decimal(usd), reason != "delivered")
    await purse.money.close()
    assert await purse.row(bill.chat.ref) == ("charged", Decimal(0), Decimal(usd), reason)
    await audit(db)


async def test_a_caller_who_goes_away_while_money_is_being_held_leaves_nothing_held(db: Database) -> None:
    purse, meter = under(db, 1), Meter()
    # Somebody else has the team's row.
    async with db.transaction() as tx:
        await tx.connection.execute(
            text("INSERT INTO budget_scope (kind, id, reserved_usd, spent_usd) VALUES ('team', :id, 0, 0)"),
            {"id": purse.team},
        )
        opening = asyncio.create_task(purse.open(limits=meter))
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        async with asyncio.timeout(30), db.reading() as other:
            while not (await other.execute(waiting)).scalar_one():
                await asyncio.sleep(0.01)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await purse.money.close()
    assert await purse.used("team") == (0, 0)
    assert meter.were == [0]
    await audit(db)


async def test_an_end_that_is_broken_off_is_an_end(db: Database) -> None:
    purse = under(db, 1)
    bill = await purse.open()
    bill.note(USED)
    ending = asyncio.create_task(bill.end())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait([ending])
    bill.cut()
    await purse.money.close()
    assert await purse.row(bill.chat.ref) == CHARGED


async def test_many_ends_at_once_are_one(db: Database) -> None:
    purse = under(db, 1)
    bill = await purse.open()
    bill.note(USED)
    await asyncio.gather(bill.end(), bill.refused(), bill.end())
    bill.cut()
    await purse.money.close()
    assert await purse.row(bill.chat.ref) == CHARGED
    await audit(db)


async def test_chats_of_one_key_never_hold_more_than_its_budget(db: Database) -> None:
    purse = Purse(db, {"key": Policy(max_budget_usd=3)})

    async def one() -> bool:
        try:
            bill = await purse.open()
        except InsufficientQuota:
            return False
        bill.note(USED)
        await bill.end()
        return True

    for _ in range(4):
        await asyncio.gather(*(one() for _ in range(20)))
        spent, held = await purse.used("key")
        assert spent <= 3
        assert held == 0
    assert spent > 2
    await audit(db)


async def test_a_charge_above_what_was_held_is_charged_in_full(db: Database) -> None:
    purse = under(db, 1)
    bill = await purse.open()
    bill.note(Used(Usage(1000, 1000)))
    assert (await bill.end()).usd == 11
    assert await purse.used("team") == (11, 0)
    with pytest.raises(InsufficientQuota):
        await purse.open()
    await audit(db)


async def test_another_deployment_has_another_price(db: Database) -> None:
    purse = under(db, 1)
    # The policies by now are what counts.
    await purse.write_policies()
    bill = await purse.open()
    await bill.move(purse.deployment("cheap", "q"), "b")
    assert await purse.used("team") == (0, 0.06)
    with pytest.raises(InsufficientQuota):
        await bill.move(purse.deployment("dear"), "a")
    assert await purse.used("team") == (0, 0.06)
    await bill.refused()
    assert await purse.used("team") == (0, 0)
    await audit(db)


async def test_a_free_model_that_moves_to_one_that_is_not(db: Database) -> None:
    purse = under(db, 0)
    await purse.write_policies()
    bill = await purse.open(id_="free")
    assert await purse.row(bill.chat.ref) is None
    with pytest.raises(InsufficientQuota):
        await bill.move(purse.deployment("cheap"), "a")
    await bill.refused()
    free = await purse.open(id_="free")
    free.note(USED)
    assert (await free.end()).usd == 0
    assert await purse.row(free.chat.ref) == ("released", Decimal(0), Decimal(0), "usage")
    await audit(db)


async def test_a_price_that_nobody_knows(db: Database) -> None:
    hard, meter = under(db, 5), Meter()
    with pytest.raises(InvalidField, match="'input_cost_per_token' and 'output_cost_per_token'") as caught:
        await hard.open(id_="unknown", limits=meter)
    assert (caught.value.code, caught.value.param) == ("price_unknown", "model")
    assert meter.were == [0]
    for purse in (under(db), under(db, 5, allows_unpriced=True)):
        bill = await purse.open(id_="unknown")
        bill.note(USED)
        cost = await bill.end()
        assert (cost.usd, cost.reason) == (None, "price_unknown")
        assert await purse.row(bill.chat.ref) == ("released", Decimal(0), Decimal(0), "price_unknown")
    # Where the provider says what it costs, that counts.
    told = await under(db).open(id_="unknown")
    told.note(Used(Usage(1, 1), 0.125))
    assert (await told.end()).usd == Decimal("0.125")
    await audit(db)


async def test_the_budget_of_a_provider(db: Database) -> None:
    payer = Payer(BudgetKind.PROVIDER, unique("provider"))
    purse = Purse(db, providers=limit_of_provider(payer, "1"))
    bill = await purse.open(provider=payer.id)
    with pytest.raises(InsufficientQuota, match=f"the provider '{payer.id}'"):
        await purse.open(provider=payer.id)
    bill.note(USED)
    await bill.end()
    other = await purse.open()
    other.note(USED)
    await other.end()
    await purse.money.close()
    await audit(db)


async def test_a_limit_that_is_full_reserves_nothing(db: Database) -> None:
    purse = under(db, 1)
    with pytest.raises(RateLimited):
        await purse.open(limits=Meter(full=True))
    assert await purse.used("team") == (0, 0)


async def test_a_soft_limit_alone_is_told_at_the_end(db: Database) -> None:
    purse = Purse(db, {"user": Policy(soft_budget_usd=0.3)})
    for _ in range(3):
        bill = await purse.open()
        assert not bill.held
        bill.note(USED)
        await bill.end()
    await purse.writer.idle()
    async with db.reading() as connection:
        query = text("SELECT soft_limit_at IS NOT NULL, spent_usd FROM budget_window WHERE id = :id")
        assert tuple((await connection.execute(query, {"id": purse.user})).one()) == (True, Decimal("0.6"))
    await audit(db)


async def test_numbers_that_make_no_sense_are_settled_all_the_same(db: Database) -> None:
    purse = under(db, 1)
    for used in (
        Used(Usage(-5, -5)),
        Used(Usage(10, 10, cached_tokens=50, reasoning_tokens=-3)),
        Used(Usage(1, 1), float("nan")),
        Used(Usage(1, 1), -1.0),
    ):
        bill = await purse.open()
        bill.note(used)
        cost = await bill.end()
        assert cost.usd is not None
        assert 0 <= cost.usd < 1
        if (await purse.used("team"))[0] > 0.3:
            purse = under(db, 1)
    bill = await purse.open()
    bill.note(Used(Usage(10**40, 10**40)))
    assert (await bill.end()).usd == 110_000_000
    await audit(db)


async def test_an_end_without_usage_is_guessed(db: Database) -> None:
    purse = under(db)
    bill = await purse.open()
    cost = await bill.end(40)
    assert (cost.usage, cost.usd, cost.is_counted) == (Usage(50, 10), Decimal("0.15"), False)


async def test_the_grade_that_the_answer_names_counts(db: Database) -> None:
    info = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.01, "output_cost_per_token_priority": 0.1}
    purse = under(db, None, info=info)
    bounds = Bounds(input_tokens=100, guess=50, answer_tokens=50, grade="priority")
    for grade, usd in ((None, "1.1"), ("", "0.2"), ("priority", "1.1")):
        bill = await purse.open(bounds)
        bill.note(USED, grade)
        assert (await bill.end()).usd == Decimal(usd)


async def test_records_are_written_once_and_together(db: Database) -> None:
    purse, other = under(db), under(db)
    spent = [
        Spent(one.charge("0.5", unique("chatcmpl")), Decimal("0.25"), "usage", one.scopes)
        for one in (purse, other, purse, other) * 5
    ]
    record = purse.writer.record
    async with db.transaction() as tx:
        await record.run(tx, [*spent, spent[0]])
    # An answer of the database that was lost makes it come again.
    async with db.transaction() as tx:
        await record.run(tx, spent)
    async with db.reading() as connection:
        query = text("SELECT spent_usd FROM budget_scope WHERE id = ANY(:ids)")
        ids = [purse.team, purse.user, purse.key, other.team, other.user, other.key]
        assert [row[0] for row in await connection.execute(query, {"ids": ids})] == [Decimal("2.5")] * 6
    await audit(db)


async def test_many_writers_do_not_wait_for_each_other_for_ever(db: Database) -> None:
    purses = [under(db) for _ in range(4)]
    shared = [replace(purse, team=purses[0].team) for purse in purses]

    async def write(number: int) -> None:
        mixed: list[Any] = shared[number:] + shared[:number]
        for _ in range(10):
            async with db.transaction() as tx:
                await mixed[0].writer.record.run(
                    tx, [Spent(one.charge("1", unique("chatcmpl")), Decimal(1), "usage", one.scopes) for one in mixed]
                )

    async with asyncio.timeout(60):
        await asyncio.gather(*(write(number) for number in range(4)))
    await audit(db)


async def test_a_database_that_is_away_is_waited_for(db: Database) -> None:
    purse = under(db)
    gone = Database("postgresql://nobody@127.0.0.1:1/none")
    purse.writer.db = gone
    bill = await purse.open()
    bill.note(USED)
    await bill.end()
    await asyncio.sleep(0.2)
    purse.writer.db = db
    assert await purse.row(bill.chat.ref) == CHARGED
    await gone.close()


async def test_chats_and_videos_are_listed_in_the_order_of_time(db: Database) -> None:
    purse = under(db)
    refs = []
    for number in range(6):
        if number % 2:
            refs.append(await purse.reserve("1"))
        else:
            bill = await purse.open()
            bill.note(USED)
            await bill.end()
            await purse.writer.idle()
            refs.append(bill.chat.ref)
    found: list[str] = []
    while True:
        page = await ListSpend(db).run(purse.who, SpendFilter(), after=found[-1] if found else None, limit=2)
        found += [record.ref for record in page.items]
        if not page.has_more:
            break
    assert found == refs[::-1]

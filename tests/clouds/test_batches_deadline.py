"""Batches whose provider does not say what became of them, behind the time that they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import openai
import psycopg
import pytest

from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository
from tests.clouds.batch_kit import Desk, begin, chat_line, eventually, jsonl, lines_of, until
from tests.doubles.batch_work import Habits
from tests.doubles.openai_files import KEY


@pytest.fixture
def stand(batch_desk: Desk) -> Desk:
    return batch_desk


@pytest.fixture
def client(stand: Desk) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


@pytest.fixture
def habits(stand: Desk) -> Iterator[Habits]:
    """The knobs of OpenAI's double, for one test."""
    made = stand.openai.habits = Habits()
    yield made
    stand.openai.habits = Habits()


@contextmanager
def silent(stand: Desk) -> Iterator[None]:
    """The provider takes no key of ours."""
    stand.openai.keys = {"another"}
    try:
        yield
    finally:
        stand.openai.keys = {KEY}


def pass_days(stand: Desk, batch_id: str, column: str) -> None:
    """As if it were four days since."""
    query = f"UPDATE batch SET {column} = {column} - interval '4 days' WHERE id = %s AND {column} IS NOT NULL"
    with psycopg.connect(stand.gateway.database_url, autocommit=True) as connection:
        assert connection.execute(query.encode(), [batch_id]).rowcount == 1


def test_what_was_done_while_nobody_asked_is_complete(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.hold = True
    made = begin(client, jsonl([chat_line("0"), chat_line("1")]))
    until(client, made.id, "in_progress")
    with silent(stand):
        stand.openai._work(next(reversed(stand.openai.batches.values())), "completed")
        pass_days(stand, made.id, "submit_started_at")
    done = until(client, made.id)
    assert done.status == "completed"
    assert lines_of(client, done.output_file_id).keys() == {"0", "1"}


def test_what_the_provider_no_longer_knows_expires(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.hold = True
    made = begin(client, jsonl([chat_line("0"), chat_line("1")]))
    until(client, made.id, "in_progress")
    stand.openai.batches.clear()
    pass_days(stand, made.id, "submit_started_at")
    until(client, made.id, "finalizing", wait_s=60)
    pass_days(stand, made.id, "finalizing_at")
    done = until(client, made.id)
    assert done.status == "expired"
    bad = lines_of(client, done.error_file_id)
    assert {name: line["error"]["code"] for name, line in bad.items()} == dict.fromkeys("01", "answers_lost")


async def test_what_a_batch_writes_for_hours_is_not_taken_for_left_behind(
    client: openai.OpenAI, stand: Desk, habits: Habits
) -> None:
    habits.hold = True
    made = begin(client, jsonl([chat_line("0")]))
    # Whole, and not yet the batch's: the other file of its answers is still on its way.
    file_id = client.files.create(file=(f"{made.id}_output.jsonl", b"{}\n"), purpose="user_data").id
    with psycopg.connect(stand.gateway.database_url, autocommit=True) as connection:
        connection.execute("UPDATE file SET internal = true WHERE id = %s", [file_id])
    db = Database(stand.gateway.database_url)

    async def unused() -> list[str]:
        async with db.reading() as reading:
            later = datetime.now(UTC) + timedelta(hours=1)
            return await VideoRepository(reading).unused_inputs(before=later, limit=1000)

    try:
        assert file_id not in await unused()
        habits.hold = False
        assert until(client, made.id).status == "completed"
        assert file_id in await unused()
    finally:
        await db.close()


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_submit_that_nobody_can_be_asked_about_fails(
    client: openai.OpenAI, stand: Desk, habits: Habits, cancelled: bool
) -> None:
    # No list shows it before the provider is silent.
    habits.drop_submits, habits.lag = 1, 1000
    before = stand.openai.submits
    made = begin(client, jsonl([chat_line("0")]))
    eventually(lambda: stand.openai.submits == before + 1)
    with silent(stand):
        if cancelled:
            client.batches.cancel(made.id)
        pass_days(stand, made.id, "submit_started_at")
        failed = until(client, made.id, wait_s=60)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [error.code for error in failed.errors.data] == ["submission_unknown"]

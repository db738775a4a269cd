"""A worker that is killed at any moment loses no batch, submits none twice, and shows no answer twice."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.clouds.batch_kit import Desk, begin, chat_line, eventually, jsonl, lines_of, until
from tests.doubles.batch_work import Habits

LINES = jsonl([chat_line(f"line {number}") for number in range(300)])


@pytest.fixture
def stand(batch_desk: Desk) -> Desk:
    return batch_desk


@pytest.fixture
def client(stand: Desk) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


@pytest.fixture
def habits(stand: Desk) -> Iterator[Habits]:
    # What tests of other files have there is theirs.
    before = set(stand.openai.files)
    made = stand.openai.habits = Habits()
    yield made
    stand.openai.habits = Habits()
    eventually(lambda: stand.openai.files.keys() <= before)


def finished(stand: Desk, client: openai.OpenAI, batch_id: str, submits: int) -> None:
    """It comes to its end as if nothing had been."""
    done = until(client, batch_id)
    assert done.status == "completed", done
    assert stand.openai.submits == submits + 1
    assert len(lines_of(client, done.output_file_id)) == 300
    mine = [file for file in client.files.list() if file.filename.startswith(batch_id)]
    assert [file.id for file in mine] == [done.output_file_id]


@pytest.mark.soak
def test_while_lines_go_to_the_provider(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    submits, sent = stand.openai.submits, len(stand.openai.calls("POST", "/files"))
    habits.slow = {"files"}
    made = begin(client, LINES)
    eventually(lambda: len(stand.openai.calls("POST", "/files")) > sent)
    stand.gateway.kill("worker")
    habits.slow = set()
    finished(stand, client, made.id, submits)


def test_while_the_provider_is_asked(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    submits = stand.openai.submits
    habits.slow = {"submit"}
    made = begin(client, LINES)
    eventually(lambda: stand.openai.submits == submits + 1)
    stand.gateway.kill("worker")
    habits.slow = set()
    finished(stand, client, made.id, submits)


@pytest.mark.soak
def test_while_the_provider_works(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    submits = stand.openai.submits
    habits.hold = True
    made = begin(client, LINES)
    until(client, made.id, "in_progress")
    stand.gateway.kill("worker")
    habits.hold = False
    finished(stand, client, made.id, submits)


@pytest.mark.soak
def test_while_answers_are_fetched(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    submits = stand.openai.submits
    habits.slow = {"content"}
    made = begin(client, LINES)
    until(client, made.id, "finalizing")
    eventually(lambda: bool(stand.openai.calls("GET", "/content")))
    stand.gateway.kill("worker")
    habits.slow = set()
    finished(stand, client, made.id, submits)


@pytest.mark.soak
def test_again_and_again(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    submits = stand.openai.submits
    habits.polls = 6
    made = [begin(client, LINES).id for _ in range(6)]
    for _ in range(3):
        stand.gateway.kill("worker")
        stand.gateway.child("worker")
    for batch_id in made:
        done = until(client, batch_id)
        assert done.status == "completed"
        assert len(lines_of(client, done.output_file_id)) == 300
    assert stand.openai.submits == submits + 6

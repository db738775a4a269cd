"""Who may have batches, for how much, with which words; and what their owners are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.api.access_kit import issue_key
from tests.api.webhooks_kit import RECEIVER_PORT, Receiver
from tests.api.wire import sql
from tests.clouds.batch_kit import Desk, begin, chat_line, eventually, jsonl, lines_of, put, until
from tests.doubles.batch_work import Habits


@pytest.fixture
def stand(batch_desk: Desk) -> Desk:
    return batch_desk


@pytest.fixture
def client(stand: Desk) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


def keyed(stand: Desk, **policy: Any) -> tuple[openai.OpenAI, str]:
    issued = issue_key(stand.gateway, **policy)
    return stand.gateway.openai().with_options(api_key=issued.key), issued.id


def spend(stand: Desk, ref: str) -> tuple[str, float, float]:
    [row] = sql(stand.gateway, "SELECT state, charged_usd, held_usd FROM spend WHERE ref = %s", ref)
    return row[0], float(row[1]), float(row[2])


def errors_of(batch: Any) -> list[tuple[str, int | None]]:
    return [(error.code, error.line) for error in batch.errors.data]


class TestMoney:
    def test_a_batch_is_held_by_its_most_and_charged_by_its_usage(self, stand: Desk) -> None:
        client, _ = keyed(stand)
        stand.openai.habits.hold = True
        try:
            made = begin(client, jsonl([chat_line(str(n), model="priced", max_tokens=100) for n in range(4)]))
            held = until(client, made.id, "in_progress").to_dict()["mediagate"]["estimate_usd"]  # type: ignore[index]
            assert spend(stand, made.id) == ("reserved", 0, held)
        finally:
            stand.openai.habits.hold = False
        done = until(client, made.id)
        # 8 of 10 tokens read are new, and cached ones cost the same here; batches are for half.
        usd = 4 * (10 * 0.001 + 5 * 0.01) / 2
        assert done.to_dict()["mediagate"]["cost_usd"] == pytest.approx(usd)  # type: ignore[index]
        assert spend(stand, made.id) == ("charged", pytest.approx(usd), 0)
        assert held > usd

    def test_a_budget_that_does_not_have_so_much(self, stand: Desk) -> None:
        client, _ = keyed(stand, max_budget_usd=0.05)
        submits, before = stand.openai.submits, set(stand.openai.files)
        failed = until(client, begin(client, jsonl([chat_line("a", model="priced", max_tokens=100)])).id)
        assert (failed.status, errors_of(failed)) == ("failed", [("insufficient_quota", None)])
        assert stand.openai.submits == submits
        eventually(lambda: stand.openai.files.keys() <= before)

    def test_a_budget_wants_a_price(self, stand: Desk) -> None:
        client, _ = keyed(stand, max_budget_usd=5)
        failed = until(client, begin(client, jsonl([chat_line("a", model="compatible")])).id)
        assert errors_of(failed) == [("price_unknown", None)]

    @pytest.mark.parametrize("end", ["failed", "expired", "cancelled"])
    def test_what_was_not_answered_costs_nothing(self, stand: Desk, end: str) -> None:
        client, _ = keyed(stand)
        stand.openai.habits = Habits(end=end, undone={0})
        try:
            done = until(client, begin(client, jsonl([chat_line("a", model="priced")])).id)
        finally:
            stand.openai.habits = Habits()
        assert done.status == end
        state, usd, held = spend(stand, done.id)
        assert (state, usd, held) == ("released", 0, 0)


class TestWords:
    def test_a_line_that_may_not_pass_fails_the_batch(self, stand: Desk) -> None:
        client, _ = keyed(stand, guardrails=("asks",))
        submits = stand.openai.submits
        lines = [chat_line("a"), chat_line("b", "A FORBIDDENWORD here"), chat_line("c")]
        failed = until(client, begin(client, jsonl(lines)).id)
        assert errors_of(failed) == [("content_policy_violation", 2)]
        assert stand.openai.submits == submits

    def test_an_answer_that_may_not_pass_is_kept_back(self, stand: Desk) -> None:
        client, _ = keyed(stand, guardrails=("answers",))
        done = until(client, begin(client, jsonl([chat_line("a"), chat_line("b", "say the secretword")])).id)
        assert done.status == "completed"
        assert lines_of(client, done.output_file_id).keys() == {"a"}
        assert lines_of(client, done.error_file_id)["b"]["error"]["code"] == "content_policy_violation"
        assert done.usage is not None
        assert done.usage.total_tokens == 30


class TestAccess:
    def test_only_models_that_the_key_may_use(self, stand: Desk) -> None:
        client, _ = keyed(stand, models=("gpt",))
        with pytest.raises(openai.PermissionDeniedError) as refused:
            begin(client, jsonl([chat_line("a", model="mistral")]))
        assert refused.value.code == "model_not_allowed"
        assert until(client, begin(client, jsonl([chat_line("a")])).id).status == "completed"

    def test_only_providers_that_the_key_may_use(self, stand: Desk) -> None:
        client, _ = keyed(stand, providers=("mistral", "local"))
        with pytest.raises(openai.PermissionDeniedError) as refused:
            begin(client, jsonl([chat_line("a")]))
        assert refused.value.code == "provider_not_allowed"
        assert until(client, begin(client, jsonl([chat_line("a", model="mistral")])).id).status == "completed"

    def test_only_places_that_are_as_they_must_be(self, stand: Desk, client: openai.OpenAI) -> None:
        file_id = put(client, jsonl([chat_line("a")]))
        with pytest.raises(openai.BadRequestError) as refused:
            client.batches.create(
                input_file_id=file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                extra_headers={"x-mediagate-placement": "region=eu"},
            )
        assert refused.value.code == "placement_not_satisfied"

    def test_another_owners_batch_does_not_exist(self, stand: Desk) -> None:
        mine, _ = keyed(stand)
        other, _ = keyed(stand)
        done = until(mine, begin(mine, jsonl([chat_line("a")])).id)
        for call in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                call(done.id)
        with pytest.raises(openai.NotFoundError):
            other.files.content(done.output_file_id or "")
        with pytest.raises(openai.NotFoundError):
            begin_with(other, done.input_file_id)
        assert list(other.batches.list()) == []


def begin_with(client: openai.OpenAI, file_id: str) -> Any:
    return client.batches.create(input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h")


class TestWebhooks:
    def test_every_end_is_told_once(self, stand: Desk) -> None:
        client, _ = keyed(stand)
        types = ["batch.completed", "batch.failed", "batch.expired", "batch.cancelled", "file.created"]
        with Receiver(RECEIVER_PORT).serving() as receiver:
            client.webhooks.create(name="all", url=receiver.new_url(), event_types=types)  # type: ignore[arg-type]
            ends = {}
            for end in ("completed", "failed", "expired", "cancelled"):
                stand.openai.habits = Habits(end=end)
                ends[begin(client, jsonl([chat_line("a")])).id] = end
                until(client, list(ends)[-1])
            stand.openai.habits = Habits()

            def told() -> list[tuple[str, str]]:
                events = [one.event for one in receiver.requests]
                return [(event["data"]["id"], event["type"]) for event in events if event["type"].startswith("batch.")]

            eventually(lambda: len(told()) == 4)
            assert sorted(told()) == sorted((id_, f"batch.{end}") for id_, end in ends.items())
            output = client.batches.retrieve(next(iter(ends))).output_file_id
            eventually(lambda: output in created(receiver))


def created(receiver: Receiver) -> list[str]:
    return [one.event["data"]["id"] for one in receiver.requests if one.event["type"] == "file.created"]

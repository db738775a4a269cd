"""The money and the tokens of chats, through the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.api.access_kit import Issued, issue_key
from tests.api.money_kit import assert_balanced
from tests.chat.conftest import Chats

# The double says 11 tokens of the request and 7 of the answer; `priced` costs 0.001 and 0.01 dollars each.
COST = 0.081


def ask(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "priced", "messages": [{"role": "user", "content": text}], "max_tokens": 10, **more}


def post(http: httpx.Client, key: Issued, text: str = "hello", **more: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json=ask(text, **more), headers=key.headers)


def logs(http: httpx.Client, key: Issued) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v1/spend/logs", params={"api_key": key.id}).json()["data"]
    return found


def logged(
    http: httpx.Client, key: Issued, until: Callable[[list[dict[str, Any]]], bool] = bool
) -> list[dict[str, Any]]:
    """The rows of a key, once they are as expected: those of chats without a budget are written a moment later."""
    end = time.monotonic() + 15
    while not until(found := logs(http, key)):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("budget", [None, 5.0])
def test_an_answer_says_what_it_costs(chats: Chats, budget: float | None) -> None:
    key = issue_key(chats.gateway, max_budget_usd=budget)
    with chats.gateway.http() as http:
        reply = post(http, key)
        assert reply.status_code == 200, reply.text
        assert float(reply.headers["x-mediagate-cost-usd"]) == COST
        assert reply.headers["x-litellm-response-cost"] == reply.headers["x-mediagate-cost-usd"]
        assert reply.headers["x-mediagate-input-tokens"] == "11"
        assert reply.headers["x-mediagate-output-tokens"] == "7"
        row = logged(http, key)[0]
        assert row["request_id"] == reply.headers["x-mediagate-chat-id"]
        assert (row["spend"], row["reserved"], row["status"], row["reason"]) == (COST, 0, "charged", "usage")
        assert (row["model"], row["provider"]) == ("priced", "openai_compatible")
    assert_balanced(chats.gateway)


def test_a_hard_budget_is_free_again_when_the_answer_is_there(chats: Chats) -> None:
    # One chat fits at a time: what is held is settled before the last byte of the answer before.
    key = issue_key(chats.gateway, max_budget_usd=1.5)
    with chats.gateway.http() as http:
        for number in range(6):
            reply = post(http, key, max_tokens=60, stream=number % 2 == 1)
            assert reply.status_code == 200, (number, reply.text)
        before = len(chats.first.journal)
        refused = post(http, key, max_tokens=5000)
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == refused.json()["error"]["code"] == "insufficient_quota"
        assert "max_tokens" in refused.json()["error"]["message"]
        assert refused.headers["x-should-retry"] == "false"
        assert len(chats.first.journal) == before
        assert round(sum(row["spend"] for row in logs(http, key)), 6) == round(6 * COST, 6)
    assert_balanced(chats.gateway)


def test_many_chats_at_once_stay_within_a_hard_budget(chats: Chats) -> None:
    key = issue_key(chats.gateway, max_budget_usd=1.0)
    with chats.gateway.http() as http, ThreadPoolExecutor(16) as many:
        codes = [reply.status_code for reply in many.map(lambda _: post(http, key), range(64))]
        assert set(codes) <= {200, 429}
        rows = logs(http, key)
        assert round(sum(row["spend"] for row in rows), 6) == round(codes.count(200) * COST, 6) <= 1
        assert not any(row["reserved"] for row in rows)
    assert_balanced(chats.gateway)


def test_a_stream_says_what_it_costs_where_it_says_what_it_used(chats: Chats) -> None:
    key = issue_key(chats.gateway)
    client = chats.sdk().with_options(api_key=key.key)
    options = {"include_usage": True}
    *_, last = client.chat.completions.create(**ask("count 3"), stream=True, stream_options=options)  # type: ignore[call-overload]
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (11, 7)
    assert last.usage.cost == COST
    with chats.gateway.http() as http:
        logged(http, key)
        assert "cost" not in post(http, key, "count 3", stream=True).text
        rows = logged(http, key, lambda found: len(found) == 2)
        assert [row["spend"] for row in rows] == [COST, COST]


@pytest.mark.parametrize("budget", [None, 5.0])
def test_a_stream_that_is_cut_costs_what_was_delivered(chats: Chats, budget: float | None) -> None:
    key = issue_key(chats.gateway, max_budget_usd=budget)
    with chats.gateway.http() as http:
        assert "error" in post(http, key, "cut", stream=True).text
        row = logged(http, key, lambda found: bool(found) and found[0]["status"] == "charged")[0]
        assert (row["reserved"], row["reason"]) == (0, "delivered")
        assert 0.01 < row["spend"] < 0.1
    assert_balanced(chats.gateway)


@pytest.mark.parametrize("budget", [None, 5.0])
def test_a_caller_who_goes_away_pays_for_what_there_was(chats: Chats, budget: float | None) -> None:
    key = issue_key(chats.gateway, max_budget_usd=budget)
    with chats.gateway.http() as http:
        with http.stream("POST", "/v1/chat/completions", json=ask("hang", stream=True), headers=key.headers) as reply:
            assert next(reply.iter_bytes())
        row = logged(http, key, lambda found: bool(found) and found[0]["status"] == "charged")[0]
        assert row["reserved"] == 0
        assert 0 < row["spend"] < 0.1
    assert_balanced(chats.gateway)


@pytest.mark.parametrize("budget", [None, 5.0])
def test_a_refused_chat_costs_nothing(chats: Chats, budget: float | None) -> None:
    key = issue_key(chats.gateway, max_budget_usd=budget)
    with chats.gateway.http() as http:
        assert post(http, key, "status 400").status_code == 400
        assert sum(row["spend"] + row["reserved"] for row in logs(http, key)) == 0
    assert_balanced(chats.gateway)


def test_a_model_without_a_price_under_a_hard_budget(chats: Chats) -> None:
    key = issue_key(chats.gateway, max_budget_usd=5)
    before = len(chats.first.journal)
    with chats.gateway.http() as http:
        reply = post(http, key, model="first")
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "price_unknown")
        assert len(chats.first.journal) == before
        free = post(http, issue_key(chats.gateway, max_budget_usd=0), model="gratis")
        assert (free.status_code, free.headers["x-mediagate-cost-usd"]) == (200, "0")


def test_tokens_a_minute(chats: Chats) -> None:
    key = issue_key(chats.gateway, tokens_per_minute=40)
    with chats.gateway.http() as http:
        first = post(http, key, max_tokens=5)
        assert first.status_code == 200, first.text
        # 18 were used, whatever was expected.
        assert first.headers["x-ratelimit-limit-tokens"] == "40"
        assert post(http, key, "count 3", max_tokens=5, stream=True).status_code == 200
        assert post(http, key, max_tokens=5).status_code == 200
        before = len(chats.first.journal)
        refused = post(http, key, max_tokens=5)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert "tokens per minute of this key: Limit 40 / min" in refused.json()["error"]["message"]
        assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
        assert len(chats.first.journal) == before
        with pytest.raises(openai.RateLimitError):
            chats.sdk().with_options(api_key=key.key).chat.completions.create(**ask())
        # Nothing else is refused.
        assert http.get("/v1/models", headers=key.headers).status_code == 200


def test_the_tpm_limit_of_a_key_is_set_as_the_peer_names_it(chats: Chats) -> None:
    with chats.gateway.http() as http:
        made = http.post("/key/generate", json={"tpm_limit": 1})
        assert made.status_code == 200, made.text
        headers = {"authorization": f"Bearer {made.json()['key']}"}
        assert http.post("/v1/chat/completions", json=ask(), headers=headers).status_code == 200
        assert http.post("/v1/chat/completions", json=ask(), headers=headers).status_code == 429


def test_a_server_that_is_killed_in_mid_stream_leaves_the_money_held(chats: Chats) -> None:
    """Whoever has the provider's bill settles it; nothing is lost silently."""
    key = issue_key(chats.gateway, max_budget_usd=5)
    with chats.gateway.http() as http:
        with http.stream("POST", "/v1/chat/completions", json=ask("hang", stream=True), headers=key.headers) as reply:
            chunks = reply.iter_bytes()
            assert next(chunks)
            chats.gateway.kill("api-0")
            with pytest.raises(httpx.HTTPError):
                for _ in chunks:
                    pass
        chats.gateway.wait_ready()
        held = logged(http, key)[0]
        assert (held["status"], held["spend"]) == ("reserved", 0)
        assert held["reserved"] > 0.1
        settled = http.post(f"/v1/spend/logs/{held['request_id']}/settle", json={"usd": 0.05})
        assert settled.status_code == 200, settled.text
        assert logs(http, key)[0]["spend"] == 0.05
    assert_balanced(chats.gateway)

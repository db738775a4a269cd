"""`rpm`, `tpm` and `max_parallel_requests` of a deployment, for chats."""

from __future__ import annotations

import openai
import pytest

from tests.chat.conftest import Chats


def ask(sdk: openai.OpenAI, model: str, text: str = "hello") -> str:
    """The deployment that answers."""
    answer = sdk.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": text}], max_tokens=5
    )
    return answer.headers["x-mediagate-deployment"]


def test_a_deployment_without_room_is_passed_over(chats: Chats, sdk: openai.OpenAI) -> None:
    asked = len(chats.first.journal), len(chats.second.journal)
    first = {ask(sdk, "narrow") for _ in range(2)}
    # Each uses 18 of its 40 tokens, as the provider counts them; the third is let in by what is left, and the last.
    second = {ask(sdk, "narrow") for _ in range(3)}
    assert len(first) == len(second) == 1
    assert first != second
    with pytest.raises(openai.RateLimitError) as caught:
        ask(sdk, "narrow")
    assert caught.value.code == "deployments_busy"
    assert 0 < float(caught.value.response.headers["retry-after"]) <= 61
    assert len(chats.first.journal) - asked[0] == 2
    assert len(chats.second.journal) - asked[1] == 3


def test_one_at_a_time(chats: Chats, sdk: openai.OpenAI) -> None:
    with sdk.chat.completions.create(
        model="single", messages=[{"role": "user", "content": "hang"}], stream=True
    ) as running:
        assert next(iter(running)).choices
        with pytest.raises(openai.RateLimitError) as caught:
            ask(sdk, "single")
        assert caught.value.code == "deployments_busy"
    # Its place is free as soon as the caller is gone.
    assert ask(sdk, "single").startswith("single")


def test_what_is_refused_costs_a_deployment_nothing(chats: Chats, sdk: openai.OpenAI) -> None:
    for _ in range(3):
        with pytest.raises(openai.BadRequestError):
            ask(sdk, "single", "status 400")
    assert ask(sdk, "single").startswith("single")

"""How many tokens a chat can come to, before anybody has counted them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.chat.bounds import IMAGE_TOKENS, UNKNOWN_ANSWER, UNKNOWN_WINDOW, MediaSize, bounds_of
from mediagate.chat.cost import Cost, TokenCosts, grade_of, plain
from mediagate.core.chat import Dialect, MediaKind, Usage
from mediagate.core.chat_text import size_of, texts_of
from mediagate.pricing.prices import PriceSource
from mediagate.pricing.token_prices import TokenPrice, TokenPrices
from mediagate.pricing.token_rates import token_rates_in

CHAT, RESPONSES = Dialect.CHAT, Dialect.RESPONSES
RATES = token_rates_in({"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-5})
PRICE = TokenPrice(RATES, PriceSource.CONFIG, window=1000, answer_max=500)
COSTS = TokenCosts(TokenPrices({}))
AT = ("messages", 0, "content", 1)


def body(*parts: Any, **more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}, *parts]}],
        **more,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_every_character_counts(value: Any) -> None:
    size, tokens = size_of({"x": value})
    assert size >= sum(len(text.encode("utf-8", "surrogatepass")) for text in texts_of({"x": value}))
    assert tokens > 0


def test_words_are_bounded_by_their_bytes() -> None:
    long = bounds_of(body(), CHAT, {}), bounds_of({**body(), "x": "é" * 100}, CHAT, {})
    assert long[1].input_tokens - long[0].input_tokens == 201


def test_a_file_in_the_body_is_not_counted_as_words() -> None:
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    with_words = bounds_of(body(data), CHAT, {})
    assert with_words.input_tokens > 1_000_000
    found = bounds_of(body(data), CHAT, {AT: MediaSize(MediaKind.IMAGE, 750_000)})
    assert IMAGE_TOKENS < found.input_tokens < IMAGE_TOKENS + 200
    assert found.guess < 1200


@pytest.mark.parametrize(
    ("kind", "size", "most", "unknown"),
    [
        (MediaKind.IMAGE, None, IMAGE_TOKENS, False),
        (MediaKind.DOCUMENT, 5000, 5000, False),
        (MediaKind.AUDIO, 16_001, 1001, False),
        (MediaKind.VIDEO, 16_000, 1000, False),
        (MediaKind.DOCUMENT, None, 0, True),
        (MediaKind.VIDEO, None, 0, True),
    ],
)
def test_media(kind: MediaKind, size: int | None, most: int, unknown: bool) -> None:
    base = bounds_of(body({}), CHAT, {AT: MediaSize(MediaKind.DOCUMENT, 0)}).input_tokens
    found = bounds_of(body({}), CHAT, {AT: MediaSize(kind, size)})
    assert (found.input_tokens - base, found.reads_unknown) == (most, unknown)
    usage = found.most(None)
    assert usage.input_tokens == base + most + (UNKNOWN_WINDOW if unknown else 0)


@pytest.mark.parametrize(
    ("more", "dialect", "tokens"),
    [
        ({}, CHAT, 500),
        ({"max_tokens": 10}, CHAT, 10),
        ({"max_completion_tokens": 20, "max_tokens": 10}, CHAT, 20),
        ({"max_output_tokens": 10}, CHAT, 500),
        ({"max_output_tokens": 10}, RESPONSES, 10),
        ({"max_tokens": 10, "n": 3}, CHAT, 30),
        ({"n": 3}, CHAT, 1500),
        ({"max_tokens": 10**30}, CHAT, 500),
        # What is no length is the provider's to refuse; until then the most counts.
        ({"max_tokens": -5}, CHAT, 500),
        ({"max_tokens": 0}, CHAT, 500),
        ({"max_tokens": True}, CHAT, 500),
        ({"max_tokens": "5"}, CHAT, 500),
        ({"max_tokens": float("nan")}, CHAT, 500),
        ({"max_tokens": float("inf")}, CHAT, 500),
        ({"max_tokens": 0.5}, CHAT, 500),
        ({"max_tokens": 10, "n": -3}, CHAT, 10),
        ({"max_tokens": 10, "n": 10**30}, CHAT, 1280),
    ],
)
def test_the_longest_answer(more: dict[str, Any], dialect: Dialect, tokens: int) -> None:
    assert bounds_of(body(**more), dialect, {}).most(PRICE).output_tokens == tokens


def test_an_answer_of_a_model_that_nobody_knows() -> None:
    assert bounds_of(body(), CHAT, {}).most(None).output_tokens == UNKNOWN_ANSWER
    assert bounds_of(body(), CHAT, {}).most(None, 100).output_tokens == 100
    assert bounds_of(body(max_tokens=200), CHAT, {}).most(None, 100).output_tokens == 200
    assert bounds_of(body(), CHAT, {}).most(PRICE, 10_000).output_tokens == 500


def test_a_window_bounds_everything() -> None:
    assert bounds_of(body(x="y" * 5000), CHAT, {}).most(PRICE).input_tokens == 1000
    assert bounds_of({"input": "x", "previous_response_id": "resp_1"}, RESPONSES, {}).most(PRICE).input_tokens == 1000
    assert bounds_of(body(previous_response_id="resp_1"), CHAT, {}).most(PRICE).input_tokens < 200


def test_what_the_most_costs() -> None:
    bounds = bounds_of(body(x="y" * 5000, max_tokens=100), CHAT, {})
    assert COSTS.most(PRICE, bounds) == Decimal("0.002")
    written = token_rates_in(
        {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-5, "cache_creation_input_token_cost": 2e-6}
    )
    assert COSTS.most(TokenPrice(written, PriceSource.TABLE, 1000), bounds) == Decimal("0.003")
    assert COSTS.most(None, bounds) is None
    assert COSTS.most(TokenPrice(None, PriceSource.CONFIG, 1000), bounds) is None
    dear = token_rates_in({"input_cost_per_token": 1, "output_cost_per_token": 1})
    huge = bounds_of(body(max_tokens=10**30, n=128), CHAT, {})
    assert COSTS.most(TokenPrice(dear, PriceSource.TABLE), huge) == Decimal(10**9)


def test_the_grade_that_is_asked_for_counts() -> None:
    rates = token_rates_in(
        {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-5, "output_cost_per_token_priority": 1e-4}
    )
    price = TokenPrice(rates, PriceSource.TABLE, 1000)
    for tier, usd in (("priority", "0.010"), ("auto", "0.001"), (["priority"], "0.001"), ("batches", "0.001")):
        bounds = bounds_of(body(max_tokens=100, service_tier=tier), CHAT, {})
        most = COSTS.most(price, bounds)
        assert most is not None
        assert round(most, 3) == Decimal(usd)


def test_the_providers_figure_goes_before_the_price() -> None:
    assert COSTS.of(PRICE, Usage(1000, 0), 0.5) == (Decimal("0.5"), "provider_figure", PriceSource.PROVIDER)
    for nonsense in (-1.0, float("nan"), float("inf"), 1e12):
        assert COSTS.of(PRICE, Usage(1000, 0), nonsense)[0] == Decimal("0.001")
    assert COSTS.of(None, Usage(1000, 0)) == (None, "price_unknown", None)
    assert COSTS.of_batch(PRICE, Usage(1000, 0)) == Decimal("0.0005")


def test_headers() -> None:
    cost = Cost(Usage(3, 4), Decimal("0.000001250"), "usage", PriceSource.TABLE)
    assert dict(cost.headers()) == {
        "x-mediagate-input-tokens": "3",
        "x-mediagate-output-tokens": "4",
        "x-mediagate-cost-usd": "0.00000125",
        "x-litellm-response-cost": "0.00000125",
    }
    assert plain(Decimal(0)) == "0"
    assert "x-mediagate-cost-usd" not in dict(Cost(Usage(), None, "price_unknown", None).headers())


@pytest.mark.parametrize(
    ("answer", "grade"),
    [({}, None), ({"service_tier": "flex"}, "flex"), ({"service_tier": "default"}, ""), ({"service_tier": 5}, None)],
)
def test_the_grade_that_an_answer_names(answer: dict[str, Any], grade: str | None) -> None:
    assert grade_of(answer) == grade


def test_what_a_model_may_read() -> None:
    asked = {
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "one"}, {"type": "file", "file": {}}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "two"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "three"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "parameters": {"type": "object", "properties": {"role": {"description": "four", "type": "string"}}},
                },
            }
        ],
        "metadata": {"k": "five"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "six"}},
    }
    found = list(texts_of(asked))
    assert found[:6] == ["be kind", "ann", "one", "f", "two", "three"]
    assert {"role", "four", "six"} <= set(found)
    assert not {"gpt", "user", "function", "c"} & set(found)


def test_a_body_of_any_depth_is_walked() -> None:
    deep: Any = "end"
    for _ in range(100_000):
        deep = [deep]
    assert list(texts_of({"x": deep})) == ["end"]
    assert size_of({"x": deep})[0] == 4

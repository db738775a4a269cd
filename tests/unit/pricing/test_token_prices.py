"""What the tokens of a chat model cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from mediagate.core.chat import Usage
from mediagate.pricing.prices import PriceSource
from mediagate.pricing.token_prices import (
    LIST,
    OwnTokens,
    TokenPrice,
    TokenPrices,
    list_date,
    own_tokens,
    shipped,
)
from mediagate.pricing.token_rates import BATCHES, TokenRates, token_rates_in

PLAIN = {"input_cost_per_token": 1e-6, "output_cost_per_token": "0.00001"}
M = 1_000_000


def price(**keys: Any) -> TokenPrice:
    rates = token_rates_in({**PLAIN, **keys})
    assert rates is not None
    return TokenPrice(rates, PriceSource.CONFIG)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-5.4"),
        ("azure", "gpt-4o"),
        ("anthropic", "claude-opus-4-6"),
        ("gemini", "gemini-2.5-flash"),
        ("vertex_ai", "gemini-2.5-pro"),
        ("vertex_ai", "gemini-2.5-pro@001"),
        ("vertex_ai", "publishers/google/models/gemini-2.5-pro"),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("mistral", "mistral-large-latest"),
        ("xai", "grok-4.3"),
    ],
)
def test_models_of_every_provider_are_listed(provider: str, model: str) -> None:
    found = TokenPrices({}).of("d", provider, model)
    assert found is not None
    assert found.rates is not None
    assert found.source is PriceSource.TABLE
    assert found.date == list_date()
    assert found.of(Usage(M, M)) > 0


def test_the_list_is_read_as_it_is_written() -> None:
    found = shipped("openai/gpt-5.4")
    assert found is not None
    assert (found.window, found.answer_max) == (1_050_000, 128_000)
    assert found.of(Usage(1000, 1000)) == Decimal("0.0175")
    # All of a long request costs more, and what was cached less.
    assert found.of(Usage(300_000, 1000, cached_tokens=100_000)) == Decimal("1.0725")
    assert found.of(Usage(1000, 1000), BATCHES) == Decimal("0.00875")
    assert found.of(Usage(1000, 1000), "priority") == Decimal("0.035")


def test_every_line_of_the_list_can_be_read() -> None:
    names = [line.split("\t")[0] for line in LIST.read_text().splitlines() if line[:1] not in "#\t"]
    assert len(names) > 1000
    assert names == sorted(set(names))
    for name in names:
        found = shipped(name)
        assert found is not None
        assert found.rates is not None
        assert 0 <= found.of(Usage(M, M)) < 10_000, name


@pytest.mark.parametrize("name", ["", "openai/", "\n", "openai/gpt-5.4\t", "é", "x" * 10_000, "# date"])
def test_names_that_are_none(name: str) -> None:
    assert shipped(name) is None
    assert TokenPrices({}).of("d", "", name) is None


@pytest.mark.parametrize(
    ("keys", "usage", "usd"),
    [
        ({}, Usage(M, M), "11"),
        ({}, Usage(M, M, cached_tokens=M // 2, reasoning_tokens=M), "11"),
        ({"cache_read_input_token_cost": 1e-7}, Usage(M, 0, cached_tokens=M // 2), "0.55"),
        ({"cache_creation_input_token_cost": 2e-6}, Usage(M, 0, cache_write_tokens=M // 2), "1.5"),
        ({"output_cost_per_reasoning_token": 2e-5}, Usage(0, M, reasoning_tokens=M // 2), "15"),
        ({"input_cost_per_audio_token": 4e-6}, Usage(M, 0, audio_input_tokens=M // 4), "1.75"),
        ({"output_cost_per_audio_token": 4e-5}, Usage(0, M, audio_output_tokens=M // 4), "17.5"),
        ({"input_cost_per_token_above_200k_tokens": 3e-6}, Usage(200_000, 0), "0.2"),
        ({"input_cost_per_token_above_200k_tokens": 3e-6}, Usage(200_001, 0), "0.600003"),
        # More of a kind than there are of all: none is counted twice, and none is lost.
        ({"cache_read_input_token_cost": 0}, Usage(M, 0, cached_tokens=5 * M), "0"),
        ({"cache_read_input_token_cost": 0}, Usage(M, 0, cached_tokens=-5 * M), "1"),
        ({}, Usage(-M, -M), "0"),
        ({}, Usage(10**30, 0), "10000"),
    ],
)
def test_what_tokens_cost(keys: dict[str, Any], usage: Usage, usd: str) -> None:
    assert price(**keys).of(usage) == Decimal(usd)


def test_batches_cost_half_where_nobody_says() -> None:
    assert price().of(Usage(M, M), BATCHES) == Decimal("5.5")
    assert price(input_cost_per_token_batches=9e-7).of(Usage(M, M), BATCHES) == Decimal("5.9")
    long = price(input_cost_per_token_above_200k_tokens=2e-6)
    assert long.of(Usage(M, 0), BATCHES) == Decimal("1")


def test_another_grade_falls_back_to_the_normal_price() -> None:
    found = price(output_cost_per_token_priority=2e-5, input_cost_per_token_above_200k_tokens=2e-6)
    assert found.of(Usage(1000, 1000), "priority") == Decimal("0.021")
    assert found.of(Usage(M, 0), "priority") == Decimal("2")
    assert found.of(Usage(1000, 1000), "flex") == found.of(Usage(1000, 1000))


def test_the_configuration_comes_first() -> None:
    own = own_tokens({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "max_output_tokens": 100})
    assert own is not None
    found = TokenPrices({"d": own}).of("d", "openai", "gpt-5.4")
    assert found is not None
    assert found.of(Usage(M, M)) == Decimal("3")
    assert (found.source, found.window, found.answer_max) == (PriceSource.CONFIG, 1_050_000, 100)


def test_one_direction_alone_leaves_the_other_as_it_is_listed() -> None:
    own = own_tokens({"input_cost_per_token": 0})
    assert own is not None
    found = TokenPrices({"d": own}).of("d", "openai", "gpt-5.4")
    assert found is not None
    assert found.of(Usage(1000, 1000)) == Decimal("0.015")


def test_a_deployment_with_a_name_of_its_own_has_the_price_of_its_base_model() -> None:
    for base in ("azure/gpt-4o", "gpt-4o"):
        found = TokenPrices({"d": OwnTokens(base_model=base)}).of("d", "azure", "my-deployment")
        assert found is not None
        assert found.of(Usage(M, 0)) == shipped("azure/gpt-4o").of(Usage(M, 0))  # type: ignore[union-attr]
    assert TokenPrices({}).of("d", "azure", "my-deployment") is None
    other = TokenPrices({"d": OwnTokens(base_model="openai/gpt-5.4")}).of("d", "openai_compatible", "x")
    assert other is not None


def test_free_models_are_not_unknown_ones() -> None:
    own = own_tokens({"input_cost_per_token": 0, "output_cost_per_token": 0})
    assert own is not None
    found = TokenPrices({"d": own}).of("d", "openai_compatible", "llama")
    assert found is not None
    assert found.rates is not None
    assert found.of(Usage(M, M)) == 0
    only_size = TokenPrices({"d": replace(own, rates=None, window=5)}).of("d", "openai_compatible", "llama")
    assert only_size is not None
    assert only_size.rates is None


@pytest.mark.parametrize("value", [-1e-6, float("nan"), float("inf"), 2, True, "x", [], {}])
def test_rates_that_are_none(value: object) -> None:
    with pytest.raises(ValueError, match="input_cost_per_token should be"):
        own_tokens({"input_cost_per_token": value})


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "100", 10**30])
def test_sizes_that_are_none(value: object) -> None:
    with pytest.raises(ValueError, match="max_input_tokens should be"):
        own_tokens({"max_input_tokens": value})


def test_other_members_say_nothing() -> None:
    assert own_tokens({"mode": "chat", "input_cost_per_token_mystery": 1, "output_cost_per_second": 2}) is None
    assert token_rates_in({"cache_read_input_token_cost": 1e-6}) is None
    assert isinstance(token_rates_in({"output_cost_per_token": 0}), TokenRates)

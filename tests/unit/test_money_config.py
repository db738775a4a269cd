"""The section of budgets: what loads, and what is complained about."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from mediagate.composition import budget_rules
from mediagate.config import ConfigError, Settings, load_config
from mediagate.core.spend import BudgetKind, Payer


def loaded(folder: Path, budgets: object) -> Settings:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"budgets": budgets}))
    return Settings(folder, path, None, None, load_config(path, {}))


@pytest.mark.parametrize(
    "members",
    [
        {"budget_limit": 100, "time_period": "1d", "soft_limit": 80},
        {"max_budget": 100, "budget_duration": "1d", "soft_budget": 80},
    ],
)
def test_a_provider_has_a_budget_in_the_peers_words(tmp_path: Path, members: dict[str, object]) -> None:
    rules = budget_rules(loaded(tmp_path, {"provider_budget_config": {"openai": members}}))
    limit = rules.providers["openai"]
    assert (limit.payer, limit.max_usd, limit.soft_usd, limit.period.text) == (
        Payer(BudgetKind.PROVIDER, "openai"),
        Decimal(100),
        Decimal(80),
        "1d",
    )
    assert not rules.allows_unpriced
    assert budget_rules(loaded(tmp_path, {"unpriced": "allow"})).allows_unpriced


@pytest.mark.parametrize(
    ("budgets", "complaint"),
    [
        (
            {"provider_budget_config": {"openai": {}}},
            "openai.budget_limit: this key is required",
        ),
        ({"provider_budget_config": {"openai": {"budget_limit": -1}}}, "greater than or equal to 0"),
        ({"provider_budget_config": {"openai": {"budget_limit": 1e13}}}, "less than or equal to"),
        ({"provider_budget_config": {"openai": {"budget_limit": float("nan")}}}, "finite number"),
        ({"provider_budget_config": {"openai": {"budget_limit": 1, "time_period": "daily"}}}, "a period like 30s"),
        ({"provider_budget_config": {"openai": {"budget_limit": 1, "soft_limit": 2}}}, "not be above budget_limit"),
        (
            {"provider_budget_config": {"opnai": {"budget_limit": 1}}},
            "'opnai' is no provider here; there are anthropic",
        ),
        ({"unpriced": "guess"}, "budgets.unpriced"),
        ({"provider_budget": {}}, "unknown key"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, budgets: object, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        budget_rules(loaded(tmp_path, budgets))

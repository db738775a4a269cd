"""Prices in the configuration: a wrong one is an error with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediagate.config import ConfigError, load_config


def load(tmp_path: Path, info: str) -> dict[str, object]:
    file = tmp_path / "config.yaml"
    file.write_text(f"model_list:\n  - {{model_name: m, litellm_params: {{model: xai/m}}, model_info: {info}}}\n")
    return dict(load_config(file, {}).model_list[0].model_info)


def test_prices_stand_beside_free_notes(tmp_path: Path) -> None:
    info = {"output_cost_per_second": 0.1, "output_cost_per_second_1080p": "0.25", "anything": [1]}
    assert load(tmp_path, '{output_cost_per_second: 0.1, output_cost_per_second_1080p: "0.25", anything: [1]}') == info


@pytest.mark.parametrize("value", ["cheap", "-1", ".nan", ".inf", "true", "[1]"])
def test_a_price_that_is_none_is_an_error_with_its_path(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, f"{{output_cost_per_second_1080p: {value}}}")
    assert refused.value.complaints == [
        "model_list[0].model_info: output_cost_per_second_1080p should be a number of US dollars from 0 to a million"
    ]

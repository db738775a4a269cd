"""What videos cost: by which size, with which sound, from the configuration or from the lists of the package."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mediagate.pricing import prices as prices_module
from mediagate.pricing.prices import LISTS, Listed, OwnRates, Price, Prices, PriceSource, own_rates, shipped
from mediagate.pricing.rates import per_second, rates_in
from mediagate.providers.registry import VIDEO_PROVIDERS

ROOT = Path(__file__).parents[3]
BASE, FLAT = "output_cost_per_second", "output_cost_per_video_per_second"


def rate(entry: dict[str, object], size: str, audio: bool | None = True) -> float | None:
    width, height = (int(part) for part in size.split("x"))
    found = per_second(rates_in(entry), width, height, audio)
    return None if found is None else float(found)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("854x480", 0.05),
        ("864x496", 0.05),
        ("1280x720", 0.07),
        ("720x1280", 0.07),
        ("960x720", 0.07),
        ("720x720", 0.07),
        ("960x960", 0.07),
        ("1470x630", 0.07),
        ("834x1112", 0.07),
        ("1920x1080", 0.25),
        ("1792x1024", 0.25),
        ("1080x1080", 0.25),
        ("3840x2160", 0.6),
        ("3840x1646", 0.6),
    ],
)
def test_a_size_costs_what_its_resolution_costs(size: str, expected: float) -> None:
    entry = {f"{BASE}_480p": 0.05, f"{BASE}_720p": 0.07, f"{BASE}_1080p": 0.25, f"{BASE}_4k": 0.6, BASE: 9}
    assert rate(entry, size) == expected


@pytest.mark.parametrize(
    ("entry", "size", "expected"),
    [
        ({BASE: 0.4, f"{BASE}_4k": 0.6}, "1280x720", 0.4),
        ({BASE: 0.4, f"{BASE}_4k": 0.6}, "1920x1080", 0.4),
        # What is larger than every tier costs what the largest costs, not what the base does.
        ({BASE: 0.1, f"{BASE}_1080p": 0.15}, "2560x1440", 0.15),
        ({BASE: 0.3, f"{BASE}_480p": 0.2}, "1280x720", 0.3),
        ({f"{BASE}_720p": 1.5}, "640x360", None),
        ({f"{BASE}_540p": 0.75, f"{BASE}_720p": 1.5}, "960x540", 0.75),
        ({f"{BASE}_768p": 0.06, f"{BASE}_480p": 0.05, BASE: 0.13}, "1280x720", 0.13),
        ({}, "1280x720", None),
        # The key for every size beats those of single ones.
        ({FLAT: 0.5, f"{BASE}_720p": 0.1}, "1280x720", 0.5),
    ],
)
def test_a_resolution_that_has_no_rate_of_its_own(entry: dict[str, object], size: str, expected: float | None) -> None:
    assert rate(entry, size) == expected


def test_a_silent_video_costs_its_own_rate_where_there_is_one() -> None:
    entry = {BASE: 0.4, f"{BASE}_without_audio": 0.2, f"{BASE}_4k": 0.6}
    assert [rate(entry, "1280x720", audio) for audio in (True, None, False)] == [0.4, 0.4, 0.2]
    assert rate({BASE: 0.4}, "1280x720", False) == 0.4
    assert rate({FLAT: 0.4, f"{FLAT}_without_audio": 0.1}, "1280x720", False) == 0.1


@pytest.mark.parametrize("value", ["abc", "", None, True, -0.1, math.nan, math.inf, [1], {"a": 1}])
def test_a_rate_that_is_no_amount_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"^output_cost_per_second_720p should be a number of US dollars"):
        rates_in({"output_cost_per_second_720p": value})


@pytest.mark.parametrize("key", ["output_cost_per_token", "output_cost_per_second_9000p", "mode", "max_tokens"])
def test_other_members_are_no_rates(key: str) -> None:
    assert rates_in({key: "free text"}) == {}


def test_a_rate_is_the_decimal_that_was_written() -> None:
    assert rates_in({BASE: 0.1})[BASE] == Decimal("0.1")
    assert rates_in({BASE: "0.07"})[BASE] == Decimal("0.07")


def price(**amounts: str) -> Price:
    names = ("usd_per_second", "usd_per_video", "usd_per_image", "usd_per_source_second")
    return Price(**{name: Decimal(amounts.get(name, "0")) for name in names}, source=PriceSource.TABLE)


def test_a_video_costs_its_seconds_its_inputs_and_what_every_video_costs() -> None:
    whole = price(usd_per_second="0.1", usd_per_video="0.5", usd_per_image="0.002", usd_per_source_second="0.01")
    assert whole.of(8) == Decimal("1.3")
    assert whole.of(8, images=1, source_seconds=5) == Decimal("1.352")
    # As binary fractions these would be 0.30000000000000004.
    assert float(price(usd_per_second="0.1").of(3)) == 0.3
    assert price(usd_per_second="0.07").of(5.041667) == Decimal("0.352917")


def test_the_configuration_beats_the_lists_as_far_as_it_says_something() -> None:
    table = {"runwayml/gen4.5": Listed(rates_in({BASE: 0.12}), "2026-11-21")}
    own = {"a": OwnRates(rates_in({f"{BASE}_1080p": 0.3})), "b": OwnRates({}, "runwayml/gen4.5")}
    found = Prices(own, table)

    def of(deployment: str, provider: str, model: str, height: int) -> tuple[float, str, str | None] | None:
        known = found.of(deployment, provider, model, height * 16 // 9, height, None)
        return known and (float(known.usd_per_second), known.source.value, known.date)

    assert of("a", "runwayml", "gen4.5", 1080) == (0.3, "config", None)
    assert of("a", "runwayml", "gen4.5", 720) == (0.12, "table", "2026-11-21")
    assert of("b", "azure", "my-deployment", 720) == (0.12, "table", "2026-11-21")
    assert of("c", "runwayml", "gen4.5", 720) == (0.12, "table", "2026-11-21")
    assert of("c", "replicate", "who/knows", 720) is None


def test_a_price_of_zero_is_known() -> None:
    free = Prices({}).of("d", "local", "local-video", 320, 180, None)
    assert free is not None
    assert (free.of(4), free.is_flat) == (0, False)


def test_a_flat_price_needs_no_seconds() -> None:
    found = Prices({"d": OwnRates(rates_in({"output_cost_per_video": 0.5}))}, {}).of("d", "fal", "m", 1280, 720, None)
    assert found is not None
    assert (found.of(99), found.is_flat) == (Decimal("0.5"), True)


def test_the_notes_of_a_deployment_may_say_nothing_of_money() -> None:
    assert own_rates({"mode": "video_generation", "sizes": ["1280x720"]}) is None
    assert own_rates({"base_model": "xai/grok-imagine-video"}) == OwnRates({}, "xai/grok-imagine-video")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_says_where_it_is_from_and_of_which_day(name: str) -> None:
    sections = json.loads(Path(prices_module.__file__).with_name(name).read_text())
    for section in sections:
        assert section["source"]
        assert section["licence"]
        assert date.fromisoformat(section["date"]) <= date(2026, 12, 31)
        for model, entry in section["models"].items():
            provider, slash, rest = model.partition("/")
            assert provider in VIDEO_PROVIDERS, model
            assert (slash, bool(rest)) == ("/", True)
            assert set(rates_in(entry)) == set(entry), f"{model} has a key that nobody reads"


@pytest.mark.parametrize(
    ("model", "size", "audio", "expected"),
    [
        ("vertex_ai/veo-3.1-generate-001", "1280x720", True, 0.40),
        ("vertex_ai/veo-3.1-generate-001", "3840x2160", True, 0.60),
        ("vertex_ai/veo-3.1-fast-generate-001", "1920x1080", True, 0.12),
        ("vertex_ai/veo-3.1-lite-generate-001", "1920x1080", True, 0.08),
        ("vertex_ai/gemini-omni-1.2-flash", "1280x720", True, 0.10),
        ("gemini/gemini-omni-1.2-flash", "640x360", True, 0.03),
        ("gemini/gemini-omni-1.1-flash", "3840x2160", True, 0.30),
        ("runwayml/gen4.5", "1280x720", False, 0.12),
        ("runwayml/veo3.1", "1280x720", True, 0.40),
        ("runwayml/veo3.1", "1280x720", False, 0.20),
        ("runwayml/hailuo3", "1920x1080", False, 0.15),
        ("xai/grok-imagine-video", "854x480", None, 0.05),
        ("xai/grok-imagine-video", "1280x720", None, 0.07),
        ("fal/bytedance/seedance-2.0/text-to-video", "1920x1080", None, 0.682),
        ("bedrock/luma.ray-v2:0", "960x540", None, 0.75),
        ("bedrock/luma.ray-v2:0", "1280x720", None, 1.50),
    ],
)
def test_prices_that_are_known(model: str, size: str, audio: bool | None, expected: float) -> None:
    width, height = (int(part) for part in size.split("x"))
    known = per_second(shipped()[model].rates, width, height, audio)
    assert known is not None
    assert float(known) == expected


def test_the_list_is_made_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "litellm-9.8.7-py3-none-any.whl"
    entries = {
        "xai/one": {"mode": "video_generation", BASE: 0.1, f"{BASE}_1080p": 1.75e-05, "source": "x"},
        "fal_ai/house/two": {"mode": "video_generation", BASE: 0.30},
        "dashscope/three": {"mode": "video_generation", BASE: 1},
        "xai/four": {"mode": "chat", BASE: 1},
        "five": {"mode": "video_generation", BASE: 1},
    }
    with ZipFile(wheel, "w") as archive:
        archive.writestr("litellm/model_prices_and_context_window_backup.json", json.dumps(entries))
    tool = tool_of("prices")
    monkeypatch.setattr(tool, "TARGET", tmp_path / "made.json")
    assert tool.main([str(wheel), "--date", "2026-01-02"]) == 0
    text = (tmp_path / "made.json").read_text()
    (section,) = json.loads(text)
    assert section["models"] == {"fal/house/two": {BASE: 0.3}, "xai/one": {BASE: 0.1, f"{BASE}_1080p": 1.75e-05}}
    assert (section["date"], "MIT" in section["licence"]) == ("2026-01-02", True)
    assert re.search(r"litellm/9\.8\.7/", section["source"])


def tool_of(name: str) -> Any:
    spec = spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

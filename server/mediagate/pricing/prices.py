"""What a video costs: by the configuration, else by the price lists that come with the package.

The lists are `litellm.json`, which `tools/prices.py` writes, and `added.json`, which people write. Each section names
its source, its licence and its day. A section that comes later replaces single rates of one before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from mediagate.pricing.rates import PER_IMAGE, PER_SOURCE_SECOND, PER_VIDEO, Rates, per_second, rates_in

LISTS: Final = ("litellm.json", "added.json")
BASE_MODEL: Final = "base_model"
"""The key by which a deployment with a name of its own says whose price it has, as `provider/model`."""
_MICRO: Final = Decimal("0.000001")
_ZERO: Final = Decimal(0)


class PriceSource(StrEnum):
    """Who says what a video costs."""

    CONFIG = "config"
    TABLE = "table"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Price:
    """What videos of one shape cost, US dollars. `date` is the day of the price list, as `2026-11-21`."""

    usd_per_second: Decimal
    usd_per_video: Decimal
    usd_per_image: Decimal
    usd_per_source_second: Decimal
    source: PriceSource
    date: str | None = None

    @property
    def is_flat(self) -> bool:
        """Whether every video costs the same, whatever its length."""
        return bool(self.usd_per_video) and not self.usd_per_second

    def of(self, seconds: float, *, images: int = 0, source_seconds: float = 0.0) -> Decimal:
        """What one video of so many seconds costs, to the millionth of a dollar."""
        total = (
            self.usd_per_second * Decimal(str(seconds))
            + self.usd_per_video
            + self.usd_per_image * images
            + self.usd_per_source_second * Decimal(str(source_seconds))
        )
        return total.quantize(_MICRO, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Listed:
    """The rates of one model in the price lists, and the day of the newest of them."""

    rates: Rates
    date: str


@dataclass(frozen=True, slots=True)
class OwnRates:
    """What the configuration says of one deployment. `base_model` is whose listed price it has where it has none of
    its own."""

    rates: Rates
    base_model: str | None = None


class Prices:
    """Finds prices. `own` holds what the configuration says, by the id of the deployment."""

    def __init__(self, own: Mapping[str, OwnRates], table: Mapping[str, Listed] | None = None) -> None:
        self._own = own
        self._table = shipped() if table is None else table

    def of(
        self, deployment_id: str, provider: str, provider_model: str, width: int, height: int, audio: bool | None
    ) -> Price | None:
        """The price of a video of such a size, in pixels; None where nobody says. `audio` is None where it is not
        known, which costs as much as with sound."""
        own = self._own.get(deployment_id)
        if own is not None:
            price = _price(own.rates, width, height, audio, PriceSource.CONFIG, None)
            if price is not None:
                return price
        name = own.base_model if own is not None and own.base_model else f"{provider}/{provider_model}"
        listed = self._table.get(name)
        return None if listed is None else _price(listed.rates, width, height, audio, PriceSource.TABLE, listed.date)


def own_rates(model_info: Mapping[str, object]) -> OwnRates | None:
    """What the `model_info` of a deployment says of its price; None where it says nothing. Raises `ValueError` with a
    sentence."""
    base = model_info.get(BASE_MODEL)
    found = OwnRates(rates_in(model_info), base if isinstance(base, str) else None)
    return found if found.rates or found.base_model else None


@cache
def shipped() -> Mapping[str, Listed]:
    """The price lists of the package, by `provider/model`."""
    found: dict[str, Listed] = {}
    for name in LISTS:
        for section in json.loads(Path(__file__).with_name(name).read_text(), parse_float=Decimal):
            for model, entry in section["models"].items():
                before = found[model].rates if model in found else {}
                found[model] = Listed({**before, **rates_in(entry)}, section["date"])
    return found


def _price(
    rates: Rates, width: int, height: int, audio: bool | None, source: PriceSource, date: str | None
) -> Price | None:
    second = per_second(rates, width, height, audio)
    if second is None and PER_VIDEO not in rates:
        return None
    return Price(
        usd_per_second=_ZERO if second is None else second,
        usd_per_video=rates.get(PER_VIDEO, _ZERO),
        usd_per_image=rates.get(PER_IMAGE, _ZERO),
        usd_per_source_second=rates.get(PER_SOURCE_SECOND, _ZERO),
        source=source,
        date=date,
    )

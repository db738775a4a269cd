"""The rates of one model, in the keys that price lists of model gateways use, in US dollars.

output_cost_per_second                 one second of the finished video
output_cost_per_second_1080p           the same at one resolution: 360p, 480p, 540p, 720p, 768p, 1080p, 2k, 4k
output_cost_per_video_per_second       the same at every resolution; beats the two above
..._without_audio                      behind each of these: a video without sound
output_cost_per_video                  one finished video, whatever its length
input_cost_per_image                   one image that it starts from
input_cost_per_video_per_second        one second of a source video
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from math import log
from typing import Final, TypeAlias

from mediagate.core.sizes import RESOLUTIONS

Rates: TypeAlias = Mapping[str, Decimal]
TIERS: Final = {**RESOLUTIONS, "2k": 1440}
PER_VIDEO: Final = "output_cost_per_video"
PER_IMAGE: Final = "input_cost_per_image"
PER_SOURCE_SECOND: Final = "input_cost_per_video_per_second"
_FLAT: Final = "output_cost_per_video_per_second"
_BASE: Final = "output_cost_per_second"
_SILENT: Final = "_without_audio"
# 1792x1024 is a 1080p; 720 and 768 lines are further apart than this.
_NEAR: Final = 0.06
USD_MAX: Final = 1_000_000
"""No second and no video costs more; what is above is a slip of the pen."""
_KEY: Final = re.compile(
    rf"{_FLAT}({_SILENT})?|{_BASE}(_({'|'.join(TIERS)}))?({_SILENT})?|{PER_VIDEO}|{PER_IMAGE}|{PER_SOURCE_SECOND}"
)


def rates_in(entry: Mapping[str, object]) -> dict[str, Decimal]:
    """The rates among the members of `entry`; the others are about something else. Raises `ValueError` with a sentence
    for one that is no number from 0 to `USD_MAX`."""
    return {key: _rate(key, value) for key, value in entry.items() if _KEY.fullmatch(key)}


def per_second(rates: Rates, width: int, height: int, audio: bool | None) -> Decimal | None:
    """The rate of one second of such a video; None where the rates do not tell. Where they do not tell silent videos
    from others, both cost the same."""
    for silent in (_SILENT, "") if audio is False else ("",):
        flat = rates.get(f"{_FLAT}{silent}")
        found = _of_tier(rates, width, height, silent) if flat is None else flat
        if found is not None:
            return found
    return None


def _of_tier(rates: Rates, width: int, height: int, silent: str) -> Decimal | None:
    """The rate of the tier that the size belongs to. Without one: the base rate, and not less than what a smaller
    picture costs."""
    listed = {name: rates[key] for name in TIERS if (key := f"{_BASE}_{name}{silent}") in rates}
    nearest = min(listed, key=lambda name: _distance(name, width, height), default=None)
    if nearest is not None and _distance(nearest, width, height)[0] <= _NEAR:
        return listed[nearest]
    smaller = [rate for name, rate in listed.items() if TIERS[name] < min(width, height)]
    base = rates.get(f"{_BASE}{silent}")
    return max(smaller if base is None else [base, *smaller], default=None)


def _distance(name: str, width: int, height: int) -> tuple[float, int]:
    """How far a size is from a tier: by its shorter side, by its area or by its longer side, in this order where they
    agree. Providers call 960x720 and 1470x630 both 720p, and 3840x1646 4k."""
    lines = TIERS[name]
    measures = (
        abs(log(min(width, height) / lines)),
        abs(log(width * height / (lines * lines * 16 / 9)) / 2),
        abs(log(max(width, height) / (lines * 16 / 9))),
    )
    nearest = min(round(measure, 3) for measure in measures)
    return nearest, next(rank for rank, measure in enumerate(measures) if round(measure, 3) == nearest)


def _rate(key: str, value: object) -> Decimal:
    try:
        # By its text: 0.1 is meant, not the nearest binary fraction.
        rate = Decimal(str(value)) if isinstance(value, (str, int, float, Decimal)) else Decimal("NaN")
    except InvalidOperation:
        rate = Decimal("NaN")
    if isinstance(value, bool) or not rate.is_finite() or not 0 <= rate <= USD_MAX:
        raise ValueError(f"{key} should be a number of US dollars from 0 to a million")
    return rate

"""How far a video is and when it will be there: a number that never falls, and what finished jobs like it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SAMPLES_MIN: Final = 20
# 100 is said by the phase `ready` alone, and an estimate says less than a report may.
_REPORTED_PERCENT_MAX: Final = 99
_ESTIMATED_PERCENT_MAX: Final = 95


class ProgressSource(StrEnum):
    """Whose number a percentage is."""

    REPORTED = "reported"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """What `samples` finished jobs of one model, length and size took, in seconds."""

    p50_s: float
    p90_s: float
    samples: int


@dataclass(frozen=True, slots=True)
class Progress:
    """One running video. ETAs are seconds from now, absent without enough samples and once their moment has passed."""

    percent: int
    source: ProgressSource
    eta_p50_s: float | None
    eta_p90_s: float | None
    samples: int
    overdue: bool


def percentiles(durations_s: Sequence[float]) -> Percentiles | None:
    """Return the median and the 90th percentile, interpolated, or None for fewer than 20 durations."""
    if len(durations_s) < SAMPLES_MIN:
        return None
    ordered = sorted(durations_s)
    return Percentiles(_at(ordered, 0.5), _at(ordered, 0.9), len(ordered))


def overdue(elapsed_s: float, usual: Percentiles | None) -> bool:
    """Tell whether a job has run longer than nine of ten like it; never without a basis."""
    return usual is not None and elapsed_s > usual.p90_s


def next_percent(previous: int, reported: float | None) -> int:
    """Return the percentage to show after a provider's report: 0 to 99, never below `previous`; what is no number
    changes nothing."""
    if reported is None or not math.isfinite(reported):
        return previous
    return max(previous, min(int(reported), _REPORTED_PERCENT_MAX))


def progress(previous: int, reported: float | None, elapsed_s: float, usual: Percentiles | None) -> Progress:
    """Return what to show of a running job: the provider's report where there is one, else the share of the 90th
    percentile that has passed, else `previous` unchanged."""
    source = ProgressSource.REPORTED
    percent = next_percent(previous, reported)
    if reported is None or not math.isfinite(reported):
        source = ProgressSource.ESTIMATED
        percent = max(previous, _estimated_percent(elapsed_s, usual))
    return Progress(
        percent=percent,
        source=source,
        eta_p50_s=_left_s(elapsed_s, usual.p50_s) if usual else None,
        eta_p90_s=_left_s(elapsed_s, usual.p90_s) if usual else None,
        samples=usual.samples if usual else 0,
        overdue=overdue(elapsed_s, usual),
    )


def _estimated_percent(elapsed_s: float, usual: Percentiles | None) -> int:
    if usual is None or usual.p90_s <= 0:
        return 0
    return int(_ESTIMATED_PERCENT_MAX * min(1.0, max(0.0, elapsed_s / usual.p90_s)))


def _left_s(elapsed_s: float, usual_s: float) -> float | None:
    return usual_s - elapsed_s if elapsed_s <= usual_s else None


def _at(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)

"""The order in which deployments are asked: pure, so that a strategy is a table of what it compares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mediagate.routing.catalog import Deployment
from mediagate.routing.rules import Strategy


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that could serve. `usd` is what it would cost, `busy` how many videos it has, `latency` how long it
    takes for a second of video; None where nobody knows."""

    deployment: Deployment
    usd: float | None = None
    busy: int = 0
    latency: float | None = None


def ranked(
    candidates: Sequence[Candidate], strategy: Strategy, draw: Callable[[], float], *, latency_buffer: float = 0.0
) -> list[Candidate]:
    """The best first. `order` of the configuration goes before every strategy, one without it behind those with one;
    what a strategy finds alike is shuffled by weight. `draw` gives numbers from 0 up to, not including, 1."""
    measured = _measure(candidates, strategy, latency_buffer)
    weights = _weights([candidate.deployment for candidate in candidates])

    def key(index: int) -> tuple[float, float, float]:
        order = candidates[index].deployment.order
        # The first of clocks that ring at rates of the weights is each by its share.
        clock = -math.log(1.0 - draw()) / weights[index] if weights[index] > 0 else math.inf
        return (math.inf if order is None else order, measured[index], clock)

    return [candidates[index] for index in sorted(range(len(candidates)), key=key)]


def _measure(candidates: Sequence[Candidate], strategy: Strategy, latency_buffer: float) -> list[float]:
    """What the strategy compares; less is better."""
    match strategy:
        case Strategy.LEAST_BUSY:
            return [float(candidate.busy) for candidate in candidates]
        case Strategy.LOWEST_COST:
            return [math.inf if candidate.usd is None else candidate.usd for candidate in candidates]
        case Strategy.LATENCY:
            return _latencies([candidate.latency for candidate in candidates], latency_buffer)
        case Strategy.SIMPLE_SHUFFLE:
            return [0.0] * len(candidates)


def _latencies(measured: Sequence[float | None], buffer: float) -> list[float]:
    known = [latency for latency in measured if latency is not None]
    good = min(known, default=0.0) * (1.0 + buffer)
    # Whoever was never measured, or not lately, would never be asked again if this were not good.
    return [0.0 if latency is None or latency <= good else latency for latency in measured]


def _weights(deployments: Iterable[Deployment]) -> list[float]:
    """Each one's share: its weight, 1 where others have one; where nobody has, its requests per minute."""
    listed = list(deployments)
    if any(deployment.weight is not None for deployment in listed):
        return [1.0 if deployment.weight is None else deployment.weight for deployment in listed]
    rates = [deployment.rpm for deployment in listed]
    return [float(rate) for rate in rates if rate] if all(rates) else [1.0] * len(listed)

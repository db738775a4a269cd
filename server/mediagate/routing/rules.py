"""How deployments are chosen, as the configuration says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Strategy(StrEnum):
    """Which of the deployments that could serve a request does."""

    SIMPLE_SHUFFLE = "simple-shuffle"
    """At random, by weight."""
    LEAST_BUSY = "least-busy"
    """The one that has the fewest videos."""
    LOWEST_COST = "lowest-cost"
    """The cheapest for what is asked; one without a price comes last."""
    LATENCY = "latency"
    """The one whose videos are finished soonest; one that was not measured lately is taken for the best."""


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """`fallbacks` are the groups that serve in place of a group, in their order; `default_fallbacks` those of a group
    that is not in it. `latency_buffer` is how much slower than the best one may be and still count as the best, as a
    fraction; what was measured longer than `latency_ttl_s` ago does not count."""

    strategy: Strategy = Strategy.SIMPLE_SHUFFLE
    allowed_fails: int = 3
    cooldown_s: float = 30.0
    num_retries: int = 2
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_fallbacks: tuple[str, ...] = ()
    latency_buffer: float = 0.0
    latency_ttl_s: float = 3600.0

    def fallbacks_of(self, group: str) -> tuple[str, ...]:
        """The groups that may serve in place of `group`."""
        return tuple(name for name in self.fallbacks.get(group, self.default_fallbacks) if name != group)

"""The section `router_settings`, in the peer's shape: how the deployments of a model are chosen, and what happens when
one fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pydantic import Field, field_validator

from mediagate.config_sections import ModelEntry, Peer
from mediagate.routing.rules import RoutingRules, Strategy

_PEERS: Final = {
    "latency-based-routing": Strategy.LATENCY,
    "cost-based-routing": Strategy.LOWEST_COST,
}
# The peer's others count tokens, of which a video has none.
_NOT_OURS: Final = frozenset({"usage-based-routing", "usage-based-routing-v2", "provider-budget-routing"})
EVERY_GROUP: Final = "*"
MODEL_INFO_ID_CHARS_MAX: Final = 128


class StrategyArgs(Peer):
    """What a strategy may be told."""

    ttl: float = Field(default=3600.0, gt=0, allow_inf_nan=False, description="A measured latency counts this long, s.")
    lowest_latency_buffer: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Deployments that are at most this much slower than the best, as a fraction, count as the best.",
    )


class RouterSettings(Peer):
    """How one of several deployments with the same `model_name` is chosen, and what happens when it fails."""

    routing_strategy: str = Field(
        default=Strategy.SIMPLE_SHUFFLE.value,
        description="`simple-shuffle` (by `weight`), `least-busy`, `lowest-cost` (`cost-based-routing`) or `latency` "
        "(`latency-based-routing`).",
    )
    routing_strategy_args: StrategyArgs = StrategyArgs()
    allowed_fails: int = Field(
        default=3,
        ge=0,
        le=1_000_000,
        description="A deployment that fails more often than this in a minute cools down.",
    )
    cooldown_time: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        allow_inf_nan=False,
        description="A deployment that cools down gets nothing new this long, s, where another can serve.",
    )
    num_retries: int = Field(
        default=2,
        ge=0,
        le=100,
        description="A video whose provider surely did not take it tries this many other deployments of a group before "
        "it goes on to a fallback.",
    )
    fallbacks: list[dict[str, list[str]]] = Field(
        default=[],
        description="Groups that serve in place of another where none of its deployments can: "
        "`[{sora-2: [veo-3]}]`; `*` stands for every other group.",
    )
    default_fallbacks: list[str] = Field(default=[], description="The same for every group without an own entry.")

    @field_validator("routing_strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        if name in _PEERS or name in _NOT_OURS or name in set(Strategy):
            return name
        raise ValueError(f"'{name}' is no strategy; there are {', '.join((*Strategy, *_PEERS))}")

    @property
    def rules(self) -> RoutingRules:
        """The same in the room's own terms."""
        named: dict[str, tuple[str, ...]] = {}
        for group, others in (pair for entry in self.fallbacks for pair in entry.items()):
            named[group] = tuple(dict.fromkeys((*named.get(group, ()), *others)))
        every = named.pop(EVERY_GROUP, ())
        strategy = _PEERS.get(self.routing_strategy)
        if strategy is None:
            unused = self.routing_strategy in _NOT_OURS
            strategy = Strategy.SIMPLE_SHUFFLE if unused else Strategy(self.routing_strategy)
        return RoutingRules(
            strategy=strategy,
            allowed_fails=self.allowed_fails,
            cooldown_s=self.cooldown_time,
            num_retries=self.num_retries,
            fallbacks=named,
            default_fallbacks=tuple(dict.fromkeys((*every, *self.default_fallbacks))),
            latency_buffer=self.routing_strategy_args.lowest_latency_buffer,
            latency_ttl_s=self.routing_strategy_args.ttl,
        )

    def warnings(self) -> Iterator[str]:
        """What loads and has no effect, beside keys that nobody knows."""
        if self.routing_strategy in _NOT_OURS:
            yield (
                f"router_settings.routing_strategy: {self.routing_strategy} is not used by mediagate; "
                f"deployments are chosen by {Strategy.SIMPLE_SHUFFLE}"
            )


def routing_complaints(settings: RouterSettings, models: Sequence[ModelEntry]) -> list[str]:
    """One `key.path: sentence` for each name in `fallbacks` that no model has, and each id that two
    deployments have."""
    names = list(dict.fromkeys(model.model_name for model in models))
    places: list[tuple[str, str, Iterable[str]]] = [
        (f"router_settings.fallbacks[{index}].{group}", group, others)
        for index, entry in enumerate(settings.fallbacks)
        for group, others in entry.items()
    ]
    places.append(("router_settings.default_fallbacks", EVERY_GROUP, settings.default_fallbacks))
    return [
        *(complaint for place, group, others in places for complaint in _of_fallback(place, group, others, names)),
        *_same_ids(models),
    ]


def _of_fallback(place: str, group: str, others: Iterable[str], names: Sequence[str]) -> Iterator[str]:
    there_are = f"none of the models {', '.join(names)}"
    if group != EVERY_GROUP and not _has(names, group):
        yield f"{place}: '{group}' is {there_are}"
    for other in others:
        if other == group:
            yield f"{place}: '{other}' cannot fall back to itself"
        elif not _has(names, other):
            yield f"{place}: '{other}' is {there_are}"


def _has(names: Iterable[str], name: str) -> bool:
    return any(
        name == known or (known.endswith("*") and name.startswith(known[:-1]) and name != EVERY_GROUP)
        for known in names
    )


def _same_ids(models: Sequence[ModelEntry]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for index, model in enumerate(models):
        own = own_id(model.model_info)
        if own is None:
            continue
        if own in seen:
            yield f"model_list[{index}].model_info.id: '{own}' is the id of model_list[{seen[own]}] too"
        seen.setdefault(own, index)


def own_id(info: Mapping[str, object]) -> str | None:
    """The id that a deployment has from its `model_info`, which may be any value."""
    given = info.get("id")
    return str(given)[:MODEL_INFO_ID_CHARS_MAX] if isinstance(given, str | int) and str(given).strip() else None

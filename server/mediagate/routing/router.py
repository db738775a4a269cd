"""Which deployment serves: what all processes know of each, read together and for a moment only."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from mediagate.core.retry_budget import RetryBudget
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.rules import RoutingRules, Strategy
from mediagate.routing.strategies import Candidate, ranked
from mediagate.store.database import Database
from mediagate.store.deployments import ROUTING_CHANNEL, DeploymentState, note_failure, note_success
from mediagate.store.listener import Listener
from mediagate.telemetry import metrics

log = structlog.get_logger(__name__)
SEEN_S: Final = 1.0
LATENCIES_SEEN_S: Final = 15.0
PAUSE_S_MAX: Final = 600.0
"""However long a provider asks to be left alone."""

COOLING: Final = "cooling_down"
FULL: Final = "parallel_limit"
RATE: Final = "rate_limit"
NOT_CONFIGURED: Final = "not_configured"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a deployment fares. `reason` is why it last failed, None where it did not lately."""

    cooling_s: float = 0.0
    failures: int = 0
    reason: str | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether it gets new videos."""
        return self.cooling_s <= 0


@dataclass(slots=True)
class _Seen:
    """What the database said, and what this process has done since. `loads` are (busy, waiting)."""

    at: float
    standings: dict[str, Standing]
    loads: dict[str, tuple[int, int]]
    at_accounts: dict[str, int]
    submits: dict[str, int]
    latencies: Mapping[str, float] = field(default_factory=dict)


class Router:
    """Puts the deployments of a group in order, and remembers which failed."""

    def __init__(
        self,
        db: Database,
        catalog: ModelCatalog,
        rules: RoutingRules | None = None,
        *,
        draw: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules = rules or RoutingRules()
        self._db = db
        self._catalog = catalog
        self._draw = draw
        self._now = now
        self._seen: _Seen | None = None
        self._changes = 0
        self._latencies: tuple[float, dict[str, float]] | None = None
        self._looking = asyncio.Lock()
        self._retries: dict[str, RetryBudget] = {}

    async def order(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
        """Those that can serve now, the best first; and those that cannot, the one that will be able to soonest
        first."""
        if len(candidates) < 2 and not any(self.rules.fallbacks_of(one.deployment.model_name) for one in candidates):
            return list(candidates), []
        seen = await self._look()
        known = [self._told(candidate, seen) for candidate in candidates]
        ready = [candidate for candidate in known if self._why_not(candidate, seen) is None]
        others = [candidate for candidate in known if candidate not in ready]
        others.sort(
            key=lambda one: (
                not self._catalog.is_usable(one.deployment.model_account),
                self._cooling_s(one.deployment.id, seen),
                one.busy,
            )
        )
        best = ranked(ready, self.rules.strategy, self._draw, latency_buffer=self.rules.latency_buffer)
        return best, others

    async def order_chats(
        self, candidates: Sequence[Candidate], is_usable: Callable[[Deployment], bool]
    ) -> list[Candidate]:
        """Those whose accounts are complete, the best first; behind them those that cool down, and then the rest."""
        if len(candidates) < 2:
            return list(candidates)
        seen = await self._look()
        usable = [one for one in candidates if is_usable(one.deployment)]
        ready = [one for one in usable if self._cooling_s(one.deployment.id, seen) <= 0]
        best = ranked(ready, self.rules.strategy, self._draw, latency_buffer=self.rules.latency_buffer)
        cooling = [one for one in usable if one not in ready]
        cooling.sort(key=lambda one: self._cooling_s(one.deployment.id, seen))
        return [*best, *cooling, *(one for one in candidates if one not in usable)]

    async def is_cooling(self, deployment_id: str) -> bool:
        """Whether a deployment gets nothing new."""
        return self._cooling_s(deployment_id, await self._look()) > 0

    async def standings(self) -> Mapping[str, Standing]:
        """How every deployment fares that failed lately; the others are well."""
        seen = await self._look()
        passed_s = self._now() - seen.at
        return {
            name: replace(found, cooling_s=max(0.0, found.cooling_s - passed_s))
            for name, found in seen.standings.items()
        }

    def took(self, deployment_id: str, account: str) -> None:
        """A deployment has one more video: told at once, so that many that come together are shared out."""
        if self._seen is not None:
            busy, waiting = self._seen.loads.get(deployment_id, (0, 0))
            self._seen.loads[deployment_id] = busy, waiting + 1
            self._seen.at_accounts[account] = self._seen.at_accounts.get(account, 0) + 1

    async def failed(self, deployment_id: str, reason: str, *, at_once: bool, pause_s: float | None = None) -> None:
        """A deployment failed before it took a video, or did not say whether it took it. `pause_s` is for how long it
        asked to be left alone."""
        metrics.deployment_tried(deployment_id, "failed")
        if self._cooling_s(deployment_id, await self._look()) > 0:
            return
        cooldown_s = max(self.rules.cooldown_s, min(PAUSE_S_MAX, pause_s or 0.0))
        async with self._db.transaction() as tx:
            cooling = await note_failure(
                tx,
                deployment_id,
                reason,
                at_once=at_once,
                allowed_fails=self.rules.allowed_fails,
                cooldown_s=cooldown_s,
            )
        self.forget()
        if cooling:
            metrics.deployment_cooled(deployment_id)
            log.warning("deployment_cools_down", deployment=deployment_id, reason=reason, seconds=cooldown_s)

    async def worked(self, deployment_id: str) -> None:
        """A deployment took a video."""
        metrics.deployment_tried(deployment_id, "ok")
        # What this process last saw will do: a failure that nobody clears is forgotten after a minute.
        if self._seen is not None and deployment_id in self._seen.standings:
            async with self._db.transaction() as tx:
                await note_success(tx, deployment_id)
            self.forget()

    def retries(self, group: str) -> RetryBudget:
        """What this process may ask again of the deployments of a group."""
        return self._retries.setdefault(group, RetryBudget())

    def forget(self, _payload: str = "") -> None:
        """Something changed."""
        self._changes += 1
        self._seen = None

    def listener(self, db: Database) -> Listener:
        """What hears of changes; to be started and closed with the process."""

        async def forget_all() -> None:
            self.forget()

        return db.listener(ROUTING_CHANNEL, on_payload=self.forget, on_reconnect=forget_all)

    async def _look(self) -> _Seen:
        seen = self._seen
        if seen is None or self._now() - seen.at > SEEN_S:
            async with self._looking:
                seen = self._seen
                if seen is None or self._now() - seen.at > SEEN_S:
                    changes = self._changes
                    seen = await self._read()
                    if changes == self._changes:
                        # Otherwise it may have been read just before what it says became untrue.
                        self._seen = seen
        return seen

    async def _read(self) -> _Seen:
        at = self._now()
        async with self._db.reading() as connection:
            state = DeploymentState(connection)
            ailing, loads = await state.ailing(), await state.loads()
            limited = any(deployment.rpm for deployment in self._catalog.all())
            submits = await state.submits() if limited else {}
            latencies = await self._measured(state) if self.rules.strategy is Strategy.LATENCY else {}
        at_accounts: dict[str, int] = {}
        for load in loads:
            at_accounts[load.account] = at_accounts.get(load.account, 0) + load.busy + load.waiting
        return _Seen(
            at,
            {one.deployment: Standing(one.cooling_s, one.failures, one.reason) for one in ailing},
            _summed((load.deployment, load.busy, load.waiting) for load in loads),
            at_accounts,
            submits,
            latencies,
        )

    async def _measured(self, state: DeploymentState) -> dict[str, float]:
        if self._latencies is None or self._now() - self._latencies[0] > LATENCIES_SEEN_S:
            ids = [deployment.id for deployment in self._catalog.all()]
            self._latencies = self._now(), await state.latencies(ids, ttl_s=self.rules.latency_ttl_s)
        return self._latencies[1]

    def _told(self, candidate: Candidate, seen: _Seen) -> Candidate:
        name = candidate.deployment.id
        return replace(candidate, busy=sum(seen.loads.get(name, (0, 0))), latency=seen.latencies.get(name))

    def _cooling_s(self, deployment_id: str, seen: _Seen) -> float:
        found = seen.standings.get(deployment_id)
        return 0.0 if found is None else max(0.0, found.cooling_s - (self._now() - seen.at))

    def _why_not(self, candidate: Candidate, seen: _Seen) -> str | None:
        deployment = candidate.deployment
        if not self._catalog.is_usable(deployment.model_account):
            return NOT_CONFIGURED
        if self._cooling_s(deployment.id, seen) > 0:
            return COOLING
        line = self._catalog.line_of(deployment.id, deployment.model_account)
        # Those that wait count too: who waits in one line would only wait in another.
        of_all = (
            sum(seen.loads.get(line.name, (0, 0))) if line.of == "deployment" else seen.at_accounts.get(line.name, 0)
        )
        if line.parallel_max is not None and of_all >= line.parallel_max:
            return FULL
        if (
            line.rpm is not None
            and seen.submits.get(deployment.id, 0) + seen.loads.get(line.name, (0, 0))[1] >= line.rpm
        ):
            return RATE
        return None


def _summed(loads: Iterable[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, busy, waiting in loads:
        before = found.get(name, (0, 0))
        found[name] = before[0] + busy, before[1] + waiting
    return found

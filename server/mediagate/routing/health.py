"""How deployments fare, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.router import NOT_CONFIGURED, Router, Standing


@dataclass(frozen=True, slots=True)
class Fares:
    """One deployment. `is_complete` is whether its account has what its provider needs."""

    deployment: Deployment
    standing: Standing
    is_complete: bool = True

    @property
    def is_healthy(self) -> bool:
        """Whether it gets new requests."""
        return self.is_complete and self.standing.is_healthy

    @property
    def reason(self) -> str | None:
        """Why it failed last; None where it did not lately."""
        return self.standing.reason if self.is_complete else NOT_CONFIGURED


@dataclass(frozen=True, slots=True)
class ReadHealth:
    """Asks no provider: what their own traffic showed lately."""

    catalog: ModelCatalog
    router: Router

    async def by_model(self) -> Mapping[str, list[Fares]]:
        """Every public name, in the order of the configuration, with its deployments."""
        found: dict[str, list[Fares]] = {}
        for fares in await self._fares(self.catalog.all()):
            found.setdefault(fares.deployment.model_name, []).append(fares)
        return found

    async def of(self, name: str) -> list[Fares]:
        """The deployments of one model."""
        return await self._fares(found.named(name) for found in self.catalog.deployments_of(name))

    async def _fares(self, deployments: Iterable[Deployment]) -> list[Fares]:
        standings = await self.router.standings()
        return [Fares(found, standings.get(found.id, Standing()), self._is_complete(found)) for found in deployments]

    def _is_complete(self, deployment: Deployment) -> bool:
        # One that makes no videos has no account for them.
        makes_videos = self.catalog.deployment(deployment.id, deployment.model_name) is not None
        return not makes_videos or self.catalog.is_usable(deployment.model_account)

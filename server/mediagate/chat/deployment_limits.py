"""What deployments may have of chats, over all processes: requests and tokens a minute, and how many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mediagate.access.limits.admission import FREE, Admission, Limits
from mediagate.core.access import Policy
from mediagate.core.errors import MediagateError
from mediagate.routing.catalog import Deployment


@dataclass(frozen=True, slots=True)
class LimitedDeployment:
    """A deployment, as `Limits` names it."""

    id: str
    policy: Policy
    kind: str = "deployment"


class DeploymentLimits:
    """Those of all deployments."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, tuple[LimitedDeployment]] = {}

    @asynccontextmanager
    async def room(self, deployment: Deployment, tokens: int) -> AsyncIterator[Admission]:
        """While a deployment has one chat more, of about so many tokens: the admission is to be told how many it was.
        Where the chat fails none count. Raises `RateLimited` where there is no room."""
        admission = await self._admit(deployment, tokens)
        try:
            yield admission
        except MediagateError:
            admission.tokens_were(0)
            raise
        finally:
            admission.release()

    async def _admit(self, deployment: Deployment, tokens: int) -> Admission:
        if deployment.rpm is None and deployment.tpm is None and deployment.parallel_max is None:
            return FREE
        known = self._known.get(deployment.id)
        if known is None:
            policy = Policy(
                requests_per_minute=deployment.rpm,
                tokens_per_minute=deployment.tpm,
                parallel_requests=deployment.parallel_max,
            )
            known = self._known[deployment.id] = (LimitedDeployment(deployment.id, policy),)
        return await self._limits.admit_chat(known, tokens)

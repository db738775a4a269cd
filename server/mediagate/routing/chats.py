"""Which deployments answer a chat, and in which order they are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from mediagate.core.chat import Dialect
from mediagate.core.errors import NotFound, ProviderRefused, RateLimited, Unsupported
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.core.rates import duration_text
from mediagate.providers.chat import ChatProvider, ChatSpec
from mediagate.providers.registry import CHAT_PROVIDERS, chat_spec
from mediagate.routing.allowed import require_model, require_provider
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.model_accounts import ChatAccounts
from mediagate.routing.router import Router
from mediagate.routing.strategies import Candidate

SUPPORTS_RESPONSES: Final = "supports_responses"
SUPPORTED_ENDPOINTS: Final = "supported_endpoints"
RESPONSES_ENDPOINT: Final = "/v1/responses"


def deployments_busy(model: str, retry_after_s: float) -> RateLimited:
    """None of a model's deployments may have one chat more."""
    return RateLimited(
        f"Every deployment of the model '{echo(model)}' has as many requests as it may have. "
        f"Try again in {duration_text(retry_after_s)}.",
        code="deployments_busy",
        retry_after_s=retry_after_s,
    )


@dataclass(frozen=True, slots=True)
class ChatRoutes:
    """Finds deployments. How many chats each has is known to this process alone."""

    catalog: ModelCatalog
    accounts: ChatAccounts
    router: Router
    _busy: Counter[str] = field(default_factory=Counter)

    def group(self, who: Principal, name: str) -> list[Deployment]:
        """The deployments of a model that answer chats and that the caller may use, in the order of the configuration.

        Raises `NotFound` for a model that does not exist, `Unsupported` for one that answers no chats,
        `PermissionDenied` for one that the caller may not use.
        """
        found = [deployment.named(name) for deployment in self.catalog.deployments_of(name)]
        if not found:
            raise NotFound(
                f"The model '{echo(name)}' does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
                model=echo(name),
            )
        require_model(who, name, known=self.catalog.names())
        able = [deployment for deployment in found if self.answers(deployment)]
        if not able:
            raise Unsupported(
                f"The model '{echo(name)}' answers no chats. Models that do: {', '.join(self.names(who)) or 'none'}.",
                param="model",
            )
        usable = [deployment for deployment in able if who.may_use_provider(deployment.provider)]
        if not usable:
            require_provider(who, able[0].provider, param="model")
        return usable

    def names(self, who: Principal) -> list[str]:
        """The models that answer chats and that the caller may use."""
        named = (found.model_name for found in self.catalog.all() if self.answers(found))
        return [name for name in dict.fromkeys(named) if who.may_use_model(name)]

    def answers(self, deployment: Deployment) -> bool:
        """Whether a deployment is a model that answers chats."""
        return deployment.provider in CHAT_PROVIDERS and not self.catalog.makes_videos(deployment)

    def spec(self, deployment: Deployment) -> ChatSpec:
        """How the models of a deployment's provider are asked."""
        return chat_spec(deployment.provider)

    def dialects(self, deployment: Deployment) -> Sequence[Dialect]:
        """Those of OpenAI's dialects that a deployment is asked in as they are. The configuration's `model_info` says
        it of a server whose provider does not tell: `supports_responses`, or the peer's `supported_endpoints`."""
        spec = self.spec(deployment)
        told = deployment.info.get(SUPPORTS_RESPONSES)
        if told is None and RESPONSES_ENDPOINT in (deployment.info.get(SUPPORTED_ENDPOINTS) or ()):
            told = True
        if told is False:
            return [one for one in spec.dialects if one is not Dialect.RESPONSES]
        return (*spec.dialects, *spec.may_speak) if told is True else spec.dialects

    def provider(self, deployment: Deployment) -> ChatProvider:
        """Who is asked. Raises `ProviderRefused` where the account lacks what the provider needs."""
        return self.accounts[deployment.model_account]

    async def order(self, deployments: Sequence[Deployment]) -> list[Deployment]:
        """The best first; behind them those that cool down. Raises `RateLimited` where each of them has as many chats
        as it may have."""
        free = [one for one in deployments if one.parallel_max is None or self._busy[one.id] < one.parallel_max]
        if not free:
            raise deployments_busy(deployments[0].model_name, 1)
        candidates = [Candidate(one, busy=self._busy[one.id]) for one in free]
        return [one.deployment for one in await self.router.order_chats(candidates, self._is_usable)]

    def fallbacks(self, who: Principal, name: str) -> Iterator[list[Deployment]]:
        """The deployments of each group that may answer in place of one."""
        for other in self.router.rules.fallbacks_of(name):
            able = [one.named(other) for one in self.catalog.deployments_of(other) if self.answers(one)]
            usable = [one for one in able if who.may_use_model(other) and who.may_use_provider(one.provider)]
            if usable:
                yield usable

    @contextmanager
    def busy(self, deployment: Deployment) -> Iterator[None]:
        """While a deployment answers."""
        self._busy[deployment.id] += 1
        try:
            yield
        finally:
            self._busy[deployment.id] -= 1
            if not self._busy[deployment.id]:
                del self._busy[deployment.id]

    def _is_usable(self, deployment: Deployment) -> bool:
        try:
            return self.provider(deployment) is not None
        except (KeyError, ProviderRefused):
            return False
